/*
 * refund: a refund as it is now, or the total that was refunded of a charge.  A refund's status only rises (failed
 * stands above succeeded), so that an older event changes nothing.
 */
#include "ledger/decide/decide.h"

#include "base/check.h"
#include "ledger/decide/facts.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/order.h"
#include "ledger/decide/paid_period_money.h"
#include "ledger/decide/recharge.h"
#include "ledger/decide/row_check.h"

static const char *refund_mismatch(struct decide *d, const struct slot *s, const struct order *o,
                                   const struct refunds_row *r, const struct command *c)
{
	const char *why = order_mismatch(o, c->refund.currency, c->refund.livemode);

	if (why == NULL)
		why = order_payment_mismatch(d, s, o, c);
	if (why != NULL)
		return why;
	if (c->refund.amount_minor < 0 || c->refund.amount_minor > ORDER_MINOR_MAX)
		return "an amount that cannot be";
	if (r != NULL &&
	    (r->kind != (int64_t)o->kind || r->topup_seq != o->seq || r->amount_minor != c->refund.amount_minor))
		return "this refund was of another order or amount";
	return NULL;
}

static void decide_order_refund(struct decide *d, struct slot *s, struct command *c)
{
	struct order o, after;
	const bool known = order_find(d, s, c, &o);
	struct refunds_row *r = facts_refund(d, s, c);
	const char *why = refund_mismatch(d, s, known ? &o : NULL, r, c);
	const enum refund_status status = facts_refund_status(r, c);
	const struct facts_refunds sums = {&after.charge_refunded_minor, &after.refunds_known_minor,
	                                   &after.refunds_live_minor};
	struct order_claims claims;

	if (why != NULL) {
		order_park(&c->answer, why);
		return;
	}
	after = o;
	facts_add_refund(&sums, r, c, status);
	CHECK(after.charge_refunded_minor >= o.charge_refunded_minor);
	if (!order_claims(&after, &claims) || !order_fits(s, &o, &claims)) {
		order_park(&c->answer, "the balance would leave its range");
		return;
	}

	/* From here on it succeeds. */
	order_keep_payment(d, s, &after, c);
	order_write(d, &after);
	facts_keep_refund(d, s, r, c, status);
	order_settle(d, s, &after, &claims, c->object_id[0] != '\0' ? c->object_id : c->payment_id);
	recharge_returned(d, s, &o);
	row_check_account(s->account);
	c->answer.outcome = OUTCOME_OK;
	funds_figures(s, &c->answer);
}

void decide_refund(struct decide *d, struct slot *s, struct command *c)
{
	if (c->payment_kind == PAYMENT_OF_PERIOD)
		paid_period_money_refund(d, s, c);
	else
		decide_order_refund(d, s, c);
}
