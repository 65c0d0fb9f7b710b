/*
 * settle: the actual cost of the request.  A hold ends exactly once; an expired hold may still be settled, late.
 * The charge is taken in full even where it exceeds the hold, and may drive the balance below zero.
 */
#include "ledger/decide/decide.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/row_check.h"

/* The facts of an open or ended hold that its price depends on. */
struct terms_of_hold {
	enum price_kind kind;
	enum hold_source source;
	const char *item;
	int64_t price_version;
	micros reserved_micros;
	int64_t input_tokens; /* of an open or expired hold: as requested; of a settled one: as charged */
};

/* The tokens to charge for: the counts, completed.  A rest may be input or output: it is charged as the dearer of both.
 * An input that is not counted is taken from the hold, as the most that was announced. */
static struct tokens charged(const struct decide *d, const struct command *c, const struct terms_of_hold *h)
{
	struct tokens t = c->settle.tokens;
	const struct price *p;
	int64_t rest = c->settle.rest;

	CHECK(rest >= 0 && h->input_tokens >= 0);
	if ((rest == 0 && !c->settle.no_input) || h->source == SOURCE_BYOK || h->kind != PRICE_MODEL)
		return t;
	if (c->settle.no_input)
		t.count[PRICE_INPUT] = h->input_tokens;
	if (rest > t.count[PRICE_OUTPUT])
		rest = t.count[PRICE_OUTPUT];
	p = book_price_of_version(d->book, PRICE_MODEL, h->item, h->price_version);
	if (p != NULL && price_input_is_dearer(p)) {
		t.count[PRICE_INPUT] += rest;
		t.count[PRICE_OUTPUT] -= rest;
	}
	CHECK(t.count[PRICE_INPUT] >= 0 && t.count[PRICE_OUTPUT] >= 0);
	return t;
}

/* OK with cost and settlement, INVALID_REQUEST, or UNAVAILABLE when the pinned price is gone. */
static enum outcome compute(const struct decide *d, const struct command *c,
                            const struct terms_of_hold *h, const struct tokens *tokens, micros *cost,
                            enum settlement *settlement)
{
	const struct price *p;

	*settlement = c->settle.outcome == SETTLE_PARTIAL ? SETTLEMENT_PARTIAL : SETTLEMENT_EXACT;
	*cost = 0;
	if (h->source == SOURCE_BYOK ||
	    (c->settle.outcome == SETTLE_FAILED && !c->settle.has_usage))
		return OUTCOME_OK;
	if (h->kind == PRICE_ACTION) {
		*cost = h->reserved_micros;
		return OUTCOME_OK;
	}
	if (!c->settle.has_usage) {
		*settlement = SETTLEMENT_ESTIMATED;
		*cost = h->reserved_micros;
		return OUTCOME_OK;
	}
	if (c->settle.rest > 0 || c->settle.no_input)
		*settlement = SETTLEMENT_ESTIMATED;
	p = book_price_of_version(d->book, PRICE_MODEL, h->item, h->price_version);
	if (p == NULL)
		return OUTCOME_UNAVAILABLE;
	return price_of_tokens(p, c->answer.unit, tokens, cost)
	               ? OUTCOME_OK
	               : OUTCOME_INVALID_REQUEST;
}

static void fill_answer(const struct slot *s, const struct usages_row *u, struct answer *a)
{
	row_check_usage(u);
	a->seq = u->seq;
	a->amount_micros = u->cost_micros;
	a->settlement = (enum settlement)u->settlement;
	a->unit = (enum account_unit)s->account->unit;
	a->balance_micros = u->balance_micros;
	a->available_micros = u->available_micros;
	a->tokens = (struct tokens){{u->input_tokens, u->cache_read_tokens, u->cache_write_tokens,
	                             u->cache_write_1h_tokens, u->output_tokens}};
}

static bool same_settlement(const struct decide *d, const struct usages_row *u, const struct command *c)
{
	const struct tokens stored = {{u->input_tokens, u->cache_read_tokens, u->cache_write_tokens,
	                               u->cache_write_1h_tokens, u->output_tokens}};
	/* An input that neither settlement counts is equal, whatever number was taken for it. */
	const struct terms_of_hold terms = {(enum price_kind)u->kind, (enum hold_source)u->source, u->item,
	                                    u->price_version, u->reserved_micros, u->input_tokens};
	const struct tokens tokens = charged(d, c, &terms);

	return u->outcome == (int64_t)c->settle.outcome &&
	       (u->has_usage != 0) == c->settle.has_usage &&
	       memcmp(&stored, &tokens, sizeof(stored)) == 0 &&
	       strcmp(u->settled_message_id, c->settle.message_id) == 0;
}

/* Writes the settlement into the usage, which has just ended or is settled late. */
static void book(struct decide *d, struct slot *s, const struct command *c, struct usages_row *u,
                 const struct tokens *tokens, micros cost, enum settlement settlement, record_sum recorded)
{
	const int64_t *count = tokens->count;

	CHECK(settlement != SETTLEMENT_NONE && u->seq == c->hold_seq);
	effects_account(d, s, c);
	u->outcome = c->settle.outcome;
	u->has_usage = c->settle.has_usage;
	u->settlement = settlement;
	u->input_tokens = count[PRICE_INPUT];
	u->cache_read_tokens = count[PRICE_CACHE_READ];
	u->cache_write_tokens = count[PRICE_CACHE_WRITE];
	u->cache_write_1h_tokens = count[PRICE_CACHE_WRITE_1H];
	u->output_tokens = count[PRICE_OUTPUT];
	u->settled_message_id = c->settle.message_id;
	u->ended_at_us = d->now_us;
	effects_cost(d, s, u, cost, recorded, d->now_us);
}

static void settle_open(struct decide *d, struct slot *s, struct command *c, struct holds_row *h)
{
	const struct terms_of_hold terms = {(enum price_kind)h->kind, (enum hold_source)h->source,
	                                    h->item, h->price_version, h->reserved_micros, h->input_tokens};
	const struct tokens tokens = charged(d, c, &terms);
	const bool release = c->settle.outcome == SETTLE_FAILED && !c->settle.has_usage;
	enum settlement settlement;
	struct usages_row *u;
	micros cost;

	c->answer.outcome = compute(d, c, &terms, &tokens, &cost, &settlement);
	if (c->answer.outcome == OUTCOME_OK && !funds_fit(s->account, -cost))
		c->answer.outcome = OUTCOME_INVALID_REQUEST;
	if (c->answer.outcome != OUTCOME_OK)
		return;

	/* From here on it succeeds. */
	CHECK(cost >= 0 && (!release || cost == 0));
	u = effects_end_hold(d, s, h, release ? USAGE_RELEASED : USAGE_SETTLED, d->now_us);
	book(d, s, c, u, &tokens, cost, settlement, 0);
	fill_answer(s, u, &c->answer);
}

static void settle_expired(struct decide *d, struct slot *s, struct command *c,
                           struct usages_row *u)
{
	const struct terms_of_hold terms = {(enum price_kind)u->kind, (enum hold_source)u->source,
	                                    u->item, u->price_version, u->reserved_micros, u->input_tokens};
	const struct tokens tokens = charged(d, c, &terms);
	enum settlement settlement;
	record_sum recorded;
	micros cost;

	c->answer.outcome = compute(d, c, &terms, &tokens, &cost, &settlement);
	if (c->answer.outcome == OUTCOME_OK && !funds_fit(s->account, u->cost_micros - cost))
		c->answer.outcome = OUTCOME_INVALID_REQUEST;
	if (c->answer.outcome != OUTCOME_OK)
		return;

	/* From here on it succeeds. */
	recorded = record_of(&u->row);
	u->state = USAGE_SETTLED;
	rows_touch(d->rows, &u->row);
	book(d, s, c, u, &tokens, cost, SETTLEMENT_LATE, recorded);
	fill_answer(s, u, &c->answer);
}

void decide_settle(struct decide *d, struct slot *s, struct command *c)
{
	struct holds_row *h = rows_hold(d->rows, s, c->hold_seq);
	struct usages_row *u = rows_usage(d->rows, s, c->hold_seq);

	CHECK(h == NULL || u == NULL);
	CHECK(c->settle.outcome == SETTLE_COMPLETE || c->settle.outcome == SETTLE_PARTIAL ||
	      c->settle.outcome == SETTLE_FAILED);
	c->answer.outcome = OUTCOME_NOT_FOUND;
	c->answer.field = "usage";
	if (h != NULL) {
		settle_open(d, s, c, h);
	} else if (u != NULL && u->state == USAGE_EXPIRED) {
		settle_expired(d, s, c, u);
	} else if (u != NULL) {
		const bool released = u->state == USAGE_RELEASED &&
		                      c->settle.outcome == SETTLE_FAILED && !c->settle.has_usage;

		c->answer.outcome = released || same_settlement(d, u, c) ? OUTCOME_OK
		                                                      : OUTCOME_SETTLEMENT_CONFLICT;
		c->answer.replayed = c->answer.outcome == OUTCOME_OK;
		if (c->answer.replayed)
			fill_answer(s, u, &c->answer);
	}
}
