#include "ledger/decide/decide.h"
#include "ledger/decide/funds.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/alert.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/refusal.h"

struct rule {
	int needs;
	void (*decide)(struct decide *d, struct slot *s, struct command *c);
};

static const struct rule rules[COMMAND_COUNT] = {
#define COMMAND(NAME, name, needs) [COMMAND_##NAME] = {needs, decide_##name},
#include "ledger/commands.def"
#undef COMMAND
};

int decide_needs(enum command_kind kind)
{
	CHECK((unsigned)kind < COMMAND_COUNT);
	return rules[kind].needs;
}

/* The hold's state of now, after all due events. */
static enum hold_state hold_state(const struct decide *d, struct slot *s, const struct requests_row *q)
{
	static const enum hold_state ended[] = {
		[USAGE_SETTLED] = HOLD_STATE_SETTLED,
		[USAGE_RELEASED] = HOLD_STATE_RELEASED,
		[USAGE_EXPIRED] = HOLD_STATE_EXPIRED,
	};
	const struct usages_row *u;

	/* Prefetch has read no usage of a hold that this batch placed; there is one if the hold has ended since. */
	if (q->row.change != ROW_CLEAN && !rows_wanted(d->rows, s, TABLE_USAGES, &q->seq))
		return HOLD_STATE_OPEN;
	u = rows_usage(d->rows, s, q->seq);
	if (u == NULL)
		return HOLD_STATE_OPEN;
	CHECK(u->state >= USAGE_SETTLED && u->state <= USAGE_EXPIRED);
	return ended[u->state];
}

/* Repeats the stored answer of the request id; CONFLICT if the command differs. */
static void recall(const struct decide *d, struct slot *s, const struct requests_row *q, const struct command *c,
                   struct answer *a)
{
	if (q->command != (int64_t)c->kind || memcmp(q->fingerprint, c->fingerprint, sizeof(q->fingerprint)) != 0) {
		a->outcome = OUTCOME_CONFLICT;
		return;
	}
	a->outcome = OUTCOME_OK;
	a->replayed = true;
	a->seq = q->seq;
	a->choice = (int)q->choice;
	a->source = (enum hold_source)q->source;
	strncat(a->provider, q->provider, sizeof(a->provider) - 1);
	a->price_version = q->price_version;
	a->amount_micros = q->amount_micros;
	a->balance_micros = q->balance_micros;
	a->available_micros = q->available_micros;
	a->max_output_tokens = q->max_output_tokens;
	a->expires_at_us = q->expires_at_us;
	if (c->kind == COMMAND_AUTHORIZE)
		a->hold_state = hold_state(d, s, q);
}

/* True if the command's webhook event has been dealt with before. */
static bool seen(struct decide *d, struct command *c)
{
	const struct webhook_events_row *e;

	if (c->event.id == NULL)
		return false;
	e = (const struct webhook_events_row *)rows_find(d->rows, NULL, TABLE_WEBHOOK_EVENTS, c->event_key);
	if (e == NULL || e->state == EVENT_PARKED || e->state == EVENT_WAITING)
		return false;
	CHECK(e->state == EVENT_APPLIED || e->state == EVENT_IGNORED);
	c->answer.outcome = OUTCOME_OK;
	c->answer.replayed = true;
	c->answer.event_state = (enum event_state)e->state;
	return true;
}

static void refresh_account(struct decide *d, struct slot *s)
{
	struct alert_before before;

	alert_look(s, &before);
	decide_refresh(d, s);
	alert_follow(d, s, &before);
}

static int64_t entries_of(const struct slot *s)
{
	return s->account != NULL ? s->account->entry_seq : 0;
}

void decide(struct decide *d, struct slot *s, struct command *c)
{
	const struct requests_row *q = NULL;
	struct alert_before before;
	int64_t entries;

	CHECK((unsigned)c->kind < COMMAND_COUNT && memcmp(&s->key, &c->account, sizeof(s->key)) == 0);
	memset(&c->answer, 0, sizeof(c->answer));
	/* Two names with one key would need a collision of 128 bits of SHA-256. */
	CHECK(s->account == NULL || c->account_id == NULL || strcmp(s->account->external_id, c->account_id) == 0);
	if (s->account != NULL && !s->refreshed)
		refresh_account(d, s);
	CHECK(s->account == NULL || s->refreshed);
	funds_figures(s, &c->answer);
	/* Checked before a stored answer, which is not for a member who has left since. */
	if (c->by_customer && refusal_removed(d, s, c->member, &c->answer)) {
		c->answer.outcome = OUTCOME_FORBIDDEN;
		return;
	}
	if (c->request_id != NULL)
		q = rows_request(d->rows, s, c->request_key);
	if (q != NULL) {
		recall(d, s, q, c, &c->answer);
		return;
	}
	if (seen(d, c))
		return;
	entries = entries_of(s);
	alert_look(s, &before);
	rules[c->kind].decide(d, s, c);
	CHECK((unsigned)c->answer.outcome < OUTCOME_COUNT);
	/* A refusal moves no money. */
	CHECK(c->answer.outcome == OUTCOME_OK || entries_of(s) == entries);
	if (c->answer.outcome == OUTCOME_OK)
		alert_follow(d, s, &before);
	if (c->event.id != NULL && c->answer.outcome == OUTCOME_OK)
		effects_event(d, c);
	if (c->request_id != NULL && c->answer.outcome == OUTCOME_OK)
		effects_remember(d, s, c);
}
