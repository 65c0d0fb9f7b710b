/*
 * touch: nothing but what was due anyway; makes the account when asked to.
 */
#include "ledger/decide.h"

#include "ledger/effects.h"

void decide_touch(struct decide *d, struct slot *s, struct command *c)
{
	c->answer.outcome = OUTCOME_OK;
	if (s->account == NULL && c->touch.create)
		effects_account(d, s, c);
	c->answer.absent = s->account == NULL;
	effects_figures(s, &c->answer);
}
