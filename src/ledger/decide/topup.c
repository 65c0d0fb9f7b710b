/*
 * topup: an order is opened, before Stripe hears of it.
 */
#include "ledger/decide/decide.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/customer.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/open_orders.h"
#include "ledger/decide/order.h"
#include "ledger/decide/row_check.h"

/* The credits that the money buys on this account, rounded down; false when they are none, or too many. */
static bool credits_of(const struct decide *d, enum account_unit unit, micros money, micros *credits)
{
	__int128 exact;

	CHECK(d->terms.credit_value_ppm > 0);
	exact = unit == UNIT_MONEY ? money : (__int128)money * 1000000 / d->terms.credit_value_ppm;
	if (exact <= 0 || exact > MONEY_AMOUNT_MAX_MICROS)
		return false;
	*credits = (micros)exact;
	return true;
}

void decide_topup(struct decide *d, struct slot *s, struct command *c)
{
	struct answer *a = &c->answer;
	struct billing_row *b;
	struct topups_row *t;
	micros credits = 0, bonus = 0;
	bool good;

	good = c->topup.amount_minor > 0 && c->topup.amount_minor <= ORDER_MINOR_MAX &&
	       credits_of(d, a->unit, c->topup.money_micros, &credits);
	if (good)
		bonus = topup_bonus_of(&d->billing.topup_bonus, c->topup.money_micros, credits);
	if (!good || !funds_fit(s->account, money_sum(credits, bonus))) {
		a->outcome = OUTCOME_INVALID_REQUEST;
		a->field = "amount";
		return;
	}
	if (open_orders_full(d, rows_billing(d->rows, s), a))
		return;

	/* From here on it succeeds. */
	effects_account(d, s, c);
	b = effects_billing(d, s);
	customer_keep_key(d, s, c->topup.customer_key);
	t = (struct topups_row *)rows_alloc(d->rows, TABLE_TOPUPS);
	memcpy(t->account_id, s->key.bytes, sizeof(t->account_id));
	t->seq = ++b->topup_seq;
	t->state = TOPUP_OPEN;
	t->unit = s->account->unit;
	t->amount_minor = c->topup.amount_minor;
	t->amount_micros = credits;
	t->bonus_micros = bonus;
	t->currency = c->topup.currency;
	t->livemode = c->topup.livemode;
	t->session_key = c->topup.session_key;
	t->created_at_us = d->now_us;
	row_check_topup(t);
	CHECK(t->unit == (int64_t)a->unit);
	rows_add(d->rows, s, &t->row);
	open_orders_begin(d, b, t);
	b->orders_live++;
	row_check_billing(b);
	a->outcome = OUTCOME_OK;
	a->seq = t->seq;
	a->amount_micros = credits;
	funds_figures(s, a);
}
