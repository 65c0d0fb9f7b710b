/*
 * transaction: a movement other than usage: credits are given, or taken back.
 */
#include "ledger/decide/decide.h"
#include "ledger/decide/funds.h"

#include "base/check.h"
#include "ledger/decide/effects.h"

struct rule {
	int sign;
	int64_t priority;
};

static const struct rule rules[TRANSACTION_COUNT] = {
#define TRANSACTION(NAME, sign, priority, counterpart) [TRANSACTION_##NAME] = {sign, priority},
#include "ledger/transactions.def"
#undef TRANSACTION
};

static const char *wrong_field(const struct decide *d, const struct slot *s, const struct command *c)
{
	const struct rule *rule = &rules[c->transaction.type];
	const micros amount = c->transaction.amount_micros;

	CHECK((unsigned)c->transaction.type < TRANSACTION_COUNT && rule->priority >= 0);
	if (amount == 0 || amount > MONEY_AMOUNT_MAX_MICROS || amount < -MONEY_AMOUNT_MAX_MICROS ||
	    (rule->sign > 0 && amount < 0) || (rule->sign < 0 && amount > 0) || !funds_fit(s->account, amount))
		return "amountMicros";
	if (c->transaction.expires_at_us != 0 && (amount < 0 || c->transaction.expires_at_us <= d->now_us))
		return "expiresAt";
	return NULL;
}

void decide_transaction(struct decide *d, struct slot *s, struct command *c)
{
	struct answer *a = &c->answer;
	const struct rule *rule = &rules[c->transaction.type];
	const struct effects_transaction t = {
		.type = c->transaction.type,
		.amount_micros = c->transaction.amount_micros,
		.priority = c->transaction.priority >= 0 ? c->transaction.priority : rule->priority,
		.expires_at_us = c->transaction.expires_at_us,
		.at_us = d->now_us,
		.description = c->transaction.description,
		.reference = c->transaction.reference,
		.actor = c->transaction.actor,
		.metadata = c->transaction.metadata,
	};

	a->field = wrong_field(d, s, c);
	if (a->field != NULL) {
		a->outcome = OUTCOME_INVALID_REQUEST;
		return;
	}

	/* From here on it succeeds. */
	effects_account(d, s, c);
	a->outcome = OUTCOME_OK;
	CHECK(t.priority >= 0 && t.priority <= INT32_MAX);
	a->seq = effects_transact(d, s, &t);
	a->amount_micros = t.amount_micros;
	a->expires_at_us = t.expires_at_us;
	funds_figures(s, a);
}
