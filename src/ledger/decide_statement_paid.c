/*
 * statement_paid: the invoice of a statement is paid.  Who charged it says so, and Stripe's event too, in any order
 * and any number of times; the statement's state decides who is first.
 */
#include "ledger/decide.h"

#include <string.h>

#include "ledger/effects.h"
#include "ledger/order.h"
#include "ledger/statement.h"

/* NULL, or why a person is to look. */
static const char *mismatch(const struct slot *s, const struct statements_row *t, const struct command *c)
{
	if (t == NULL)
		return "it names no statement";
	if (strcmp(t->invoice_id, c->statement_paid.invoice_id) != 0)
		return "another invoice than the statement's";
	if (strcmp(t->currency, c->statement_paid.currency) != 0)
		return "another currency than the statement's";
	if (t->amount_minor != c->statement_paid.amount_minor)
		return "another amount than the statement's";
	if ((t->livemode != 0) != c->statement_paid.livemode)
		return "another mode (live or test) than the statement's";
	if (t->state == STATEMENT_VOID || t->state == STATEMENT_CARRIED)
		return "the statement is void";
	if (t->state != STATEMENT_PAID && !effects_fits(s->account, t->amount_micros))
		return "the balance would leave its range";
	return NULL;
}

static void book(struct decide *d, struct slot *s, struct statements_row *t)
{
	const struct effects_transaction payment = {
		.type = TRANSACTION_PAYMENT,
		.amount_micros = t->amount_micros,
		.priority = effects_priority(TRANSACTION_PAYMENT),
		.at_us = d->now_us,
		.description = "payment",
		.reference = t->invoice_id,
		.actor = "stripe",
	};

	t->transaction_seq = effects_transact(d, s, &payment);
	t->paid_at_us = d->now_us;
	statement_settle(d, s, t, STATEMENT_PAID);
}

void decide_statement_paid(struct decide *d, struct slot *s, struct command *c)
{
	struct statements_row *t = statement_find(d, s, c->statement_seq);
	struct answer *a = &c->answer;
	const char *why = mismatch(s, t, c);

	if (why != NULL) {
		order_park(a, why);
		return;
	}

	/* From here on it succeeds. */
	a->event_state = t->state == STATEMENT_PAID ? EVENT_IGNORED : EVENT_APPLIED;
	a->note = t->state == STATEMENT_PAID ? "nothing new" : "";
	a->credited = t->state != STATEMENT_PAID;
	if (a->credited)
		book(d, s, t);
	statement_answer(s, t, a);
	a->seq = t->transaction_seq;
}
