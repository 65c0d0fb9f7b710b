/*
 * bonus: the customer asks for the sign-up bonus.
 */
#include "ledger/decide/decide.h"

#include <string.h>

#include "ledger/decide/campaign.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/row_check.h"

/* True if the account still has the address of the claims, which was read before the account was locked. */
static bool is_current(struct decide *d, struct slot *s, const struct command *c)
{
	const struct profiles_row *p = rows_profile(d->rows, s);

	return strcmp(p != NULL ? p->email : "", c->bonus.email) == 0;
}

void decide_bonus(struct decide *d, struct slot *s, struct command *c)
{
	struct answer *a = &c->answer;

	a->outcome = is_current(d, s, c) ? campaign_refusal(d, s, c) : OUTCOME_UNAVAILABLE;
	if (a->outcome != OUTCOME_OK)
		return;

	/* From here on it succeeds. */
	campaign_account(d, s, c);
	a->seq = campaign_give(d, s, c);
	row_check_account(s->account);
	a->amount_micros = c->bonus.amount_micros;
	funds_figures(s, a);
}
