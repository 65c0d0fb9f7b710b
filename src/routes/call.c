#include "routes/call.h"

#include "routes/render.h"

bool call_submit(struct call *c, struct command *command)
{
	ledger_submit(c->ledger, command, c->request->deadline_us);
	if (command->answer.outcome == OUTCOME_OK)
		return true;
	render_answer(c, &command->answer);
	return false;
}

struct db *call_reader(struct call *c)
{
	struct db *d = pool_take(c->readers, c->request->deadline_us);

	if (d == NULL)
		render_outcome(c, OUTCOME_UNAVAILABLE);
	return d;
}
