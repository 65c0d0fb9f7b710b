/*
 * order: the known payment, refunds and disputes of a top-up or a statement, and the claw-back that follows from them.
 * Facts are kept as facts.  The effect is always the step from the amount taken back so far to the amount of the facts.
 * So neither the order nor the repetition of events makes a difference.  Pure.
 */
#ifndef OCTROI_LEDGER_DECIDE_ORDER_H
#define OCTROI_LEDGER_DECIDE_ORDER_H

#include "ledger/decide/decide.h"

#define ORDER_MINOR_MAX INT64_C(1000000000000) /* Stripe's amounts have at most 12 digits */

/* Columns of a top-up or a statement, in either table. */
#define ORDER_FACTS(FACT) \
	FACT(refunds_live_minor) \
	FACT(refunds_known_minor) \
	FACT(charge_refunded_minor) \
	FACT(disputes_minor) \
	FACT(refunded_micros) \
	FACT(disputed_micros)

/* The common part of a top-up and a statement.  A copy: order_write puts facts and payment into the row. */
struct order {
	struct row *row;
	enum payment_kind kind;
	int64_t seq;
	bool paid, livemode;
	int64_t amount_minor;
	micros amount_micros;
	const char *currency, *payment_id;
	int64_t grant_seq; /* the grant that the payment gave */
	/* Of a top-up: the bonus, the part of it that was taken back, and its grant. */
	micros bonus_micros, bonus_returned_micros;
	int64_t bonus_grant_seq;
#define FACT(name) int64_t name;
	ORDER_FACTS(FACT)
#undef FACT
};

/* Reads the row that the command's payment_kind and topup_seq name; false when there is none. */
bool order_find(struct decide *d, struct slot *s, const struct command *c, struct order *o);
void order_of_topup(struct topups_row *t, struct order *o);
void order_of_statement(struct statements_row *t, struct order *o);
void order_write(struct decide *d, const struct order *o);

/* The amounts by which an order's credits are to be lessened. */
struct order_claims {
	micros refunded_micros, disputed_micros;
	micros bonus_micros; /* of the bonus, for refunds and disputes together */
};
/* Computes the claims from the facts; false when they are out of bounds. */
bool order_claims(const struct order *o, struct order_claims *claims);

/* NULL, or the reason why a fact in that currency and mode is not about this order (also when o is NULL). */
const char *order_mismatch(const struct order *o, const char *currency, bool livemode);
/* NULL, or the reason why the command's payment is not this order's. */
const char *order_payment_mismatch(struct decide *d, const struct slot *s, const struct order *o,
                                   const struct command *c);
/* True if the owner of the command's payment is known. */
bool order_knows_payment(struct decide *d, const struct command *c);
/* Remembers that the command's payment is this order's. */
void order_keep_payment(struct decide *d, struct slot *s, struct order *o, const struct command *c);

/* True if the account's balance stays in range when these claims are met. */
bool order_fits(const struct slot *s, const struct order *o, const struct order_claims *claims);
/* Checks as order_fits does, but for an order that is paid only now. */
bool order_fits_paid(const struct slot *s, const struct order *o, const struct order_claims *claims);
/* Meets the claims; does nothing until the order is paid.  reference: Stripe's id of the object that caused it. */
void order_settle(struct decide *d, struct slot *s, struct order *o, const struct order_claims *claims,
                  const char *reference);

/* The event cannot be applied: the event is kept for a person, and nothing else changes. */
void order_park(struct answer *a, const char *note);

#endif
