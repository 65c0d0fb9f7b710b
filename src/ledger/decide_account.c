/*
 * account: made on first sight or when asked for, and what an application may set on it.
 */
#include "ledger/decide.h"

#include "ledger/effects.h"

static void set_profile(struct decide *d, struct slot *s, const struct command *c)
{
	const char *const given[] = {c->account_change.email, c->account_change.name,
	                             c->account_change.locale, c->account_change.time_zone};
	struct profiles_row *p;
	bool any = false;

	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
		any = any || given[i] != NULL;
	if (!any)
		return;
	p = effects_profile(d, s);
	p->email = given[0] != NULL ? given[0] : p->email;
	p->name = given[1] != NULL ? given[1] : p->name;
	p->locale = given[2] != NULL ? given[2] : p->locale;
	p->time_zone = given[3] != NULL ? given[3] : p->time_zone;
}

void decide_account(struct decide *d, struct slot *s, struct command *c)
{
	struct accounts_row *account = s->account;

	if (account != NULL && c->account_change.set_unit &&
	    account->unit != (int64_t)c->account_change.unit &&
	    (account->entry_seq > 0 || account->hold_seq > 0)) {
		c->answer.outcome = OUTCOME_ACCOUNT_CONFLICT;
		return;
	}

	/* From here on it succeeds. */
	account = effects_account(d, s, c);
	if (c->account_change.set_unit)
		account->unit = c->account_change.unit;
	if (c->account_change.set_mode)
		account->mode = c->account_change.mode;
	if (c->account_change.set_status)
		account->status = c->account_change.status;
	if (c->account_change.set_hard_limit)
		account->hard_limit_micros = c->account_change.hard_limit_micros;
	if (c->account_change.set_soft_limit)
		account->soft_limit_micros = c->account_change.soft_limit_micros;
	if (c->account_change.set_byok)
		account->byok = c->account_change.byok;
	set_profile(d, s, c);
	c->answer.outcome = OUTCOME_OK;
	effects_figures(s, &c->answer);
}
