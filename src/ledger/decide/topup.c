/*
 * topup: an order is opened, before Stripe hears of it.
 */
#include "ledger/decide/decide.h"

#include "base/check.h"
#include "ledger/decide/customer.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/new_order.h"
#include "ledger/decide/open_orders.h"

/* True if the card is kept for charges without the customer: it was asked for, auto-recharge is on, or the account is
 * postpaid. */
static bool keeps_card(struct decide *d, struct slot *s, const struct command *c)
{
	const struct recharges_row *r = rows_recharge(d->rows, s);

	return c->topup.save_card || (r != NULL && r->state != RECHARGE_OFF) ||
	       (s->account != NULL && s->account->mode == MODE_POSTPAID);
}

void decide_topup(struct decide *d, struct slot *s, struct command *c)
{
	struct answer *a = &c->answer;
	struct new_order o = {
		.amount_minor = c->topup.amount_minor,
		.money_micros = c->topup.money_micros,
		.currency = c->topup.currency,
		.session_key = c->topup.session_key,
		.livemode = c->topup.livemode,
	};
	struct topups_row *t;

	if (!new_order_price(d, s, a->unit, &o)) {
		a->outcome = OUTCOME_INVALID_REQUEST;
		a->field = "amount";
		return;
	}
	if (open_orders_full(d, rows_billing(d->rows, s), a))
		return;

	/* From here on it succeeds. */
	effects_account(d, s, c);
	customer_keep_key(d, s, c->topup.customer_key);
	o.save_card = keeps_card(d, s, c);
	t = new_order_add(d, s, &o);
	CHECK(t->unit == (int64_t)a->unit);
	open_orders_begin(d, effects_billing(d, s), t);
	a->outcome = OUTCOME_OK;
	a->seq = t->seq;
	a->amount_micros = o.credits_micros;
	funds_figures(s, a);
}
