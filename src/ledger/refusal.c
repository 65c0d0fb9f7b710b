#include "ledger/refusal.h"

#include "ledger/effects.h"

void refusal_unaffordable(const struct slot *s, micros needed, struct answer *a)
{
	const struct accounts_row *account = s->account;

	a->outcome = OUTCOME_INSUFFICIENT_CREDITS;
	a->limit = LIMIT_BALANCE;
	a->needed_micros = needed;
	if (account == NULL)
		return;
	if (account->mode == MODE_POSTPAID) {
		a->outcome = OUTCOME_HARD_LIMIT_REACHED;
		a->limit = LIMIT_HARD;
		a->limit_micros = account->hard_limit_micros;
		a->used_micros = account->held_micros - account->balance_micros;
		return;
	}
	a->limit_micros = account->balance_micros;
	a->used_micros = account->held_micros;
}

void refusal_suspended(struct answer *a)
{
	a->outcome = OUTCOME_ACCOUNT_SUSPENDED;
	a->limit = LIMIT_SUSPENDED;
}

const struct price *refusal_action_price(const struct decide *d, const char *action,
                                         struct price *standard)
{
	const struct price *p = book_price_at(d->book, PRICE_ACTION, action, d->now_us);

	if (p != NULL)
		return p;
	if (d->action_price_micros == 0)
		return NULL;
	*standard = (struct price){
		.kind = PRICE_ACTION, .terms = d->terms, .credits_micros = d->action_price_micros};
	return standard;
}
