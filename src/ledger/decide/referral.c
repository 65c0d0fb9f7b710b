#include "ledger/decide/referral.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/row_check.h"

/* Gives the reward, but not to an account of another unit, nor where the balance would leave its range. */
static void reward(struct decide *d, struct slot *s, const struct signups_row *p)
{
	const struct effects_transaction t = {
		.type = TRANSACTION_REFERRAL_BONUS,
		.amount_micros = p->reward_micros,
		.priority = effects_priority(TRANSACTION_REFERRAL_BONUS),
		.at_us = d->now_us,
		.description = "referral",
		.actor = "referral",
	};

	CHECK(s->refreshed && p->reward_micros > 0);
	if (s->account->unit != p->reward_unit || !funds_fit(s->account, p->reward_micros))
		return;
	effects_transact(d, s, &t);
}

void referral_pay(struct decide *d, struct slot *s)
{
	struct signups_row *p = (struct signups_row *)rows_find(d->rows, s, TABLE_SIGNUPS, NULL);
	struct account_key referrer;
	struct slot *other;

	if (p == NULL || p->referred_at_us == 0 || p->rewarded_at_us != 0)
		return;
	memcpy(referrer.bytes, p->referrer_id, sizeof(referrer.bytes));
	other = rows_slot_known(d->rows, &referrer);
	/* Accounts are never removed, and prefetch has locked this one. */
	CHECK(other != NULL && other != s && other->account != NULL);
	if (!other->refreshed)
		decide_refresh(d, other);
	rows_touch(d->rows, &p->row);
	p->rewarded_at_us = d->now_us;
	row_check_signup(p);
	reward(d, s, p);
	reward(d, other, p);
}
