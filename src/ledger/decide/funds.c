#include "ledger/decide/funds.h"

#include "base/check.h"

micros funds_promisable(micros balance_micros, micros held_micros, bool postpaid, micros hard_limit_micros)
{
	const micros free_micros = money_sum(balance_micros, -held_micros);

	CHECK(hard_limit_micros >= 0);
	return postpaid ? money_sum(free_micros, hard_limit_micros) : free_micros;
}

micros funds_available(const struct accounts_row *a)
{
	if (a == NULL)
		return 0;
	return funds_promisable(a->balance_micros, a->held_micros, a->mode == MODE_POSTPAID, a->hard_limit_micros);
}

micros funds_owed(micros balance_micros, micros arrears_micros)
{
	const micros below = balance_micros < 0 ? -balance_micros : 0;

	CHECK(arrears_micros >= 0);
	return below > arrears_micros ? below : arrears_micros;
}

micros funds_debt(const struct slot *s)
{
	return funds_owed(s->account != NULL ? s->account->balance_micros : 0,
	                  s->workspace != NULL ? s->workspace->arrears_micros : 0);
}

bool funds_fit(const struct accounts_row *a, micros change)
{
	micros balance;

	if (!money_add(a == NULL ? 0 : a->balance_micros, change, &balance))
		return false;
	return balance >= -FUNDS_BALANCE_MAX && balance <= FUNDS_BALANCE_MAX;
}

void funds_figures(const struct slot *s, struct answer *a)
{
	if (s->account != NULL) {
		a->unit = (enum account_unit)s->account->unit;
		a->mode = (enum account_mode)s->account->mode;
		a->balance_micros = s->account->balance_micros;
	}
	a->available_micros = funds_available(s->account);
}
