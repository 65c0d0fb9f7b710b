/*
 * order: what is known of a top-up's payment, refunds and disputes, and the claw-back that follows from it.
 * Facts are kept as facts; the effect is always the step from what has been taken back to what the facts
 * say, so that no order and no repetition of events makes a difference.  Pure.
 */
#ifndef OCTROI_LEDGER_ORDER_H
#define OCTROI_LEDGER_ORDER_H

#include "ledger/decide.h"

#define ORDER_MINOR_MAX INT64_C(1000000000000) /* Stripe's amounts have at most 12 digits */

/* What an order's credits are to be lessened by. */
struct order_claims {
	micros refunded_micros, disputed_micros;
};
/* From the facts in the row; false when they are beyond all bounds. */
bool order_claims(const struct topups_row *t, struct order_claims *claims);

/* NULL, or why a fact in that currency and mode is not one about this order (also when t is NULL). */
const char *order_mismatch(const struct topups_row *t, const char *currency, bool livemode);
/* NULL, or why the command's payment is not this order's. */
const char *order_payment_mismatch(struct decide *d, const struct slot *s, const struct topups_row *t,
                                   const struct command *c);
/* Whether it is known whose the command's payment is. */
bool order_knows_payment(struct decide *d, const struct command *c);
/* Remembers that the command's payment is this order's. */
void order_keep_payment(struct decide *d, struct slot *s, struct topups_row *t,
                        const struct command *c);

/* Whether the account's balance stays in range when these claims are met. */
bool order_fits(const struct slot *s, const struct topups_row *t,
                const struct order_claims *claims);
/* Meets them: nothing until the order is paid.  reference: Stripe's name of what moved it. */
void order_settle(struct decide *d, struct slot *s, struct topups_row *t,
                  const struct order_claims *claims, const char *reference);

/* The event cannot be applied: it is kept for a person, and nothing else changes. */
void order_park(struct answer *a, const char *note);

#endif
