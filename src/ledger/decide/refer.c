/*
 * refer: a customer types another customer's referral code.  The reward of both is settled now, and given when this
 * account pays for the first time (referral.h).
 */
#include "ledger/decide/decide.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/code_attempts.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/row_check.h"

static enum outcome referral_refusal(struct decide *d, struct slot *s, const struct command *c)
{
	const struct signups_row *p = (struct signups_row *)rows_find(d->rows, s, TABLE_SIGNUPS, NULL);
	const struct billing_row *b = rows_billing(d->rows, s);
	const struct slot *referrer = rows_slot_known(d->rows, &c->refer.referrer);

	CHECK(referrer != NULL);
	CHECK(c->refer.reward_micros >= 0 && (c->refer.unit == UNIT_MONEY || c->refer.unit == UNIT_CREDIT));
	if (c->refer.reward_micros == 0 || referrer->account == NULL)
		return OUTCOME_CODE_UNKNOWN;
	if (c->refer.same_person || memcmp(&c->refer.referrer, &s->key, sizeof(s->key)) == 0)
		return OUTCOME_OWN_CODE;
	if (p != NULL && p->referred_at_us != 0)
		return OUTCOME_REFERRED_ALREADY;
	if (b != NULL && b->first_paid_at_us != 0)
		return OUTCOME_REFERRED_LATE;
	return OUTCOME_OK;
}

void decide_refer(struct decide *d, struct slot *s, struct command *c)
{
	struct signups_row *p;
	struct answer *a = &c->answer;

	if (code_attempts_spent(d, s, c->refer.guesses_max, a))
		return;
	a->outcome = referral_refusal(d, s, c);
	if (a->outcome != OUTCOME_OK)
		return;

	/* From here on it succeeds. */
	effects_account(d, s, c);
	p = code_attempts_row(d, s);
	memcpy(p->referrer_id, c->refer.referrer.bytes, sizeof(p->referrer_id));
	p->referred_at_us = d->now_us;
	p->reward_micros = c->refer.reward_micros;
	p->reward_unit = c->refer.unit;
	row_check_signup(p);
	CHECK(p->rewarded_at_us == 0);
	a->amount_micros = p->reward_micros;
	funds_figures(s, a);
}
