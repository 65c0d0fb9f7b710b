/*
 * extend: a hold that lives longer or covers more output, at the price it was placed at.
 */
#include "ledger/decide.h"

#include <string.h>

#include "ledger/effects.h"
#include "ledger/limits.h"

/* What the hold would reserve with that many output tokens; OK or INVALID_REQUEST or UNAVAILABLE. */
static enum outcome reserve(const struct decide *d, const struct holds_row *h,
                            enum account_unit unit, int64_t output, micros *reserved)
{
	const struct tokens t = {
		.count = {[PRICE_INPUT] = h->input_tokens, [PRICE_OUTPUT] = output}};
	const struct price *p;

	*reserved = h->reserved_micros;
	if (h->source == SOURCE_BYOK || h->kind == PRICE_ACTION || output == h->max_output_tokens)
		return OUTCOME_OK;
	p = book_price_of_version(d->book, PRICE_MODEL, h->item, h->price_version);
	if (p == NULL)
		return OUTCOME_UNAVAILABLE;
	return price_of_tokens(p, unit, &t, reserved) ? OUTCOME_OK : OUTCOME_INVALID_REQUEST;
}

void decide_extend(struct decide *d, struct slot *s, struct command *c)
{
	struct answer *a = &c->answer;
	struct holds_row *h = rows_hold(d->rows, s, c->hold_seq);
	struct limits_verdict verdict;
	int64_t output;
	micros reserved;

	if (h == NULL) {
		a->outcome = rows_usage(d->rows, s, c->hold_seq) != NULL ? OUTCOME_HOLD_ENDED
		                                                         : OUTCOME_NOT_FOUND;
		return;
	}
	output = c->extend.max_output_tokens > 0 ? c->extend.max_output_tokens
	                                         : h->max_output_tokens;
	a->outcome = reserve(d, h, a->unit, output, &reserved);
	a->field = "maxOutputTokens";
	if (a->outcome != OUTCOME_OK)
		return;
	limits_verdict(d, s, h->member, &verdict);
	if (reserved > h->reserved_micros && reserved - h->reserved_micros > verdict.available_micros) {
		limits_refuse(&verdict, reserved - h->reserved_micros, a);
		return;
	}

	/* From here on it succeeds. */
	verdict.available_micros -= reserved - h->reserved_micros;
	effects_reserve(d, s, h, reserved - h->reserved_micros);
	h->max_output_tokens = output;
	if (c->extend.ttl_us > 0)
		h->expires_at_us = d->now_us + c->extend.ttl_us;
	effects_due(s->account, h->expires_at_us);
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
	effects_figures(s, a);
	a->available_micros = verdict.available_micros;
}
