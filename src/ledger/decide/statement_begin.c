/*
 * statement_begin: the remaining debt of a statement, before an invoice is made of it.  An invoice that is there
 * already keeps its amount; answer.stale is true if less is owed by now.
 */
#include "ledger/decide/decide.h"

#include "base/check.h"
#include "ledger/decide/bill.h"
#include "ledger/decide/customer.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/row_check.h"
#include "ledger/decide/workspace.h"

/* The debt that is neither overdue nor in another statement that is to be charged; at most this statement's amount. */
static micros rest_of(const struct slot *s, const struct workspaces_row *w, const struct statements_row *t)
{
	const micros debt = funds_debt(s);
	const micros others = w->stated_micros - t->amount_micros + w->overdue_micros;

	CHECK(others >= 0 && debt >= 0);
	if (debt <= others)
		return 0;
	return debt - others < t->amount_micros ? debt - others : t->amount_micros;
}

static void lessen(struct decide *d, struct slot *s, struct statements_row *t, const struct statement_amount *amount)
{
	struct workspaces_row *w = workspace_of(d, s);

	CHECK(amount->minor >= 0 && amount->minor < t->amount_minor && amount->micros <= t->amount_micros);
	if (amount->minor == 0) {
		bill_settle(d, s, t, STATEMENT_VOID);
		return;
	}
	if (bill_small(d, amount))
		bill_settle(d, s, t, STATEMENT_CARRIED);
	else
		w->stated_micros -= t->amount_micros - amount->micros;
	t->amount_micros = amount->micros;
	t->amount_minor = amount->minor;
	row_check_statement(t);
	row_check_workspace(w);
	rows_touch(d->rows, &w->row);
	rows_touch(d->rows, &t->row);
}

void decide_statement_begin(struct decide *d, struct slot *s, struct command *c)
{
	struct statements_row *t = bill_find(d, s, c->statement_seq);
	struct statement_amount left;

	if (t == NULL) {
		c->answer.outcome = OUTCOME_NOT_FOUND;
		return;
	}

	/* From here on it succeeds. */
	if (!bill_settled(t)) {
		bill_price(d, s, rest_of(s, workspace_of(d, s), t), &left);
		if (t->invoice_id[0] != '\0')
			c->answer.stale = left.minor < t->amount_minor;
		else if (left.minor < t->amount_minor)
			lessen(d, s, t, &left);
		customer_keep_key(d, s, c->statement_begin.customer_key);
	}
	bill_answer(s, t, &c->answer);
}
