/*
 * statement: makes a statement of the debt of now, to be charged at once.
 */
#include "ledger/decide/decide.h"

#include "base/check.h"
#include "ledger/decide/bill.h"
#include "ledger/decide/workspace.h"

void decide_statement(struct decide *d, struct slot *s, struct command *c)
{
	const struct workspaces_row *w = s->account != NULL ? workspace_of(d, s) : NULL;
	const micros overdue = w != NULL ? w->overdue_micros : 0;
	struct answer *a = &c->answer;
	struct statement_amount amount = {0, 0};
	struct statements_row *t;

	CHECK(overdue >= 0);
	if (s->account != NULL)
		bill_price(d, s, bill_owed(s, w) + overdue, &amount);
	a->outcome = OUTCOME_OK;
	/* A debt that is too small to be charged stays owed, or it would be stated again and again. */
	if (s->account == NULL || bill_small(d, &amount))
		return;

	/* From here on it succeeds. */
	(void)workspace_ensure(d, s);
	t = bill_make(d, s, &amount, d->now_us);
	bill_demand(d, s, t);
	/* Each kind of charge waits for this statement now. */
	CHECK(!bill_settled(t) && workspace_of(d, s)->overdue_micros == 0);
	bill_answer(s, t, a);
}
