#include "ledger/decide/funds.h"

micros funds_available(const struct accounts_row *a)
{
	micros free_micros;

	if (a == NULL)
		return 0;
	free_micros = money_sum(a->balance_micros, -a->held_micros);
	return a->mode == MODE_POSTPAID ? money_sum(free_micros, a->hard_limit_micros) : free_micros;
}

micros funds_debt(const struct slot *s)
{
	const micros arrears = s->workspace != NULL ? s->workspace->arrears_micros : 0;
	const micros below = s->account != NULL && s->account->balance_micros < 0 ? -s->account->balance_micros : 0;

	return below > arrears ? below : arrears;
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
