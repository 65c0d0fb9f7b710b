/*
 * charge: checks and consumes an action in one call, which stands for a hold and its settlement.
 */
#include "ledger/decide/decide.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/limits.h"
#include "ledger/decide/refusal.h"
#include "ledger/decide/row_check.h"

static struct usages_row *new_usage(struct decide *d, struct slot *s, const struct command *c, int64_t price_version,
                                    micros cost)
{
	struct usages_row *u = (struct usages_row *)rows_alloc(d->rows, TABLE_USAGES);

	CHECK(cost >= 0 && price_version >= 0 && c->charge.quantity > 0);
	memcpy(u->account_id, s->key.bytes, sizeof(u->account_id));
	u->seq = ++s->account->hold_seq;
	u->state = USAGE_SETTLED;
	u->settlement = SETTLEMENT_EXACT;
	u->outcome = SETTLE_COMPLETE;
	u->member = c->member;
	u->kind = PRICE_ACTION;
	u->item = c->charge.action;
	u->source = SOURCE_PLATFORM;
	u->price_version = price_version;
	u->quantity = c->charge.quantity;
	u->reserved_micros = cost;
	u->conversation_id = c->charge.labels.conversation_id;
	u->message_id = c->charge.labels.message_id;
	u->metadata = c->charge.labels.metadata;
	u->created_at_us = d->now_us;
	u->ended_at_us = d->now_us;
	u->recorded = true;
	return u;
}

void decide_charge(struct decide *d, struct slot *s, struct command *c)
{
	struct answer *a = &c->answer;
	struct price standard;
	const struct price *p = refusal_action_price(d, s, c->charge.action, &standard);
	struct usages_row *u;
	struct limits_verdict verdict;
	micros cost;

	if (refusal_suspended(s, a) || refusal_removed(d, s, c->member, a))
		return;
	if (p == NULL) {
		a->outcome = OUTCOME_UNKNOWN_ACTION;
		return;
	}
	if (!price_of_action(p, a->unit, c->charge.quantity, &cost)) {
		a->outcome = OUTCOME_INVALID_REQUEST;
		a->field = "quantity";
		return;
	}
	limits_verdict(d, s, c->member, &verdict);
	if (cost > verdict.available_micros) {
		limits_refuse(&verdict, cost, a);
		return;
	}

	/* From here on it succeeds. */
	effects_account(d, s, c);
	u = new_usage(d, s, c, p == &standard ? 0 : p->version, cost);
	rows_add(d->rows, s, &u->row);
	effects_cost(d, s, u, cost, 0, d->now_us);
	CHECK(u->cost_micros == u->reserved_micros);
	row_check_account(s->account);
	a->outcome = OUTCOME_OK;
	a->seq = u->seq;
	a->amount_micros = cost;
	a->price_version = u->price_version;
	a->settlement = SETTLEMENT_EXACT;
	funds_figures(s, a);
	a->available_micros = verdict.available_micros - cost;
	/* No limit leaves more than the balance does. */
	CHECK(a->available_micros <= funds_available(s->account));
}
