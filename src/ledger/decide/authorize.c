/*
 * authorize: a hold on the highest cost of the request.  The customer's own key wins over the
 * platform's (Anthropic's before OpenAI's).  Without one, the first affordable model of the list wins.
 */
#include "ledger/decide/decide.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/due.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/grace.h"
#include "ledger/decide/limits.h"
#include "ledger/decide/refusal.h"
#include "ledger/decide/use.h"

/* The figures of the hold to be made. */
struct choice {
	const struct price *price; /* NULL: the customer's own key, or a standard action */
	const char *item, *provider;
	int index;
	enum price_kind kind;
	enum hold_source source;
	micros reserved_micros;
	int64_t max_output_tokens;
	struct counts bounds;
};

static const char *provider_for(const struct decide *d, const char *model)
{
	const struct price *p = book_price_at(d->book, PRICE_MODEL, model, d->now_us);

	return p != NULL && provider_bit(p->provider) != 0 ? p->provider : provider_of_model(model);
}

/* True for a use of a grace.  It took place, so that nothing but its grace bounds it. */
static bool is_used(const struct command *c)
{
	return c->authorize.used.serial > 0;
}

static const struct price *price_for(const struct decide *d, const struct command *c, const char *model)
{
	const int64_t version = c->authorize.used.price_version;

	return version > 0 ? book_price_of_version(d->book, PRICE_MODEL, model, version)
	                   : book_price_at(d->book, PRICE_MODEL, model, d->now_us);
}

static bool choose_byok(const struct decide *d, const struct command *c, unsigned byok, struct choice *choice)
{
	for (unsigned bit = 1; bit != 0 && bit <= byok; bit <<= 1) {
		for (int i = 0; (byok & bit) != 0 && i < c->authorize.model_count; i++) {
			const char *provider = provider_for(d, c->authorize.models[i]);

			if (provider_bit(provider) != bit)
				continue;
			*choice = (struct choice){.item = c->authorize.models[i],
			                          .provider = provider,
			                          .index = i,
			                          .kind = PRICE_MODEL,
			                          .source = SOURCE_BYOK,
			                          .max_output_tokens = c->authorize.max_output_tokens,
			                          .bounds = c->authorize.counts};
			return true;
		}
	}
	return false;
}

/* Compares one model with the available amount: OK, MODEL_NOT_IN_PLAN, UNKNOWN_MODEL, INSUFFICIENT_CREDITS (with the
 * needed amount in reserved_micros) or INVALID_REQUEST (the cost is out of range). */
static enum outcome try_model(const struct decide *d, const struct plan *plan, const struct command *c, int index,
                              micros available, struct choice *choice)
{
	const enum account_unit unit = c->answer.unit;

	const char *model = c->authorize.models[index];
	const struct price *p = price_for(d, c, model);
	struct price_charge charge;
	struct price_use use;
	int64_t fitting;

	CHECK(index >= 0 && index < c->authorize.model_count);
	if (p == NULL)
		return OUTCOME_UNKNOWN_MODEL;
	if (plan != NULL && !plan_allows_model(plan, model))
		return OUTCOME_MODEL_NOT_IN_PLAN;
	*choice = (struct choice){.price = p,
	                          .item = model,
	                          .provider = p->provider,
	                          .index = index,
	                          .kind = PRICE_MODEL,
	                          .source = SOURCE_PLATFORM,
	                          .max_output_tokens = c->authorize.max_output_tokens};
	choice->bounds = use_bounds(&d->use.estimate, p, c->authorize.input_tokens, c->authorize.max_output_tokens,
	                            &c->authorize.counts);
	use = (struct price_use){&choice->bounds, c->authorize.tier, c->authorize.variant};
	if (!price_of_use(p, unit, &use, &charge))
		return OUTCOME_INVALID_REQUEST;
	choice->reserved_micros = charge.cost_micros;
	CHECK(choice->reserved_micros >= 0);
	if (choice->reserved_micros <= available)
		return OUTCOME_OK;
	if (!c->authorize.fit)
		return OUTCOME_INSUFFICIENT_CREDITS;
	if (!price_has_tokens(p))
		return OUTCOME_INSUFFICIENT_CREDITS;
	fitting = price_fit_output(p, unit, &use, c->authorize.max_output_tokens, available);
	if (fitting < c->authorize.fit_minimum)
		return OUTCOME_INSUFFICIENT_CREDITS;
	CHECK(fitting < c->authorize.max_output_tokens);
	choice->bounds.of[DIMENSION_OUTPUT] = choice->max_output_tokens = fitting;
	if (!price_of_use(p, unit, &use, &charge))
		return OUTCOME_INVALID_REQUEST;
	choice->reserved_micros = charge.cost_micros;
	CHECK(choice->reserved_micros <= available);
	return OUTCOME_OK;
}

/* Chooses the first affordable model; if there is none, the model that needs least. */
static enum outcome choose_model(const struct decide *d, const struct slot *s, const struct command *c,
                                 micros available, struct choice *choice)
{
	const struct plan *plan = is_used(c) ? NULL : limits_plan(d, s);
	enum outcome result = OUTCOME_UNKNOWN_MODEL;
	struct choice tried;

	CHECK(c->authorize.model_count <= COMMAND_MODELS_MAX);
	for (int i = 0; i < c->authorize.model_count; i++) {
		const enum outcome o = try_model(d, plan, c, i, available, &tried);

		if (o == OUTCOME_OK || o == OUTCOME_INVALID_REQUEST) {
			*choice = tried;
			return o;
		}
		if (o == OUTCOME_MODEL_NOT_IN_PLAN && result == OUTCOME_UNKNOWN_MODEL)
			result = o;
		if (o == OUTCOME_INSUFFICIENT_CREDITS &&
		    (result != o || tried.reserved_micros < choice->reserved_micros)) {
			*choice = tried;
			result = o;
		}
	}
	return result;
}

static enum outcome choose_action(const struct decide *d, const struct slot *s, const struct command *c,
                                  micros available, struct choice *choice)
{
	struct price standard;
	const struct price *p = refusal_action_price(d, s, c->authorize.action, &standard);

	*choice = (struct choice){
		.item = c->authorize.action, .provider = "", .kind = PRICE_ACTION, .source = SOURCE_PLATFORM};
	if (p == NULL)
		return OUTCOME_UNKNOWN_ACTION;
	if (p != &standard)
		choice->price = p;
	if (!price_of_action(p, c->answer.unit, c->authorize.quantity, &choice->reserved_micros))
		return OUTCOME_INVALID_REQUEST;
	return choice->reserved_micros <= available ? OUTCOME_OK : OUTCOME_INSUFFICIENT_CREDITS;
}

static enum outcome choose(const struct decide *d, const struct slot *s, const struct command *c, micros available,
                           struct choice *choice)
{
	const unsigned byok = c->authorize.byok | (s->account != NULL ? (unsigned)s->account->byok : 0);

	if (c->authorize.model_count == 0)
		return choose_action(d, s, c, available, choice);
	/* A use went out by the platform's key, whatever keys the customer has given meanwhile. */
	if (!is_used(c) && choose_byok(d, c, byok, choice))
		return OUTCOME_OK;
	return choose_model(d, s, c, available, choice);
}

static struct holds_row *new_hold(struct decide *d, struct slot *s, const struct command *c,
                                  const struct choice *choice)
{
	struct holds_row *h = (struct holds_row *)rows_alloc(d->rows, TABLE_HOLDS);

	memcpy(h->account_id, s->key.bytes, sizeof(h->account_id));
	h->seq = ++s->account->hold_seq;
	h->member = c->member;
	h->kind = choice->kind;
	h->item = choice->item;
	h->provider = choice->provider;
	h->source = choice->source;
	h->price_version = choice->price != NULL ? choice->price->version : 0;
	h->quantity = choice->kind == PRICE_ACTION ? c->authorize.quantity : 0;
	h->input_tokens = c->authorize.input_tokens;
	h->max_output_tokens = choice->max_output_tokens;
	h->service_tier = c->authorize.tier;
	h->variant = c->authorize.variant;
	h->counts = use_text(d, &choice->bounds);
	h->conversation_id = c->authorize.labels.conversation_id;
	h->message_id = c->authorize.labels.message_id;
	h->metadata = c->authorize.labels.metadata;
	h->created_at_us = d->now_us;
	h->expires_at_us = d->now_us + c->authorize.ttl_us;
	CHECK(h->expires_at_us > h->created_at_us);
	return h;
}

static void fill_hold_answer(struct answer *a, const struct holds_row *h, const struct choice *choice)
{
	a->amount_micros = h->reserved_micros;
	a->seq = h->seq;
	a->choice = choice->index;
	a->source = choice->source;
	a->provider[0] = '\0';
	strncat(a->provider, choice->provider, sizeof(a->provider) - 1);
	a->max_output_tokens = h->max_output_tokens;
	a->price_version = h->price_version;
	a->expires_at_us = h->expires_at_us;
}

/* True, with the refusal in the answer, if nothing may be spent whatever it costs. */
static bool refuse_any(struct decide *d, struct slot *s, const struct command *c, struct answer *a)
{
	if (is_used(c))
		return grace_refuses(d, s, c, a);
	return refusal_suspended(s, a) || refusal_removed(d, s, c->member, a);
}

static void refuse_cost(const struct command *c, const struct limits_verdict *verdict, micros needed, struct answer *a)
{
	if (is_used(c))
		a->outcome = OUTCOME_GRACE_REFUSED;
	else
		limits_refuse(verdict, needed, a);
}

void decide_authorize(struct decide *d, struct slot *s, struct command *c)
{
	struct answer *a = &c->answer;
	struct choice choice = {0};
	struct limits_verdict verdict;
	struct accounts_row *account;
	struct holds_row *h;

	CHECK(c->authorize.model_count > 0 || c->authorize.action != NULL);
	CHECK(c->authorize.input_tokens >= 0 && c->authorize.max_output_tokens >= 0);
	if (refuse_any(d, s, c, a))
		return;
	limits_verdict(d, s, c->member, &verdict);
	a->outcome = choose(d, s, c, is_used(c) ? c->authorize.used.micros : verdict.available_micros, &choice);
	if (a->outcome == OUTCOME_INVALID_REQUEST)
		a->field = "maxOutputTokens";
	if (a->outcome == OUTCOME_INSUFFICIENT_CREDITS)
		refuse_cost(c, &verdict, choice.reserved_micros, a);
	if (a->outcome != OUTCOME_OK)
		return;
	if (s->account != NULL && s->account->open_holds >= d->holds_max) {
		a->outcome = OUTCOME_TOO_MANY_HOLDS;
		return;
	}

	/* From here on it succeeds. */
	account = effects_account(d, s, c);
	h = new_hold(d, s, c, &choice);
	account->open_holds++;
	due_note_hold(account, h->expires_at_us);
	rows_add(d->rows, s, &h->row);
	effects_reserve(d, s, h, choice.reserved_micros);
	CHECK(h->reserved_micros == 0 || is_used(c) || funds_available(account) >= 0);
	CHECK(account->open_holds <= d->holds_max);
	fill_hold_answer(a, h, &choice);
	funds_figures(s, a);
	a->available_micros = verdict.available_micros - h->reserved_micros;
	/* No limit leaves more than the balance does. */
	CHECK(a->available_micros <= funds_available(account));
	if (is_used(c))
		grace_book(d, s, c);
	else
		grace_give(d, s, c, a->available_micros);
}
