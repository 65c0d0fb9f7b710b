#include "ledger/decide/paid_period.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/allowance.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/row_check.h"
#include "ledger/decide/workspace.h"

#define ANCHOR_AHEAD_US (INT64_C(732) * 86400 * 1000000) /* a year's first, partial period begins before its anchor */

/* ---- sums ------------------------------------------------------------------------------------------ */

/* amount * part / whole, at most MONEY_AMOUNT_MAX_MICROS; part must not be negative. */
static micros period_share(micros amount, int64_t part, int64_t whole, bool up)
{
	const __int128 product = (__int128)amount * part;
	__int128 exact;

	CHECK(part >= 0 && whole > 0);
	exact = product / whole;
	if (up && exact * whole < product)
		exact++;
	return exact > MONEY_AMOUNT_MAX_MICROS ? MONEY_AMOUNT_MAX_MICROS : (micros)exact;
}

static micros allowance_of(struct decide *d, struct slot *s, const char *plan, int64_t at_us)
{
	const struct workspaces_row *w = workspace_of(d, s);
	const struct plan *p = book_plan_at(d->book, plan, at_us);

	CHECK(w == NULL || (w->managers >= 0 && w->members >= 0));
	return p == NULL ? 0 : plan_allowance(p, w != NULL ? w->managers : 0, w != NULL ? w->members : 0);
}

micros paid_period_monthly(struct decide *d, struct slot *s, const char *plan, const char *instead_of, int64_t at_us)
{
	const micros more = allowance_of(d, s, plan, at_us) - allowance_of(d, s, instead_of, at_us);

	return more > 0 ? more : 0;
}

/* The part of the row's money that is refunded or disputed, at most all of it. */
static int64_t lost_minor(const struct paid_periods_row *r)
{
	const int64_t unknown = r->charge_refunded_minor - r->refunds_known_minor;
	const __int128 lost = (__int128)r->refunds_live_minor + (unknown > 0 ? unknown : 0) + r->disputes_minor;

	CHECK(lost >= 0 && r->amount_minor >= 0);
	return lost < r->amount_minor ? (int64_t)lost : r->amount_minor;
}

/* The part of an amount that the row's money pays for, less the money that is refunded or disputed. */
static micros kept(const struct paid_periods_row *r, micros amount)
{
	CHECK(amount >= 0);
	return r->amount_minor == 0 ? amount
	                            : period_share(amount, r->amount_minor - lost_minor(r), r->amount_minor, false);
}

/* The credits of the row that the customer had or still has. */
static micros had(const struct paid_periods_row *r)
{
	const micros left = r->granted_micros - r->returned_micros - r->lapsed_micros - r->taken_micros;

	CHECK(left >= 0 && left <= r->granted_micros);
	return left;
}

/* ---- months ---------------------------------------------------------------------------------------- */

struct month {
	int64_t start_us, end_us; /* as far as it is paid */
	int64_t whole_us;         /* its whole length */
};

/* The month, counted from the anchor in UTC, that at_us lies in, cut to the time that the row pays for. */
static struct month month_at(int64_t anchor_us, const struct paid_periods_row *r, int64_t at_us)
{
	const int64_t day_us = INT64_C(86400) * 1000000;
	int64_t index = (at_us - anchor_us) / (day_us * 31) - 2;
	int64_t next_us = zone_add_months(anchor_us, index + 1), start_us;
	struct month m;

	do {
		start_us = next_us;
		index++;
		next_us = zone_add_months(anchor_us, index + 1);
	} while (next_us <= at_us);
	CHECK(start_us <= at_us && at_us < r->end_us);
	m.whole_us = next_us - start_us;
	m.start_us = start_us > r->start_us ? start_us : r->start_us;
	m.end_us = next_us < r->end_us ? next_us : r->end_us;
	CHECK(at_us < m.end_us && m.end_us <= next_us);
	return m;
}

/* ---- what a period gives --------------------------------------------------------------------------- */

/* From at_us on, the period's rate (micros a month) changes by change. */
static void change_rate(struct workspaces_row *w, micros change, int64_t at_us)
{
	if (at_us >= w->rate_from_us) {
		w->earned_micros += period_share(w->rate_micros, at_us - w->rate_from_us, w->whole_us, false);
		w->rate_from_us = at_us;
	} else {
		w->earned_micros += period_share(change, w->rate_from_us - at_us, w->whole_us, false);
	}
	w->rate_micros += change;
	CHECK(w->rate_micros >= 0);
}

/* The credits that the period gives by its end, if nothing changes any more. */
static micros earned(const struct workspaces_row *w)
{
	return w->earned_micros + period_share(w->rate_micros, w->period_end_us - w->rate_from_us, w->whole_us, false);
}

static int64_t within(const struct workspaces_row *w, int64_t at_us)
{
	CHECK(w->period_start_us < w->period_end_us);
	if (at_us < w->period_start_us)
		return w->period_start_us;
	return at_us < w->period_end_us ? at_us : w->period_end_us;
}

/* Takes back the credits that were granted beyond earned(w). */
static void settle_less(struct decide *d, struct slot *s)
{
	struct workspaces_row *w = workspace_of(d, s);
	micros less = w->granted_micros - earned(w), left = less;
	int64_t grant_seq = 0;

	if (less <= 0 || !funds_fit(s->account, -less)) {
		allowance_take(d, s, 0, 0, d->now_us);
		return;
	}
	for (struct paid_periods_row *r = rows_periods(s); r != NULL; r = (struct paid_periods_row *)r->row.next) {
		const micros part = r->running != 0 ? money_least(left, had(r)) : 0;

		if (part <= 0)
			continue;
		if (grant_seq == 0)
			grant_seq = r->grant_seq;
		r->returned_micros += part;
		rows_touch(d->rows, &r->row);
		left -= part;
		row_check_paid_period(r);
	}
	CHECK(left >= 0);
	allowance_take(d, s, less, grant_seq, d->now_us);
	CHECK(w->granted_micros == earned(w));
}

static void give(struct decide *d, struct slot *s, struct paid_periods_row *r, enum allowance_reason reason,
                 micros amount, int64_t at_us)
{
	const struct allowance_given what = {.reason = reason, .amount_micros = amount, .paid_seq = r->seq};
	micros given;

	CHECK(amount >= 0 && r->running == 1);
	given = allowance_give(d, s, &what, at_us);
	workspace_of(d, s)->granted_micros += given;
	r->granted_micros += given;
	if (given > 0)
		r->grant_seq = s->account->grant_seq;
	row_check_paid_period(r);
	rows_touch(d->rows, &r->row);
}

/* ---- payments -------------------------------------------------------------------------------------- */

static bool period_runs(const struct workspaces_row *w)
{
	return w != NULL && w->plan[0] != '\0';
}

struct paid_periods_row *paid_period_running(struct decide *d, struct slot *s, const unsigned char key[ID_KEY_BYTES])
{
	const struct workspaces_row *w = workspace_of(d, s);

	if (!period_runs(w) || w->subscribed == 0)
		return NULL;
	for (struct paid_periods_row *r = rows_periods(s); r != NULL; r = (struct paid_periods_row *)r->row.next)
		if (r->running != 0 && r->instead_of[0] == '\0' &&
		    memcmp(r->subscription_key, key, sizeof(r->subscription_key)) == 0)
			return r;
	return NULL;
}

/* All rows but next run no more.  The remaining time of the subscription's own period is taken back, for Stripe has
 * credited it. */
static void cut(struct decide *d, struct slot *s, const struct paid_periods_row *next)
{
	struct workspaces_row *w = workspace_of(d, s);
	struct paid_periods_row *own = paid_period_running(d, s, next->subscription_key);

	if (own != NULL) {
		change_rate(w, -w->rate_micros, within(w, next->start_us));
		settle_less(d, s);
	}
	for (struct paid_periods_row *r = rows_periods(s); r != NULL; r = (struct paid_periods_row *)r->row.next)
		if (r->running != 0 && r != next) {
			r->running = 0;
			rows_touch(d->rows, &r->row);
		}
}

/* Sets the figures of a period of the workspace.  A period is known by its start, so it must begin after every period
 * that has begun. */
static void set_month(struct workspaces_row *w, const struct month *m, micros rate)
{
	int64_t start_us = m->start_us;

	CHECK(m->start_us < m->end_us && m->end_us - m->start_us <= m->whole_us);
	CHECK(rate >= 0);
	if (start_us <= w->period_start_us)
		start_us = period_runs(w) ? w->period_start_us + 1 : w->period_start_us;
	w->subscribed = PERIOD_SUBSCRIBED;
	w->period_start_us = start_us;
	w->period_end_us = m->end_us;
	w->whole_us = m->whole_us;
	w->rate_micros = rate;
	w->rate_from_us = m->start_us;
	w->earned_micros = 0;
}

void paid_period_begin(struct decide *d, struct slot *s, struct paid_periods_row *r, int64_t anchor_us)
{
	const struct plan *p = book_plan_at(d->book, r->plan, d->now_us);
	const int64_t now_us = d->now_us > r->start_us ? d->now_us : r->start_us;
	struct workspaces_row *w = workspace_ensure(d, s);
	struct allowance_given what = {.reason = ALLOWANCE_PERIOD, .paid_seq = r->seq};
	struct month m;

	/* A period begins once. */
	CHECK(p != NULL && r->running == 0 && r->granted_micros == 0 && r->instead_of[0] == '\0');
	cut(d, s, r);
	if (anchor_us == 0 || anchor_us > r->start_us + ANCHOR_AHEAD_US)
		anchor_us = r->start_us;
	m = month_at(anchor_us, r, now_us);
	w->anchor_local_us = anchor_us;
	w->period_index = 0;
	set_month(w, &m, paid_period_monthly(d, s, r->plan, "", d->now_us));
	what.amount_micros = earned(w);
	r->running = 1;
	allowance_begin(d, s, p, -1, &what, now_us > w->period_start_us ? now_us : w->period_start_us);
	r->granted_micros = w->granted_micros;
	r->grant_seq = r->granted_micros > 0 ? s->account->grant_seq : 0;
	row_check_paid_period(r);
	row_check_workspace(w);
	rows_touch(d->rows, &r->row);
}

void paid_period_upgrade(struct decide *d, struct slot *s, struct paid_periods_row *r)
{
	const struct plan *p = book_plan_at(d->book, r->plan, d->now_us);
	struct workspaces_row *w = workspace_of(d, s);
	micros target;

	CHECK(p != NULL && period_runs(w));
	CHECK(r->running == 0 && r->granted_micros == 0 && r->instead_of[0] != '\0');
	r->running = 1;
	rows_touch(d->rows, &r->row);
	rows_touch(d->rows, &w->row);
	if (d->billing.plan_upgrade == UPGRADE_NEXT_PERIOD) {
		w->changing = 1;
		w->next_plan = p->name;
		return;
	}
	change_rate(w, paid_period_monthly(d, s, r->plan, r->instead_of, d->now_us), within(w, r->start_us));
	target = earned(w);
	if (d->billing.plan_upgrade == UPGRADE_FULL && target < w->rate_micros)
		target = w->rate_micros;
	allowance_name_plan(w, p);
	allowance_take_seats(w, p);
	give(d, s, r, ALLOWANCE_UPGRADE, target > w->granted_micros ? target - w->granted_micros : 0, d->now_us);
}

/* ---- what Stripe says of the subscription ---------------------------------------------------------- */

static void end_with_period(struct workspaces_row *w)
{
	w->changing = 1;
	w->next_plan = "";
}

/* The start of the latest running row: it overtakes older events about the plan. */
static int64_t paid_since(struct slot *s)
{
	const struct paid_periods_row *r;
	int64_t since_us = 0;

	for (r = rows_periods(s); r != NULL; r = (const struct paid_periods_row *)r->row.next)
		if (r->running != 0 && r->start_us > since_us)
			since_us = r->start_us;
	return since_us;
}

static void become_smaller(struct decide *d, struct slot *s, const struct plan *p, micros rate, int64_t at_us)
{
	struct workspaces_row *w = workspace_of(d, s);

	CHECK(rate >= 0 && period_runs(w));
	if (rate < w->rate_micros)
		change_rate(w, rate - w->rate_micros, within(w, at_us > w->rate_from_us ? at_us : w->rate_from_us));
	allowance_name_plan(w, p);
	settle_less(d, s);
}

void paid_period_follow(struct decide *d, struct slot *s, const struct subscriptions_row *r, const char *plan,
                        bool ends)
{
	struct workspaces_row *w = workspace_of(d, s);
	const struct plan *p = book_plan_at(d->book, plan, d->now_us);
	const micros rate = p != NULL ? paid_period_monthly(d, s, plan, "", d->now_us) : 0;

	if (!period_runs(w) || w->subscribed == 0)
		return;
	rows_touch(d->rows, &w->row);
	w->subscribed = strcmp(r->status, "canceled") == 0 ? PERIOD_CANCELLED : PERIOD_SUBSCRIBED;
	if (p == NULL) {
		end_with_period(w);
		return;
	}
	if (w->changing != 0 && strcmp(w->next_plan, plan) != 0) {
		w->changing = 0;
		w->next_plan = "";
	}
	if (strcmp(plan, w->plan) != 0 && allowance_of(d, s, w->plan, d->now_us) >= rate &&
	    r->event_at_us >= paid_since(s))
		become_smaller(d, s, p, rate, r->plan_at_us >= paid_since(s) ? r->plan_at_us : r->event_at_us);
	if (ends)
		end_with_period(w);
	row_check_workspace(w);
}

/* ---- time ------------------------------------------------------------------------------------------ */

void paid_period_seated(struct decide *d, struct slot *s, micros quota)
{
	struct workspaces_row *w = workspace_of(d, s);
	struct paid_periods_row *base = NULL;

	if (quota <= 0 || w->subscribed == 0)
		return;
	CHECK(period_runs(w));
	/* The quota is given in full, and lessened like the rest of the month's allowance. */
	w->rate_micros += quota;
	w->earned_micros += quota - period_share(quota, w->period_end_us - w->rate_from_us, w->whole_us, false);
	for (struct paid_periods_row *r = rows_periods(s); r != NULL; r = (struct paid_periods_row *)r->row.next)
		if (r->running != 0 && r->instead_of[0] == '\0')
			base = r;
	if (base != NULL) {
		base->granted_micros += quota;
		row_check_paid_period(base);
		rows_touch(d->rows, &base->row);
	}
}

/* The remainder of the period's credits lapses; rows whose time is over stop running. */
static void lapse(struct decide *d, struct slot *s, micros left, int64_t at_us)
{
	CHECK(left >= 0);
	for (struct paid_periods_row *r = rows_periods(s); r != NULL; r = (struct paid_periods_row *)r->row.next) {
		const micros part = r->running != 0 ? money_least(left, had(r)) : 0;

		if (r->running == 0)
			continue;
		if (part > 0) {
			r->lapsed_micros += part;
			left -= part;
		}
		r->running = r->end_us > at_us;
		row_check_paid_period(r);
		rows_touch(d->rows, &r->row);
	}
}

/* The row that pays for the plan from at_us on, unless all of its money went back. */
static struct paid_periods_row *base_at(struct slot *s, int64_t at_us)
{
	for (struct paid_periods_row *r = rows_periods(s); r != NULL; r = (struct paid_periods_row *)r->row.next)
		if (r->running != 0 && r->instead_of[0] == '\0' && r->end_us > at_us &&
		    (r->amount_minor == 0 || lost_minor(r) < r->amount_minor))
			return r;
	return NULL;
}

/* Adds to the next month the upgrades that are paid for longer than this one, at most up to the plan's allowance. */
static void add_upgrades(struct decide *d, struct slot *s, micros most, int64_t at_us)
{
	struct workspaces_row *w = workspace_of(d, s);

	for (struct paid_periods_row *r = rows_periods(s); r != NULL; r = (struct paid_periods_row *)r->row.next) {
		const micros more = paid_period_monthly(d, s, r->plan, r->instead_of, at_us);
		const micros whole = money_least(kept(r, more), most - w->rate_micros);
		const micros before = earned(w);

		if (r->running == 0 || r->instead_of[0] == '\0' || whole <= 0)
			continue;
		w->rate_micros += whole;
		give(d, s, r, ALLOWANCE_UPGRADE, earned(w) - before, at_us);
		CHECK(w->rate_micros <= most);
	}
}

/* Begins the next month of a plan that is paid for longer than the month before. */
static void go_on(struct decide *d, struct slot *s, const struct plan *p, struct paid_periods_row *base, micros carried,
                  int64_t at_us)
{
	struct workspaces_row *w = workspace_of(d, s);
	const struct month m = month_at(w->anchor_local_us, base, at_us);
	const micros most = plan_allowance(p, w->managers, w->members);
	struct allowance_given what = {.reason = ALLOWANCE_PERIOD, .paid_seq = base->seq};

	CHECK(base->running == 1 && base->instead_of[0] == '\0' && base->end_us > at_us);
	set_month(w, &m, money_least(kept(base, paid_period_monthly(d, s, base->plan, "", at_us)), most));
	w->period_start_us = w->rate_from_us = at_us;
	what.amount_micros = earned(w);
	allowance_begin(d, s, p, carried, &what, at_us);
	base->granted_micros += w->granted_micros;
	base->grant_seq = w->granted_micros > 0 ? s->account->grant_seq : base->grant_seq;
	row_check_paid_period(base);
	rows_touch(d->rows, &base->row);
	add_upgrades(d, s, most, at_us);
}

void paid_period_turn(struct decide *d, struct slot *s)
{
	struct workspaces_row *w = workspace_of(d, s);
	const int64_t at_us = w->period_end_us;
	const struct plan *old = book_plan_of_version(d->book, w->plan, w->plan_version);
	const struct plan *p = book_plan_at(d->book, w->changing != 0 ? w->next_plan : w->plan, at_us);
	struct paid_periods_row *base;
	micros left, carried;

	CHECK(period_runs(w) && at_us != 0);
	if (w->subscribed == 0) {
		lapse(d, s, 0, INT64_MAX);
		allowance_turn(d, s);
		return;
	}
	left = allowance_expire(d, s, at_us);
	base = base_at(s, at_us);
	carried = p != NULL && base != NULL && old != NULL ? money_least(left, old->rollover_micros) : 0;
	CHECK(carried >= 0 && carried <= left);
	lapse(d, s, left - carried, p == NULL || base == NULL ? INT64_MAX : at_us);
	if (p == NULL || base == NULL)
		allowance_end(d, s, at_us);
	else
		go_on(d, s, p, base, carried, at_us);
	/* The period that has ended is not due again. */
	CHECK(w->period_end_us == 0 || w->period_end_us > at_us);
}

/* ---- payments of invoices ------------------------------------------------------------------------- */

static const struct payments_row *payment_of(struct decide *d, const struct command *c)
{
	return c->payment_id[0] == '\0'
	               ? NULL
	               : (const struct payments_row *)rows_find(d->rows, NULL, TABLE_PAYMENTS, c->payment_key);
}

bool paid_period_payment_mismatch(struct decide *d, const struct slot *s, const struct command *c)
{
	const struct payments_row *p = payment_of(d, c);

	return p != NULL && (p->kind != PAYMENT_OF_PERIOD || p->topup_seq != c->topup_seq ||
	                     memcmp(p->account_id, s->key.bytes, sizeof(p->account_id)) != 0);
}

bool paid_period_keep_payment(struct decide *d, struct slot *s, struct paid_periods_row *r, const struct command *c)
{
	struct payments_row *p;

	if (c->payment_id[0] == '\0' || payment_of(d, c) != NULL)
		return false;
	if (r->payment_id[0] == '\0') {
		r->payment_id = c->payment_id;
		rows_touch(d->rows, &r->row);
	}
	p = (struct payments_row *)rows_alloc(d->rows, TABLE_PAYMENTS);
	memcpy(p->payment_key, c->payment_key, sizeof(p->payment_key));
	memcpy(p->account_id, s->key.bytes, sizeof(p->account_id));
	p->payment_id = c->payment_id;
	p->topup_seq = r->seq;
	p->kind = PAYMENT_OF_PERIOD;
	p->created_at_us = d->now_us;
	row_check_payment(p);
	rows_add(d->rows, NULL, &p->row);
	return true;
}

/* ---- refunds and disputes -------------------------------------------------------------------------- */

/* The credits to be taken back in all, by the known facts about the money. */
static micros claim_of(const struct paid_periods_row *r)
{
	CHECK(r->granted_micros >= 0 && r->amount_minor >= 0);
	return r->amount_minor == 0 ? 0 : period_share(r->granted_micros, lost_minor(r), r->amount_minor, true);
}

/* The credits still to be taken: at most those that the customer had or has.  Lapsed credits are gone already. */
static micros more_of(const struct paid_periods_row *r)
{
	return money_least(claim_of(r) - r->taken_micros - r->lapsed_micros, had(r));
}

bool paid_period_claim_fits(const struct slot *s, const struct paid_periods_row *r)
{
	const micros more = more_of(r);

	return funds_fit(s->account, more > 0 ? -more : r->taken_micros);
}

/* The remainder of the running period's allowances. */
static micros left_of_period(struct decide *d, struct slot *s, const struct paid_periods_row *r)
{
	const struct workspaces_row *w = workspace_of(d, s);
	micros left = 0;

	if (w == NULL || r->running == 0)
		return 0;
	for (const struct grants_row *g = rows_grants(s); g != NULL; g = (const struct grants_row *)g->row.next)
		if (g->type == TRANSACTION_PLAN_ALLOWANCE && g->expires_at_us == w->period_end_us)
			left += g->remaining_micros;
	return left;
}

static void take_back(struct decide *d, struct slot *s, struct paid_periods_row *r, struct effects_transaction *t,
                      micros more)
{
	const micros own = money_least(more, left_of_period(d, s, r));

	CHECK(own >= 0 && more > 0 && more <= had(r));
	t->amount_micros = -more;
	effects_claw_back(d, s, t, r->grant_seq);
	r->taken_micros += more;
	r->owed_micros += more - own;
	row_check_paid_period(r);
}

/* The part of owed_micros to be given back.  owed_micros was taken from other credits or became debt; it is given back
 * as far as lapsed credits and the period's own credits meet the claim. */
static micros owed_back(const struct paid_periods_row *r)
{
	const micros due = claim_of(r) - r->lapsed_micros - (r->taken_micros - r->owed_micros);

	CHECK(r->owed_micros >= 0 && r->owed_micros <= r->taken_micros);
	return r->owed_micros - money_least(r->owed_micros, due > 0 ? due : 0);
}

/* Gives back owed_back(r).  The rest of taken_micros were credits of the period: they come back until its end, and not
 * after it. */
static void give_period_back(struct decide *d, struct slot *s, struct paid_periods_row *r,
                             struct effects_transaction *t)
{
	const struct workspaces_row *w = workspace_of(d, s);
	const micros owed = owed_back(r);
	micros own;

	t->amount_micros = owed;
	if (owed > 0)
		effects_transact(d, s, t);
	r->owed_micros -= owed;
	r->taken_micros -= owed;
	own = r->taken_micros - r->owed_micros;
	own = money_least(own, r->taken_micros - claim_of(r));
	if (own <= 0 || r->running == 0 || w == NULL || w->period_end_us <= d->now_us)
		return;
	t->amount_micros = own;
	t->priority = effects_priority(TRANSACTION_PLAN_ALLOWANCE);
	t->expires_at_us = w->period_end_us;
	effects_transact(d, s, t);
	r->taken_micros -= own;
	row_check_paid_period(r);
}

void paid_period_claim(struct decide *d, struct slot *s, struct paid_periods_row *r, enum transaction_type type,
                       const char *reference)
{
	const micros more = more_of(r);
	struct effects_transaction t = {
		.type = type,
		.priority = effects_priority(type),
		.at_us = d->now_us,
		.reference = reference,
		.actor = "subscription",
	};

	CHECK(type == TRANSACTION_REFUND || type == TRANSACTION_DISPUTE);
	rows_touch(d->rows, &r->row);
	if (more > 0) {
		t.description = type == TRANSACTION_DISPUTE ? "dispute" : "refund";
		take_back(d, s, r, &t, more);
	} else {
		t.description = type == TRANSACTION_DISPUTE ? "dispute won" : "refund failed";
		give_period_back(d, s, r, &t);
	}
}
