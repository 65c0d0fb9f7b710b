/*
 * touch: no effect but that of due events; makes the account when asked to.  Refuses a member that was removed.
 */
#include "ledger/decide/decide.h"

#include "base/check.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/refusal.h"

void decide_touch(struct decide *d, struct slot *s, struct command *c)
{
	if (refusal_removed(d, s, c->member, &c->answer))
		return;
	c->answer.outcome = OUTCOME_OK;
	if (s->account == NULL && c->touch.create)
		effects_account(d, s, c);
	c->answer.absent = s->account == NULL;
	CHECK(!c->answer.absent || !c->touch.create);
	funds_figures(s, &c->answer);
}
