#include "ledger/decide/recharge.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/alert.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/row_check.h"

static const bool ends_with_card[RECHARGE_REASONS] = {
#define RECHARGE_REASON(NAME, name, card, english, french) [RECHARGE_##NAME] = card,
#include "ledger/recharge_reasons.def"
#undef RECHARGE_REASON
};

static void keep_row(struct decide *d, struct recharges_row *r)
{
	row_check_recharge(r);
	rows_touch(d->rows, &r->row);
}

static void forget_declines(struct recharges_row *r)
{
	r->failures = 0;
	r->code = "";
	r->code_count = 0;
}

struct recharges_row *recharge_ensure(struct decide *d, struct slot *s)
{
	struct recharges_row *r = rows_recharge(d->rows, s);

	if (r == NULL) {
		r = (struct recharges_row *)rows_alloc(d->rows, TABLE_RECHARGES);
		memcpy(r->account_id, s->key.bytes, sizeof(r->account_id));
		r->created_at_us = d->now_us;
		rows_add(d->rows, s, &r->row);
	}
	keep_row(d, r);
	return r;
}

void recharge_arm(struct decide *d, struct slot *s, const struct recharges_row *r)
{
	const bool on = r->state == RECHARGE_ON;

	if (r->pending_seq != 0)
		alert_recharge_rest(d, s, on ? r->below_micros : 0);
	else
		alert_recharge_arm(d, s, on ? r->below_micros : 0, r->next_at_us);
}

bool recharge_withdrawn(const struct recharges_row *r, const struct topups_row *t)
{
	CHECK(t->consent_seq > 0);
	return r->state != RECHARGE_ON || t->consent_seq != r->consent_seq || r->month_micros > r->cap_micros;
}

bool recharge_unneeded(const struct slot *s, const struct recharges_row *r, const struct topups_row *t)
{
	CHECK(s->account != NULL && r->pending_seq == t->seq);
	return r->card[0] == '\0' && (recharge_withdrawn(r, t) || s->account->balance_micros >= r->below_micros);
}

void recharge_pending(struct recharges_row *r, const struct topups_row *t)
{
	CHECK(r->pending_seq == 0 && r->state == RECHARGE_ON && t->consent_seq == r->consent_seq);
	r->pending_seq = t->seq;
	r->pending_micros = r->charge_micros;
	r->month_micros = money_sum(r->month_micros, r->charge_micros);
	r->day_count++;
	r->card = "";
	r->begun_at_us = 0;
	r->reason = RECHARGE_FINE;
	r->next_at_us = 0;
	CHECK(r->month_micros <= r->cap_micros && r->day_count <= RECHARGE_DAILY_MAX);
}

/* A window that has ended since counts it no more in any case. */
void recharge_pending_ends(struct decide *d, struct recharges_row *r, bool paid)
{
	CHECK(r->pending_seq != 0 && r->month_micros >= r->pending_micros);
	if (!paid && d->now_us < r->month_until_us)
		r->month_micros -= r->pending_micros;
	if (!paid && d->now_us < r->day_until_us && r->day_count > 0)
		r->day_count--;
	r->pending_seq = 0;
	r->pending_micros = 0;
	r->card = "";
	r->begun_at_us = 0;
	keep_row(d, r);
}

void recharge_drop(struct decide *d, struct slot *s, struct recharges_row *r, struct topups_row *t)
{
	struct billing_row *b = effects_billing(d, s);

	CHECK(t->seq == r->pending_seq && t->state != TOPUP_PAID);
	if (t->state == TOPUP_OPEN || t->state == TOPUP_PENDING) {
		b->orders_live--;
		t->state = TOPUP_FAILED;
		row_check_topup(t);
		rows_touch(d->rows, &t->row);
	}
	recharge_pending_ends(d, r, false);
}

void recharge_pause(struct decide *d, struct slot *s, struct recharges_row *r, enum recharge_reason reason)
{
	const enum alert_kind kind =
		reason == RECHARGE_ACTION_NEEDED ? ALERT_RECHARGE_ACTION_NEEDED : ALERT_RECHARGE_PAUSED;

	CHECK(reason != RECHARGE_FINE && r->state == RECHARGE_ON);
	r->state = RECHARGE_PAUSED;
	r->reason = reason;
	r->next_at_us = 0;
	alert_post(d, s, &(struct alert_what){.kind = kind});
	recharge_arm(d, s, r);
	keep_row(d, r);
}

void recharge_card_changed(struct decide *d, struct slot *s)
{
	struct recharges_row *r = rows_recharge(d->rows, s);

	if (r == NULL || r->state != RECHARGE_PAUSED || !ends_with_card[r->reason])
		return;
	r->state = RECHARGE_ON;
	r->reason = RECHARGE_FINE;
	forget_declines(r);
	recharge_arm(d, s, r);
	keep_row(d, r);
}

/* A charge that was given up, and is paid nevertheless, counts too. */
static void count_late(const struct decide *d, struct recharges_row *r, const struct topups_row *t)
{
	const micros money = t->amount_minor * money_of_minor(d->billing.decimals);

	if (d->now_us < r->month_until_us)
		r->month_micros = money_sum(r->month_micros, money);
	if (d->now_us < r->day_until_us)
		r->day_count++;
}

void recharge_paid(struct decide *d, struct slot *s, const struct topups_row *t)
{
	struct recharges_row *r = rows_recharge(d->rows, s);

	CHECK(t->state == TOPUP_PAID);
	if (r == NULL)
		return;
	if (t->consent_seq == 0) {
		if (t->save_card != 0)
			recharge_card_changed(d, s);
		return;
	}
	alert_post(d, s, &(struct alert_what){.kind = ALERT_RECHARGE_DONE, .amount_micros = t->amount_micros});
	if (r->pending_seq != t->seq) {
		count_late(d, r, t);
		keep_row(d, r);
		return;
	}
	recharge_pending_ends(d, r, true);
	forget_declines(r);
	if (r->state == RECHARGE_ON && t->refunded_micros + t->disputed_micros > 0)
		recharge_pause(d, s, r, RECHARGE_CHARGE_RETURNED); /* before the payment was known */
	else
		recharge_arm(d, s, r);
	keep_row(d, r);
}

/* A charge came back.  That is told unless a pause was: another card must not end it. */
static void recharge_stop(struct decide *d, struct slot *s, struct recharges_row *r)
{
	if (r->state == RECHARGE_ON) {
		recharge_pause(d, s, r, RECHARGE_CHARGE_RETURNED);
	} else if (ends_with_card[r->reason]) {
		r->reason = RECHARGE_CHARGE_RETURNED;
		keep_row(d, r);
	}
}

void recharge_returned(struct decide *d, struct slot *s, const struct order *before)
{
	struct recharges_row *r = rows_recharge(d->rows, s);
	const struct topups_row *t;

	if (r == NULL || r->state == RECHARGE_OFF || before->kind != PAYMENT_OF_TOPUP)
		return;
	t = rows_topup(d->rows, s, before->seq);
	if (t->consent_seq != 0 &&
	    t->refunded_micros + t->disputed_micros > before->refunded_micros + before->disputed_micros)
		recharge_stop(d, s, r);
}

/* ---- the command ------------------------------------------------------------------------------------ */

/* Consent is asked for where more could be charged, or otherwise, than was agreed to. */
static bool needs_consent(const struct decide *d, const struct slot *s, const struct recharges_row *r,
                          const struct command *c)
{
	return r == NULL || r->state == RECHARGE_OFF || r->consent_seq == 0 ||
	       r->charge_micros != c->recharge.charge_micros || c->recharge.cap_micros > r->cap_micros ||
	       strcmp(r->currency, d->billing.currency) != 0 || r->unit != s->account->unit;
}

static void keep_consent(struct decide *d, struct slot *s, struct recharges_row *r, const struct command *c)
{
	struct recharge_consents_row *k = (struct recharge_consents_row *)rows_alloc(d->rows, TABLE_RECHARGE_CONSENTS);

	memcpy(k->account_id, s->key.bytes, sizeof(k->account_id));
	k->seq = ++r->consent_seq;
	k->version = c->recharge.version;
	k->locale = c->recharge.locale;
	k->terms = c->recharge.text;
	k->unit = r->unit;
	k->below_micros = r->below_micros;
	k->charge_micros = r->charge_micros;
	k->cap_micros = r->cap_micros;
	k->currency = r->currency;
	k->actor = c->recharge.actor;
	k->address = c->recharge.address;
	k->created_at_us = d->now_us;
	row_check_recharge_consent(k);
	rows_add(d->rows, s, &k->row);
}

static void switch_off(struct decide *d, struct slot *s)
{
	struct recharges_row *r = rows_recharge(d->rows, s);

	if (r == NULL || r->state == RECHARGE_OFF)
		return;
	r->state = RECHARGE_OFF;
	r->reason = RECHARGE_FINE;
	r->next_at_us = 0;
	recharge_arm(d, s, r);
	keep_row(d, r);
}

/* True if auto-recharge is on with these settings: then nothing changes, and no new task is made. */
static bool is_as_asked(const struct decide *d, const struct slot *s, const struct recharges_row *r,
                        const struct command *c)
{
	return r != NULL && r->state == RECHARGE_ON && !needs_consent(d, s, r, c) &&
	       r->below_micros == c->recharge.below_micros && r->cap_micros == c->recharge.cap_micros;
}

/* A pause ends; the time until the next attempt after a decline does not. */
static void switch_on(struct decide *d, struct slot *s, const struct command *c)
{
	struct recharges_row *r = recharge_ensure(d, s);

	if (r->state != RECHARGE_ON)
		forget_declines(r);
	if (r->state != RECHARGE_ON || r->reason != RECHARGE_BACKING_OFF) {
		r->reason = RECHARGE_FINE;
		r->next_at_us = 0;
	}
	r->state = RECHARGE_ON;
	r->unit = s->account->unit;
	r->below_micros = c->recharge.below_micros;
	r->charge_micros = c->recharge.charge_micros;
	r->cap_micros = c->recharge.cap_micros;
	r->currency = d->billing.currency;
	if (c->recharge.version != NULL)
		keep_consent(d, s, r, c);
	recharge_arm(d, s, r);
	row_check_recharge(r);
}

void decide_recharge(struct decide *d, struct slot *s, struct command *c)
{
	struct answer *a = &c->answer;

	if (c->recharge.enabled && s->account != NULL && s->account->mode == MODE_POSTPAID) {
		a->outcome = OUTCOME_RECHARGE_NOT_PREPAID;
		return;
	}
	if (c->recharge.enabled && c->recharge.version == NULL &&
	    (s->account == NULL || needs_consent(d, s, rows_recharge(d->rows, s), c))) {
		a->outcome = OUTCOME_CONSENT_NEEDED;
		return;
	}

	/* From here on it succeeds. */
	a->outcome = OUTCOME_OK;
	if (!c->recharge.enabled) {
		switch_off(d, s);
		return;
	}
	effects_account(d, s, c);
	if (!is_as_asked(d, s, rows_recharge(d->rows, s), c))
		switch_on(d, s, c);
	row_check_account(s->account);
}
