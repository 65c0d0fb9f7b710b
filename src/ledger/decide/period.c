/*
 * period: an invoice of a subscription is paid, and its period is given: once, for the time that is left of it.  Events
 * may come in any order: a period waits for its subscription, and an upgrade for the period that it adds to.
 */
#include "ledger/decide/decide.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/allowance.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/order.h"
#include "ledger/decide/paid_period.h"
#include "ledger/decide/row_check.h"
#include "ledger/decide/workspace.h"

#define US_PER_SECOND INT64_C(1000000)
#define AHEAD_US (600 * US_PER_SECOND)                     /* Stripe's clock may be ahead of ours by that */
#define LONGEST_US (INT64_C(1100) * 86400 * US_PER_SECOND) /* Stripe's longest interval is three years */
#define TRIAL_SLACK_US (3600 * US_PER_SECOND)
#define SAME_PERIOD_US (INT64_C(2) * 86400 * US_PER_SECOND)

/* True if the running period belongs to another subscription, which may still change its cost. */
static bool is_of_another(struct decide *d, struct slot *s, const struct command *c)
{
	const struct workspaces_row *w = workspace_of(d, s);
	const struct paid_periods_row *r;

	if (w == NULL || w->subscribed != PERIOD_SUBSCRIBED)
		return false;
	for (r = rows_periods(s); r != NULL; r = (const struct paid_periods_row *)r->row.next)
		if (r->running != 0 && memcmp(r->subscription_key, c->object_key, sizeof(r->subscription_key)) != 0)
			return true;
	return false;
}

/* NULL, or the reason why the command must wait, for a fact that is not known yet or for a person. */
static const char *period_mismatch(struct decide *d, struct slot *s, const struct subscriptions_row *r,
                                   const struct paid_periods_row *known, const struct command *c)
{
	if (s->account == NULL)
		return "no such account";
	if (r == NULL)
		return "its subscription is not known yet";
	if (strcmp(r->customer_id, c->period.customer_id) != 0)
		return "another customer than the subscription's";
	if (known != NULL && strcmp(known->invoice_id, c->period.invoice_id) != 0)
		return "another invoice of that number is known";
	if (paid_period_payment_mismatch(d, s, c))
		return "this payment belongs to something else";
	if (c->period.amount_minor < 0 || c->period.amount_minor > ORDER_MINOR_MAX)
		return "an amount that cannot be";
	if (c->period.start_us <= 0 || c->period.end_us <= c->period.start_us ||
	    c->period.end_us - c->period.start_us > LONGEST_US)
		return "a period that cannot be";
	if (c->period.start_us > d->now_us + AHEAD_US)
		return "a period that has not begun";
	return NULL;
}

/* Checks as mismatch does, but a period that is to be given now. */
static const char *begin_mismatch(struct decide *d, struct slot *s, const struct paid_periods_row *running,
                                  const struct command *c)
{
	const struct plan *p = book_plan_at(d->book, c->period.plan, d->now_us);
	const struct workspaces_row *w = workspace_of(d, s);

	if (w != NULL && w->period_start_us > d->now_us)
		return "a period has begun at a later time";
	if (is_of_another(d, s, c))
		return "the account's plan is another subscription's";
	if (p == NULL)
		return "there is no such plan";
	if (p->unit != (enum account_unit)s->account->unit)
		return "the plan is for accounts of another unit";
	if (w != NULL && w->members > plan_seats(p, PLAN_MEMBER))
		return "the account has more members than the plan has seats";
	if (!funds_fit(s->account, paid_period_monthly(d, s, c->period.plan, "", d->now_us)))
		return "the plan's allowance does not fit the balance";
	if (c->period.instead_of[0] != '\0')
		return running == NULL ? "the period that it adds to is not paid" : NULL;
	if (running != NULL && running->start_us == c->period.start_us)
		return "this period has been paid by another invoice";
	return NULL;
}

/* True if nothing was paid, and plan_free_periods does not give such periods away. */
static bool is_given_away(const struct decide *d, const struct subscriptions_row *r, const struct command *c)
{
	const bool trial = c->period.end_us <= r->trial_end_us + TRIAL_SLACK_US;
	const enum plan_free_periods free_periods = d->billing.plan_free_periods;

	return c->period.free && free_periods != FREE_ALL && !(trial && free_periods == FREE_TRIALS);
}

static struct paid_periods_row *keep_period(struct decide *d, struct slot *s, const struct command *c)
{
	struct paid_periods_row *r = (struct paid_periods_row *)rows_alloc(d->rows, TABLE_PAID_PERIODS);

	memcpy(r->account_id, s->key.bytes, sizeof(r->account_id));
	r->seq = c->topup_seq;
	memcpy(r->subscription_key, c->object_key, sizeof(r->subscription_key));
	r->invoice_id = c->period.invoice_id;
	r->plan = c->period.plan;
	r->instead_of = c->period.instead_of;
	r->start_us = c->period.start_us;
	r->end_us = c->period.end_us;
	r->amount_minor = c->period.amount_minor;
	r->currency = c->period.currency;
	r->livemode = c->period.livemode;
	r->created_at_us = d->now_us;
	row_check_paid_period(r);
	rows_add(d->rows, s, &r->row);
	return r;
}

/* The running period, if this invoice is its own; else NULL.  A period that was given before periods were paid for has
 * no invoice: it takes this one. */
static struct paid_periods_row *adopt(struct decide *d, struct slot *s, const struct command *c)
{
	struct paid_periods_row *r = paid_period_running(d, s, c->object_key);

	if (r == NULL || c->period.instead_of[0] != '\0' || c->period.end_us > r->end_us + SAME_PERIOD_US)
		return NULL;
	if (r->invoice_id[0] != '\0')
		return strcmp(r->invoice_id, c->period.invoice_id) == 0 ? r : NULL;
	r->invoice_id = c->period.invoice_id;
	r->amount_minor = c->period.amount_minor;
	r->currency = c->period.currency;
	r->livemode = c->period.livemode;
	row_check_paid_period(r);
	rows_touch(d->rows, &r->row);
	return r;
}

/* The account's plan is this subscription's from now on.  Returns false if the subscription has ended by now. */
static bool lead_period(struct decide *d, struct slot *s, const struct subscriptions_row *r)
{
	struct billing_row *b = effects_billing(d, s);

	if (strcmp(b->subscription_id, r->subscription_id) == 0)
		return b->subscription_live != 0;
	b->subscription_id = r->subscription_id;
	b->subscription_live = 1;
	b->subscription_at_us = r->event_at_us;
	b->plan = r->plan;
	row_check_billing(b);
	return true;
}

static void give_period(struct decide *d, struct slot *s, const struct subscriptions_row *r, struct paid_periods_row *p)
{
	const bool live = lead_period(d, s, r);

	CHECK(p->running == 0 && p->granted_micros == 0);
	if (p->instead_of[0] != '\0')
		paid_period_upgrade(d, s, p);
	else
		paid_period_begin(d, s, p, r->anchor_at_us);
	/* The subscription may have changed since: it costs less by now, or has ended. */
	if (!live)
		paid_period_follow(d, s, r, "", true);
	else if (book_plan_at(d->book, r->plan, d->now_us) != NULL)
		paid_period_follow(d, s, r, r->plan, false);
}

static void ignore_period(struct answer *a, const char *note)
{
	a->event_state = EVENT_IGNORED;
	a->note = note;
}

void decide_period(struct decide *d, struct slot *s, struct command *c)
{
	struct subscriptions_row *r =
		(struct subscriptions_row *)rows_find(d->rows, s, TABLE_SUBSCRIPTIONS, c->object_key);
	struct paid_periods_row *p = rows_period(d->rows, s, c->topup_seq), *running;
	const char *why = period_mismatch(d, s, r, p, c);
	struct answer *a = &c->answer;
	bool over = false;

	if (why == NULL && p == NULL && s->account != NULL)
		p = adopt(d, s, c);
	if (why == NULL && p == NULL && !is_given_away(d, r, c)) {
		running = paid_period_running(d, s, c->object_key);
		over = c->period.end_us <= d->now_us ||
		       (c->period.instead_of[0] == '\0' && running != NULL && running->start_us > c->period.start_us);
		why = over ? NULL : begin_mismatch(d, s, running, c);
	}
	if (why != NULL) {
		order_park(a, why);
		return;
	}
	a->outcome = OUTCOME_OK;
	if (p == NULL && is_given_away(d, r, c)) {
		ignore_period(a, "nothing was paid for it");
		return;
	}

	/* From here on it succeeds. */
	CHECK(r != NULL && s->account != NULL);
	if (p != NULL) {
		ignore_period(a, "nothing new");
	} else {
		p = keep_period(d, s, c);
		if (over)
			ignore_period(a, "its time is over");
		else
			give_period(d, s, r, p);
	}
	paid_period_keep_payment(d, s, p, c);
	row_check_paid_period(p);
	row_check_account(s->account);
	funds_figures(s, a);
}
