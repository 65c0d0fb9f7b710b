/*
 * recharge_begin: the worker takes up a due charge, or goes on with the one that is under way.  Everything is looked at
 * anew: the balance, the settings, the caps.  The amount of the order is that of now.
 */
#include "ledger/decide/decide.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/alert.h"
#include "ledger/decide/new_order.h"
#include "ledger/decide/recharge.h"
#include "ledger/decide/row_check.h"
#include "ledger/decide/window.h"

#define US_PER_SECOND INT64_C(1000000)
#define LOOK_AGAIN_US (3600 * US_PER_SECOND)
/* Stripe may forget an idempotency key after a day. */
#define KEY_LIFE_US (20 * 3600 * US_PER_SECOND)

static void put_off(struct decide *d, struct recharges_row *r, struct answer *a, enum recharge_reason reason,
                    int64_t until_us)
{
	CHECK(until_us > d->now_us);
	if (r->reason != (int64_t)reason || r->next_at_us != until_us)
		rows_touch(d->rows, &r->row);
	r->reason = reason;
	r->next_at_us = until_us;
	row_check_recharge(r);
	a->recharge_step = RECHARGE_WAIT;
	a->wait_us = until_us - d->now_us;
}

/* True if nothing can be charged at this hour; then the reason and the time are noted. */
static bool has_to_wait(struct decide *d, struct slot *s, struct recharges_row *r, struct answer *a)
{
	window_turn(&r->month_micros, &r->month_until_us, s->zone, zone_next_month, d->now_us);
	window_turn(&r->day_count, &r->day_until_us, s->zone, zone_next_day, d->now_us);
	if (s->account->mode == MODE_POSTPAID)
		put_off(d, r, a, RECHARGE_NOT_PREPAID, d->now_us + LOOK_AGAIN_US);
	else if (s->account->status != STATUS_ACTIVE)
		put_off(d, r, a, RECHARGE_ACCOUNT_SUSPENDED, d->now_us + LOOK_AGAIN_US);
	else if (r->reason == RECHARGE_BACKING_OFF && r->next_at_us > d->now_us)
		put_off(d, r, a, RECHARGE_BACKING_OFF, r->next_at_us);
	else if (r->charge_micros > r->cap_micros - r->month_micros)
		put_off(d, r, a, RECHARGE_MONTHLY_CAP, r->month_until_us);
	else if (r->day_count >= RECHARGE_DAILY_MAX)
		put_off(d, r, a, RECHARGE_DAILY_CAP, r->day_until_us);
	else
		return false;
	return true;
}

static enum recharge_reason why_never(const struct decide *d, const struct slot *s, const struct recharges_row *r,
                                      struct new_order *o)
{
	const micros minor_micros = money_of_minor(d->billing.decimals);

	if (strcmp(r->currency, d->billing.currency) != 0)
		return RECHARGE_CURRENCY_CHANGED;
	if (r->unit != s->account->unit)
		return RECHARGE_UNIT_CHANGED;
	o->money_micros = r->charge_micros;
	o->amount_minor = r->charge_micros % minor_micros == 0 ? r->charge_micros / minor_micros : 0;
	return new_order_price(d, s, (enum account_unit)s->account->unit, o) ? RECHARGE_FINE : RECHARGE_CHARGE_REFUSED;
}

static void begin(struct decide *d, struct slot *s, struct recharges_row *r, struct command *c)
{
	struct new_order o = {
		.currency = r->currency,
		.session_key = c->recharge_begin.session_key,
		.livemode = c->recharge_begin.livemode,
		.consent_seq = r->consent_seq,
	};
	enum recharge_reason reason;
	struct topups_row *t;

	if (s->account->balance_micros >= r->below_micros) {
		r->reason = RECHARGE_FINE;
		r->next_at_us = 0;
		rows_touch(d->rows, &r->row);
		recharge_arm(d, s, r);
		return;
	}
	if (has_to_wait(d, s, r, &c->answer))
		return;
	reason = why_never(d, s, r, &o);
	rows_touch(d->rows, &r->row);
	if (reason != RECHARGE_FINE) {
		recharge_pause(d, s, r, reason);
		return;
	}
	t = new_order_add(d, s, &o);
	recharge_pending(r, t);
	row_check_recharge(r);
	c->answer.recharge_step = RECHARGE_POST;
	c->answer.seq = t->seq;
}

/* Goes on with the pending order. */
static void go_on(struct decide *d, struct slot *s, struct recharges_row *r, struct command *c)
{
	struct topups_row *t;

	c->answer.seq = r->pending_seq;
	if (c->topup_seq != r->pending_seq) {
		c->answer.recharge_step = RECHARGE_READ;
		return;
	}
	t = rows_topup(d->rows, s, c->topup_seq);
	CHECK(t != NULL && t->consent_seq > 0);
	if (recharge_unneeded(s, r, t)) {
		recharge_drop(d, s, r, t);
		recharge_arm(d, s, r);
		return;
	}
	c->answer.recharge_step = RECHARGE_POST;
	if (r->card[0] != '\0' && (recharge_withdrawn(r, t) || d->now_us - r->begun_at_us > KEY_LIFE_US))
		c->answer.recharge_step = RECHARGE_ASK;
}

void decide_recharge_begin(struct decide *d, struct slot *s, struct command *c)
{
	struct recharges_row *r = rows_recharge(d->rows, s);

	if (r == NULL || s->account == NULL) {
		c->answer.outcome = OUTCOME_NOT_FOUND;
		return;
	}

	/* From here on it succeeds. */
	c->answer.outcome = OUTCOME_OK;
	c->answer.recharge_step = RECHARGE_NOTHING;
	if (r->pending_seq != 0)
		go_on(d, s, r, c);
	else if (r->state == RECHARGE_ON && alert_recharge_number(s->account->alerts) == c->recharge_begin.number)
		begin(d, s, r, c);
}
