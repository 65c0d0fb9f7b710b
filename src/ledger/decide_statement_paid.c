/*
 * statement_paid: not written yet.
 */
#include "ledger/decide.h"

void decide_statement_paid(struct decide *d, struct slot *s, struct command *c)
{
	(void)d;
	(void)s;
	c->answer.outcome = OUTCOME_UNAVAILABLE;
}
