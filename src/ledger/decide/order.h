/*
 * order: what is known of the payment, refunds and disputes of a top-up or a statement, and the claw-back that follows
 * from it.  Facts are kept as facts; the effect is always the step from what has been taken back to what the facts
 * say, so that no order and no repetition of events makes a difference.  Pure.
 */
#ifndef OCTROI_LEDGER_DECIDE_ORDER_H
#define OCTROI_LEDGER_DECIDE_ORDER_H

#include "ledger/decide/decide.h"

#define ORDER_MINOR_MAX INT64_C(1000000000000) /* Stripe's amounts have at most 12 digits */

/* Columns of what was paid for, whatever its table. */
#define ORDER_FACTS(FACT)           \
	FACT(refunds_live_minor)    \
	FACT(refunds_known_minor)   \
	FACT(charge_refunded_minor) \
	FACT(disputes_minor)        \
	FACT(refunded_micros)       \
	FACT(disputed_micros)

/* A top-up or a statement, as far as both are alike.  A copy: order_write puts facts and payment into the row. */
struct order {
	struct row *row;
	enum payment_kind kind;
	int64_t seq;
	bool paid, livemode;
	int64_t amount_minor;
	micros amount_micros;
	const char *currency, *payment_id;
	int64_t grant_seq; /* of what the payment gave */
#define FACT(name) int64_t name;
	ORDER_FACTS(FACT)
#undef FACT
};

/* Reads the row that the command's payment_kind and topup_seq name; false when there is none. */
bool order_find(struct decide *d, struct slot *s, const struct command *c, struct order *o);
void order_of_topup(struct topups_row *t, struct order *o);
void order_of_statement(struct statements_row *t, struct order *o);
void order_write(struct decide *d, const struct order *o);

/* What an order's credits are to be lessened by. */
struct order_claims {
	micros refunded_micros, disputed_micros;
};
/* From the facts; false when they are beyond all bounds. */
bool order_claims(const struct order *o, struct order_claims *claims);

/* NULL, or why a fact in that currency and mode is not one about this order (also when o is NULL). */
const char *order_mismatch(const struct order *o, const char *currency, bool livemode);
/* NULL, or why the command's payment is not this order's. */
const char *order_payment_mismatch(struct decide *d, const struct slot *s, const struct order *o,
                                   const struct command *c);
/* Whether it is known whose the command's payment is. */
bool order_knows_payment(struct decide *d, const struct command *c);
/* Remembers that the command's payment is this order's. */
void order_keep_payment(struct decide *d, struct slot *s, struct order *o, const struct command *c);

/* Whether the account's balance stays in range when these claims are met. */
bool order_fits(const struct slot *s, const struct order *o, const struct order_claims *claims);
/* The same of an order that is paid only now. */
bool order_fits_paid(const struct slot *s, const struct order *o, const struct order_claims *claims);
/* Meets them: nothing until the order is paid.  reference: Stripe's name of what moved it. */
void order_settle(struct decide *d, struct slot *s, struct order *o, const struct order_claims *claims,
                  const char *reference);

/* The event cannot be applied: it is kept for a person, and nothing else changes. */
void order_park(struct answer *a, const char *note);

#endif
