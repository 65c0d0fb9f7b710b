/*
 * facts: rows of refunds and disputes, whose facts only rise.  An order and a paid period keep them alike.
 */
#ifndef OCTROI_LEDGER_DECIDE_FACTS_H
#define OCTROI_LEDGER_DECIDE_FACTS_H

#include "ledger/decide/decide.h"

/* The sums of a payment's refunds; each points into its row. */
struct facts_refunds {
	int64_t *charge_refunded_minor; /* as the charge said */
	int64_t *known_minor, *live_minor;
};

/* The row of the command's refund; NULL: none is known, or the charge alone told of it. */
struct refunds_row *facts_refund(struct decide *d, struct slot *s, const struct command *c);
/* The higher of the row's status and the command's. */
enum refund_status facts_refund_status(const struct refunds_row *r, const struct command *c);
/* Adds the command's refund to the sums; r is the row before it. */
void facts_add_refund(const struct facts_refunds *sums, const struct refunds_row *r, const struct command *c,
                      enum refund_status status);
/* Writes the row; r NULL: makes it. */
void facts_keep_refund(struct decide *d, struct slot *s, struct refunds_row *r, const struct command *c,
                       enum refund_status status);

/* The amount that a dispute has taken and not given back. */
int64_t facts_live_dispute(const struct disputes_row *r);
/* The facts of the row, which may be NULL, and of the command together. */
struct disputes_row facts_of_dispute(const struct disputes_row *r, const struct command *c);
/* Writes them; r NULL: makes the row. */
void facts_keep_dispute(struct decide *d, struct slot *s, struct disputes_row *r, const struct disputes_row *facts,
                        const struct command *c);

#endif
