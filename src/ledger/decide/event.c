/*
 * event: notes a webhook event that moves nothing.
 */
#include "ledger/decide/decide.h"

#include "base/check.h"

void decide_event(struct decide *d, struct slot *s, struct command *c)
{
	(void)d;
	(void)s;
	CHECK((unsigned)c->event_only.state <= EVENT_WAITING);
	c->answer.outcome = OUTCOME_OK;
	c->answer.event_state = c->event_only.state;
	c->answer.note = c->event_only.note;
}
