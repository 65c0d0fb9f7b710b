/*
 * extend: a hold that lives longer or covers more output, at the price it was placed at.  Each reason that keeps a hold
 * from being placed keeps it from being extended, too: otherwise an open hold would outlast any refusal.
 */
#include "ledger/decide/decide.h"

#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "ledger/decide/due.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/limits.h"
#include "ledger/decide/refusal.h"
#include "ledger/decide/row_check.h"
#include "ledger/decide/use.h"

#define EXTEND_MAX_US (INT64_C(86400) * CLOCK_US_PER_SECOND)

/* Sets reserved to the amount for that many output tokens; OK, INVALID_REQUEST or UNAVAILABLE. */
static enum outcome reserve(const struct decide *d, const struct holds_row *h, enum account_unit unit, int64_t output,
                            micros *reserved)
{
	const struct price *p;
	struct counts counts;
	struct price_use use = {&counts, (enum service_tier)h->service_tier, h->variant};
	struct price_charge charge;

	CHECK(output >= 0);
	*reserved = h->reserved_micros;
	if (h->source == SOURCE_BYOK || h->kind == PRICE_ACTION || output == h->max_output_tokens)
		return OUTCOME_OK;
	p = book_price_of_version(d->book, PRICE_MODEL, h->item, h->price_version);
	if (p == NULL)
		return OUTCOME_UNAVAILABLE;
	counts = use_of_hold(p, h, output);
	if (!price_of_use(p, unit, &use, &charge))
		return OUTCOME_INVALID_REQUEST;
	*reserved = charge.cost_micros;
	return OUTCOME_OK;
}

/* True if the account's plan of now, which may differ from that of the hold's placing, allows the hold. */
static bool in_plan(const struct decide *d, const struct slot *s, const struct holds_row *h)
{
	const struct plan *plan = limits_plan(d, s);

	return plan == NULL || h->source == SOURCE_BYOK || h->kind == PRICE_ACTION || plan_allows_model(plan, h->item);
}

/* True, with the refusal in the answer, if a hold that is placed now would be refused.  No limit refuses an extension
 * with the customer's own key, or one that only reserves less. */
static bool refuse_extension(struct decide *d, struct slot *s, const struct command *c, const struct holds_row *h,
                             micros more, struct limits_verdict *verdict, struct answer *a)
{
	CHECK(more == 0 || (h->source == SOURCE_PLATFORM && h->kind == PRICE_MODEL));
	if (refusal_suspended(s, a) || refusal_removed(d, s, h->member, a))
		return true;
	if (!in_plan(d, s, h)) {
		a->outcome = OUTCOME_MODEL_NOT_IN_PLAN;
		return true;
	}
	limits_verdict(d, s, h->member, verdict);
	if (h->source == SOURCE_BYOK || more <= verdict->available_micros || (more < 0 && c->extend.ttl_us == 0))
		return false;
	limits_refuse(verdict, more > 0 ? more : 0, a);
	return true;
}

/* A hold for a batch may last for days, any other for one. */
static bool is_too_long(const struct command *c, const struct holds_row *h)
{
	return h->service_tier != TIER_BATCH && c->extend.ttl_us > EXTEND_MAX_US;
}

void decide_extend(struct decide *d, struct slot *s, struct command *c)
{
	struct answer *a = &c->answer;
	struct holds_row *h = rows_hold(d->rows, s, c->hold_seq);
	struct limits_verdict verdict;
	int64_t output;
	micros reserved;

	if (h == NULL) {
		a->outcome = rows_usage(d->rows, s, c->hold_seq) != NULL ? OUTCOME_HOLD_ENDED : OUTCOME_NOT_FOUND;
		return;
	}
	CHECK(c->extend.ttl_us >= 0 && c->extend.max_output_tokens >= 0);
	if (is_too_long(c, h)) {
		a->outcome = OUTCOME_INVALID_REQUEST;
		a->field = "ttlSeconds";
		return;
	}
	output = c->extend.max_output_tokens > 0 ? c->extend.max_output_tokens : h->max_output_tokens;
	a->outcome = reserve(d, h, a->unit, output, &reserved);
	a->field = "maxOutputTokens";
	if (a->outcome != OUTCOME_OK)
		return;
	if (refuse_extension(d, s, c, h, reserved - h->reserved_micros, &verdict, a))
		return;

	/* From here on it succeeds. */
	verdict.available_micros -= reserved - h->reserved_micros;
	effects_reserve(d, s, h, reserved - h->reserved_micros);
	h->max_output_tokens = output;
	if (c->extend.ttl_us > 0)
		h->expires_at_us = d->now_us + c->extend.ttl_us;
	due_note_hold(s->account, h->expires_at_us);
	row_check_hold(h);
	CHECK(h->reserved_micros == reserved);
	rows_touch(d->rows, &h->row);
	rows_touch(d->rows, &s->account->row);
	a->amount_micros = reserved;
	a->seq = h->seq;
	a->source = (enum hold_source)h->source;
	strncat(a->provider, h->provider, sizeof(a->provider) - 1);
	a->max_output_tokens = output;
	a->price_version = h->price_version;
	a->expires_at_us = h->expires_at_us;
	strncat(a->item, h->item, sizeof(a->item) - 1);
	funds_figures(s, a);
	a->available_micros = verdict.available_micros;
}
