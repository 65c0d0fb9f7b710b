/*
 * dispute: keeps two facts of a dispute: its money was withdrawn, its money came back.  Both only ever become true.
 */
#include "ledger/decide/decide.h"

#include "base/check.h"
#include "ledger/decide/facts.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/order.h"
#include "ledger/decide/paid_period_money.h"
#include "ledger/decide/recharge.h"
#include "ledger/decide/row_check.h"

static const char *dispute_mismatch(struct decide *d, const struct slot *s, const struct order *o,
                                    const struct disputes_row *r, const struct command *c)
{
	const char *why = order_mismatch(o, c->dispute.currency, c->dispute.livemode);

	if (why == NULL)
		why = order_payment_mismatch(d, s, o, c);
	if (why != NULL)
		return why;
	if (c->dispute.amount_minor < 0 || c->dispute.amount_minor > ORDER_MINOR_MAX)
		return "an amount that cannot be";
	if (r != NULL && (r->kind != (int64_t)o->kind || r->topup_seq != o->seq))
		return "this dispute was about another order";
	return NULL;
}

static void decide_order_dispute(struct decide *d, struct slot *s, struct command *c)
{
	struct order o, order;
	const bool known = order_find(d, s, c, &o);
	struct disputes_row *r = (struct disputes_row *)rows_find(d->rows, s, TABLE_DISPUTES, c->object_key);
	const struct disputes_row after = facts_of_dispute(r, c);
	const char *why = dispute_mismatch(d, s, known ? &o : NULL, r, c);
	struct order_claims claims;

	if (why != NULL) {
		order_park(&c->answer, why);
		return;
	}
	order = o;
	if (r != NULL)
		order.disputes_minor -= facts_live_dispute(r);
	order.disputes_minor += facts_live_dispute(&after);
	CHECK(order.disputes_minor >= 0);
	if (!order_claims(&order, &claims) || !order_fits(s, &o, &claims)) {
		order_park(&c->answer, "the balance would leave its range");
		return;
	}

	/* From here on it succeeds. */
	order_keep_payment(d, s, &order, c);
	order_write(d, &order);
	facts_keep_dispute(d, s, r, &after, c);
	order_settle(d, s, &order, &claims, c->object_id);
	recharge_returned(d, s, &o);
	row_check_account(s->account);
	c->answer.outcome = OUTCOME_OK;
	funds_figures(s, &c->answer);
}

void decide_dispute(struct decide *d, struct slot *s, struct command *c)
{
	if (c->payment_kind == PAYMENT_OF_PERIOD)
		paid_period_money_dispute(d, s, c);
	else
		decide_order_dispute(d, s, c);
}
