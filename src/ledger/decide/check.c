/*
 * check: tells if the account could spend now; reserves nothing and changes nothing.
 */
#include "ledger/decide/decide.h"

#include "ledger/decide/limits.h"
#include "ledger/decide/refusal.h"
#include "ledger/decide/use.h"

/* Sets needed to the cost of one action; false, with UNKNOWN_ACTION, where the action has no price. */
static bool price_action(const struct decide *d, const struct slot *s, const struct command *c, struct answer *a,
                         micros *needed)
{
	struct price standard;
	const struct price *p = refusal_action_price(d, s, c->check.action, &standard);

	if (p != NULL && price_of_action(p, a->unit, 1, needed))
		return true;
	a->outcome = OUTCOME_UNKNOWN_ACTION;
	return false;
}

/* The cost of a request for the model; false when it is out of range. */
static bool price_model(const struct decide *d, const struct price *p, const struct command *c, enum account_unit unit,
                        micros *needed)
{
	const struct counts none = {{0}};
	const struct counts bounds =
		use_bounds(&d->use.estimate, p, c->check.input_tokens, c->check.max_output_tokens, &none);
	const struct price_use use = {&bounds, TIER_STANDARD, ""};
	struct price_charge charge;

	if (!price_of_use(p, unit, &use, &charge))
		return false;
	*needed = charge.cost_micros;
	return true;
}

void decide_check(struct decide *d, struct slot *s, struct command *c)
{
	struct answer *a = &c->answer;
	const struct plan *plan = limits_plan(d, s);
	struct limits_verdict verdict;
	micros needed = 1;

	if (refusal_suspended(s, a) || refusal_removed(d, s, c->member, a))
		return;
	if (c->check.model[0] != '\0') {
		const struct price *p = book_price_at(d->book, PRICE_MODEL, c->check.model, d->now_us);
		const unsigned own = s->account != NULL ? (unsigned)s->account->byok : 0;

		a->outcome = OUTCOME_OK;
		if ((own & provider_bit(p != NULL ? p->provider : provider_of_model(c->check.model))) != 0)
			return;
		if (p == NULL || !price_model(d, p, c, a->unit, &needed)) {
			a->outcome = OUTCOME_UNKNOWN_MODEL;
			return;
		}
		if (plan != NULL && !plan_allows_model(plan, c->check.model)) {
			a->outcome = OUTCOME_MODEL_NOT_IN_PLAN;
			return;
		}
	} else if (c->check.action != NULL && !price_action(d, s, c, a, &needed)) {
		return;
	}
	limits_verdict(d, s, c->member, &verdict);
	if (needed > verdict.available_micros) {
		limits_refuse(&verdict, needed, a);
		return;
	}
	a->outcome = OUTCOME_OK;
	a->needed_micros = needed;
	a->available_micros = verdict.available_micros;
}
