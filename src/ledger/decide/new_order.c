#include "ledger/decide/new_order.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
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

bool new_order_price(const struct decide *d, const struct slot *s, enum account_unit unit, struct new_order *o)
{
	if (o->amount_minor <= 0 || o->amount_minor > ORDER_MINOR_MAX ||
	    !credits_of(d, unit, o->money_micros, &o->credits_micros))
		return false;
	o->bonus_micros = topup_bonus_of(&d->billing.topup_bonus, o->money_micros, o->credits_micros);
	return funds_fit(s->account, money_sum(o->credits_micros, o->bonus_micros));
}

struct topups_row *new_order_add(struct decide *d, struct slot *s, const struct new_order *o)
{
	struct billing_row *b = effects_billing(d, s);
	struct topups_row *t = (struct topups_row *)rows_alloc(d->rows, TABLE_TOPUPS);

	memcpy(t->account_id, s->key.bytes, sizeof(t->account_id));
	t->seq = ++b->topup_seq;
	t->state = TOPUP_OPEN;
	t->unit = s->account->unit;
	t->amount_minor = o->amount_minor;
	t->amount_micros = o->credits_micros;
	t->bonus_micros = o->bonus_micros;
	t->currency = o->currency;
	t->livemode = o->livemode;
	t->session_key = o->session_key;
	t->created_at_us = d->now_us;
	t->consent_seq = o->consent_seq;
	t->save_card = o->save_card;
	row_check_topup(t);
	rows_add(d->rows, s, &t->row);
	b->orders_live++;
	row_check_billing(b);
	return t;
}
