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
#include "ledger/decide/use.h"

/* The facts of an open or ended hold that its price depends on. */
struct terms_of_hold {
	enum price_kind kind;
	enum hold_source source;
	const char *item, *provider, *variant;
	int64_t price_version, service_tier;
	micros reserved_micros;
	int64_t input_tokens; /* of an open or expired hold: as requested; of a settled one: as charged */
};

static struct terms_of_hold terms_of_open(const struct holds_row *h)
{
	return (struct terms_of_hold){(enum price_kind)h->kind,
	                              (enum hold_source)h->source,
	                              h->item,
	                              h->provider,
	                              h->variant,
	                              h->price_version,
	                              h->service_tier,
	                              h->reserved_micros,
	                              h->input_tokens};
}

static struct terms_of_hold terms_of_ended(const struct usages_row *u)
{
	return (struct terms_of_hold){(enum price_kind)u->kind,
	                              (enum hold_source)u->source,
	                              u->item,
	                              u->provider,
	                              u->variant,
	                              u->price_version,
	                              u->service_tier,
	                              u->reserved_micros,
	                              u->input_tokens};
}

/* The settlement as it is charged. */
struct settled {
	const struct price *price; /* NULL: none, or it is gone */
	struct counts counts;
	enum service_tier tier;
	const char *variant;
	micros cost_micros;
	enum settlement settlement;
	bool incomplete, reported;
};

/* Completes the counts.  A rest may be input or output: it is charged as the dearer of both.  An input that is not
 * counted is taken from the hold, as the most that was announced. */
static void complete(const struct decide *d, const struct command *c, const struct terms_of_hold *h, struct settled *s)
{
	int64_t rest = c->settle.rest, *of = s->counts.of;

	*s = (struct settled){.counts = c->settle.counts, .variant = h->variant};
	s->tier = (enum service_tier)(c->settle.tier >= 0 ? c->settle.tier : h->service_tier);
	if (c->settle.variant[0] != '\0')
		s->variant = c->settle.variant;
	if (h->kind != PRICE_MODEL)
		return;
	if (h->source != SOURCE_BYOK)
		s->price = book_price_of_version(d->book, PRICE_MODEL, h->item, h->price_version);
	price_fold(s->price, &s->counts);
	CHECK(rest >= 0 && h->input_tokens >= 0);
	if (h->source == SOURCE_BYOK || (rest == 0 && !c->settle.no_input))
		return;
	if (c->settle.no_input)
		of[DIMENSION_INPUT] = h->input_tokens;
	if (rest > of[DIMENSION_OUTPUT])
		rest = of[DIMENSION_OUTPUT];
	if (s->price != NULL && price_input_is_dearer(s->price)) {
		of[DIMENSION_INPUT] += rest;
		of[DIMENSION_OUTPUT] -= rest;
	}
	CHECK(of[DIMENSION_INPUT] >= 0 && of[DIMENSION_OUTPUT] >= 0);
}

/* True if the settlement says that there was no use.  One that counts nothing says nothing. */
static bool says_nothing_used(const struct command *c, const struct settled *s)
{
	return !counts_any(&s->counts) && (c->settle.has_usage || c->settle.zero);
}

/* A failed request that used nothing.  A provider that charges for a model says that something was used. */
static bool is_release(const struct command *c, enum price_kind kind)
{
	const bool charged = kind == PRICE_MODEL && c->settle.has_cost && c->settle.cost_pico > 0;

	return c->settle.outcome == SETTLE_FAILED && !c->settle.has_usage && !charged;
}

/* Replaces the cost by the one that the provider reports, as the policy on that provider says.  A reported 0 counts
 * only where nothing was used.  False when it is out of range. */
static bool take_reported(const struct decide *d, const struct command *c, const struct terms_of_hold *h,
                          struct settled *s)
{
	const enum use_policy policy = use_policy(d, h->provider);
	micros reported;

	if (!c->settle.has_cost || policy == USE_IGNORE || (c->settle.cost_pico == 0 && !says_nothing_used(c, s)))
		return true;
	if (!price_of_dollars(s->price, c->answer.unit, c->settle.cost_pico, &reported))
		return false;
	if (policy == USE_MAX && reported <= s->cost_micros)
		return true;
	s->cost_micros = reported;
	s->settlement = SETTLEMENT_PROVIDER_REPORTED;
	s->reported = true;
	return true;
}

/* Computes cost and settlement of counts that a model used; OK, INVALID_REQUEST, or UNAVAILABLE when the pinned price
 * is gone. */
static enum outcome compute_model(const struct decide *d, const struct command *c, const struct terms_of_hold *h,
                                  struct settled *s)
{
	const struct price_use use = {&s->counts, s->tier, s->variant};
	struct use_cost cost;

	if (s->price == NULL)
		return OUTCOME_UNAVAILABLE;
	if (!use_cost(s->price, c->answer.unit, &use, h->reserved_micros, &cost))
		return OUTCOME_INVALID_REQUEST;
	s->cost_micros = cost.cost_micros;
	s->incomplete = cost.incomplete;
	if (c->settle.rest > 0 || c->settle.no_input || cost.bound)
		s->settlement = SETTLEMENT_ESTIMATED;
	return take_reported(d, c, h, s) ? OUTCOME_OK : OUTCOME_INVALID_REQUEST;
}

/* Fills in the settlement as it is charged; OK, INVALID_REQUEST, or UNAVAILABLE. */
static enum outcome compute(const struct decide *d, const struct command *c, const struct terms_of_hold *h,
                            struct settled *s)
{
	complete(d, c, h, s);
	s->settlement = c->settle.outcome == SETTLE_PARTIAL ? SETTLEMENT_PARTIAL : SETTLEMENT_EXACT;
	if (h->source == SOURCE_BYOK || is_release(c, h->kind))
		return OUTCOME_OK;
	if (h->kind == PRICE_ACTION || !c->settle.has_usage) {
		s->cost_micros = h->reserved_micros;
		s->incomplete = h->kind == PRICE_MODEL;
		if (h->kind == PRICE_MODEL)
			s->settlement = SETTLEMENT_ESTIMATED;
		return s->price == NULL || take_reported(d, c, h, s) ? OUTCOME_OK : OUTCOME_INVALID_REQUEST;
	}
	return compute_model(d, c, h, s);
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
	a->counts = use_of_usage(u);
	a->incomplete = u->incomplete != 0;
}

static bool same_settlement(const struct decide *d, const struct usages_row *u, const struct command *c)
{
	/* An input that neither settlement counts is equal, whatever number was taken for it. */
	const struct terms_of_hold terms = terms_of_ended(u);
	const struct counts stored = use_of_usage(u);
	struct settled again;

	if (compute(d, c, &terms, &again) != OUTCOME_OK)
		return false;
	return u->outcome == (int64_t)c->settle.outcome && (u->has_usage != 0) == c->settle.has_usage &&
	       memcmp(&stored, &again.counts, sizeof(stored)) == 0 && u->service_tier == (int64_t)again.tier &&
	       strcmp(u->variant, again.variant) == 0 && (!c->settle.has_cost || u->cost_micros == again.cost_micros) &&
	       strcmp(u->settled_message_id, c->settle.message_id) == 0;
}

/* Writes the settlement into the usage, which has just ended or is settled late. */
static void book(struct decide *d, struct slot *s, const struct command *c, struct usages_row *u,
                 const struct settled *settled, record_sum recorded)
{
	const int64_t *of = settled->counts.of;

	CHECK(settled->settlement != SETTLEMENT_NONE && settled->cost_micros >= 0 && u->seq == c->hold_seq);
	effects_account(d, s, c);
	u->outcome = c->settle.outcome;
	u->has_usage = c->settle.has_usage;
	u->settlement = settled->settlement;
	u->input_tokens = of[DIMENSION_INPUT];
	u->cache_read_tokens = of[DIMENSION_CACHE_READ];
	u->cache_write_tokens = of[DIMENSION_CACHE_WRITE];
	u->cache_write_1h_tokens = of[DIMENSION_CACHE_WRITE_1H];
	u->output_tokens = of[DIMENSION_OUTPUT];
	u->service_tier = settled->tier;
	u->variant = settled->variant;
	u->counts = use_text(d, &settled->counts);
	u->incomplete = settled->incomplete;
	u->reported = settled->reported;
	u->settled_message_id = c->settle.message_id;
	u->ended_at_us = d->now_us;
	effects_cost(d, s, u, settled->cost_micros, recorded, d->now_us);
}

static void settle_open(struct decide *d, struct slot *s, struct command *c, struct holds_row *h)
{
	const struct terms_of_hold terms = terms_of_open(h);
	const bool release = is_release(c, (enum price_kind)h->kind);
	struct settled settled;
	struct usages_row *u;

	c->answer.outcome = compute(d, c, &terms, &settled);
	if (c->answer.outcome == OUTCOME_OK && !funds_fit(s->account, -settled.cost_micros))
		c->answer.outcome = OUTCOME_INVALID_REQUEST;
	if (c->answer.outcome != OUTCOME_OK)
		return;

	/* From here on it succeeds. */
	CHECK(!release || settled.cost_micros == 0);
	u = effects_end_hold(d, s, h, release ? USAGE_RELEASED : USAGE_SETTLED, d->now_us);
	book(d, s, c, u, &settled, 0);
	fill_answer(s, u, &c->answer);
}

static void settle_expired(struct decide *d, struct slot *s, struct command *c, struct usages_row *u)
{
	const struct terms_of_hold terms = terms_of_ended(u);
	struct settled settled;
	record_sum recorded;

	c->answer.outcome = compute(d, c, &terms, &settled);
	if (c->answer.outcome == OUTCOME_OK && !funds_fit(s->account, u->cost_micros - settled.cost_micros))
		c->answer.outcome = OUTCOME_INVALID_REQUEST;
	if (c->answer.outcome != OUTCOME_OK)
		return;

	/* From here on it succeeds. */
	recorded = record_of(&u->row);
	u->state = USAGE_SETTLED;
	rows_touch(d->rows, &u->row);
	settled.settlement = SETTLEMENT_LATE;
	book(d, s, c, u, &settled, recorded);
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
		const bool released = u->state == USAGE_RELEASED && is_release(c, (enum price_kind)u->kind);

		c->answer.outcome = released || same_settlement(d, u, c) ? OUTCOME_OK : OUTCOME_SETTLEMENT_CONFLICT;
		c->answer.replayed = c->answer.outcome == OUTCOME_OK;
		if (c->answer.replayed)
			fill_answer(s, u, &c->answer);
	}
}
