/*
 * redeem: a customer types a code that octroictl made.
 */
#include "ledger/decide/decide.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/code_attempts.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/row_check.h"

static struct redemptions_row *find_redemption(struct decide *d, struct slot *s, const struct command *c)
{
	return (struct redemptions_row *)rows_find(d->rows, s, TABLE_REDEMPTIONS, c->redeem.code_key);
}

static bool in_force(const struct decide *d, const struct codes_row *code)
{
	return code != NULL && code->revoked_at_us == 0 &&
	       (code->expires_at_us == 0 || code->expires_at_us > d->now_us);
}

static enum outcome refusal(struct decide *d, struct slot *s, const struct command *c, const struct codes_row *code)
{
	const struct redemptions_row *before = find_redemption(d, s, c);
	const int64_t unit = s->account != NULL ? s->account->unit : UNIT_MONEY;

	CHECK(code->amount_micros > 0 && code->uses >= 0);
	if (code->unit != unit)
		return OUTCOME_CODE_OTHER_UNIT;
	if (before != NULL && before->uses >= code->uses_per_account)
		return OUTCOME_CODE_USED;
	if (code->uses >= code->uses_max)
		return OUTCOME_CODE_EXHAUSTED;
	return funds_fit(s->account, code->amount_micros) ? OUTCOME_OK : OUTCOME_CODE_EXHAUSTED;
}

static void count_use(struct decide *d, struct slot *s, const struct command *c, struct codes_row *code)
{
	struct redemptions_row *r = find_redemption(d, s, c);

	if (r == NULL) {
		r = (struct redemptions_row *)rows_alloc(d->rows, TABLE_REDEMPTIONS);
		memcpy(r->account_id, s->key.bytes, sizeof(r->account_id));
		memcpy(r->code_id, c->redeem.code_key, sizeof(r->code_id));
		rows_add(d->rows, s, &r->row);
	}
	rows_touch(d->rows, &r->row);
	r->uses++;
	r->used_at_us = d->now_us;
	rows_touch(d->rows, &code->row);
	code->uses++;
	row_check_redemption(r, code);
}

void decide_redeem(struct decide *d, struct slot *s, struct command *c)
{
	struct codes_row *code = (struct codes_row *)rows_find(d->rows, NULL, TABLE_CODES, c->redeem.code_key);
	struct effects_transaction t = {
		.type = TRANSACTION_PROMO_BONUS,
		.priority = effects_priority(TRANSACTION_PROMO_BONUS),
		.at_us = d->now_us,
		.actor = "code",
		.description = c->redeem.description,
	};
	struct answer *a = &c->answer;

	if (code_attempts_spent(d, s, c->redeem.guesses_max, a))
		return;
	if (!in_force(d, code)) {
		code_attempts_count(d, s, c);
		a->outcome = OUTCOME_CODE_UNKNOWN;
		return;
	}
	a->outcome = refusal(d, s, c, code);
	if (a->outcome != OUTCOME_OK)
		return;

	/* From here on it succeeds. */
	effects_account(d, s, c);
	t.amount_micros = code->amount_micros;
	t.reference = code->code;
	a->seq = effects_transact(d, s, &t);
	count_use(d, s, c, code);
	a->amount_micros = t.amount_micros;
	CHECK(s->account->unit == code->unit);
	funds_figures(s, a);
}
