/*
 * subscription: Stripe's facts about a subscription, and the plan that the account shows because of it.  An older
 * event never wins, whenever it comes; nor does the end of a subscription that another has replaced.  A subscription
 * gives nothing: paid periods do (period.c).  A smaller plan takes back the remaining time of the greater one.
 */
#include "ledger/decide/decide.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/allowance.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/order.h"
#include "ledger/decide/paid_period.h"
#include "ledger/decide/row_check.h"
#include "ledger/decide/workspace.h"

static const char *event_id(const struct command *c)
{
	return c->event.id != NULL ? c->event.id : "";
}

/* Events of the same second are ordered by rank, and events of the same rank by id.  Any order does, if it is fixed. */
static bool is_newer(const struct subscriptions_row *r, const struct command *c)
{
	if (r->event_at_us != c->event.created_at_us)
		return r->event_at_us < c->event.created_at_us;
	if (r->event_rank != c->subscription.rank)
		return r->event_rank < c->subscription.rank;
	return strcmp(r->event_id, event_id(c)) < 0;
}

static struct subscriptions_row *keep_subscription(struct decide *d, struct slot *s, struct subscriptions_row *r,
                                                   const struct command *c)
{
	if (r == NULL) {
		r = (struct subscriptions_row *)rows_alloc(d->rows, TABLE_SUBSCRIPTIONS);
		memcpy(r->account_id, s->key.bytes, sizeof(r->account_id));
		memcpy(r->subscription_key, c->object_key, sizeof(r->subscription_key));
		r->subscription_id = c->object_id;
		r->created_at_us = d->now_us;
		rows_add(d->rows, s, &r->row);
	}
	rows_touch(d->rows, &r->row);
	CHECK(r->event_at_us <= c->event.created_at_us && strcmp(r->subscription_id, c->object_id) == 0);
	if (r->plan_at_us == 0 || c->subscription.changed || strcmp(r->plan, c->subscription.plan) != 0)
		r->plan_at_us = c->event.created_at_us;
	r->anchor_at_us = c->subscription.anchor_at_us;
	r->trial_end_us = c->subscription.trial_end_us;
	r->customer_id = c->subscription.customer_id;
	r->status = c->subscription.status;
	r->price_id = c->subscription.price_id;
	r->plan = c->subscription.plan;
	r->period_end_at_us = c->subscription.period_end_at_us;
	r->event_at_us = c->event.created_at_us;
	r->event_rank = c->subscription.rank;
	r->event_id = event_id(c);
	return r;
}

static bool decides_plan(const struct billing_row *b, const struct command *c)
{
	if (b == NULL || b->subscription_id[0] == '\0' || strcmp(b->subscription_id, c->object_id) == 0)
		return true;
	return c->subscription.live && (b->subscription_live == 0 || c->event.created_at_us >= b->subscription_at_us);
}

/* The plan that the subscription grants, "" for none.  A name that is no plan of ours is kept and shown, and grants
 * nothing. */
static const char *granting_plan(const struct decide *d, const struct command *c)
{
	const char *plan = c->subscription.live ? c->subscription.plan : "";

	return book_plan_at(d->book, plan, d->now_us) != NULL ? plan : "";
}

static const char *mismatch(struct decide *d, struct slot *s, const struct command *c)
{
	switch (allowance_check_plan(d, s, (enum account_unit)s->account->unit, granting_plan(d, c))) {
	case OUTCOME_OK:
		return NULL;
	case OUTCOME_PLAN_OTHER_UNIT:
		return "the plan is for accounts of another unit";
	case OUTCOME_SEATS_TAKEN:
		return "the account has more members than the plan has seats";
	default:
		return "the plan's allowance does not fit the balance";
	}
}

static void set_plan(struct billing_row *b, const struct command *c)
{
	b->subscription_id = c->object_id;
	b->subscription_live = c->subscription.live;
	b->subscription_at_us = c->event.created_at_us;
	b->plan = c->subscription.live ? c->subscription.plan : "";
	if (b->customer_id[0] == '\0')
		b->customer_id = c->subscription.customer_id;
	row_check_billing(b);
}

void decide_subscription(struct decide *d, struct slot *s, struct command *c)
{
	struct subscriptions_row *r =
		(struct subscriptions_row *)rows_find(d->rows, s, TABLE_SUBSCRIPTIONS, c->object_key);
	struct answer *a = &c->answer;
	const char *why;
	bool decides;

	if (s->account == NULL) {
		order_park(a, "no such account");
		return;
	}
	if (c->subscription.live && c->subscription.plan[0] == '\0') {
		order_park(a, "no plan is configured for this price");
		return;
	}
	a->outcome = OUTCOME_OK;
	if (r != NULL && !is_newer(r, c)) {
		a->event_state = EVENT_IGNORED;
		a->note = "older than what is known";
		return;
	}
	decides = decides_plan(rows_billing(d->rows, s), c);
	why = decides ? mismatch(d, s, c) : NULL;
	if (why != NULL) {
		order_park(a, why);
		return;
	}

	/* From here on it succeeds. */
	r = keep_subscription(d, s, r, c);
	if (decides)
		set_plan(effects_billing(d, s), c);
	/* A subscription does not change a period that another subscription pays for. */
	if (paid_period_running(d, s, c->object_key) != NULL)
		paid_period_follow(d, s, r, granting_plan(d, c), c->subscription.ends);
}
