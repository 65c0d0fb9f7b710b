/*
 * statement_note: Stripe's answer about a statement's invoice.  Facts that are known already stay.
 */
#include "ledger/decide/decide.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/bill.h"
#include "ledger/decide/customer.h"
#include "ledger/decide/order.h"
#include "ledger/decide/row_check.h"

static void note_invoice(struct decide *d, struct statements_row *t, const struct command *c)
{
	const char *id = c->statement_note.invoice_id, *url = c->statement_note.invoice_url;

	if (id == NULL)
		return;
	if (c->statement_note.voided && strcmp(t->invoice_id, id) == 0) {
		t->invoice_id = t->invoice_url = "";
		t->state = t->state == STATEMENT_SENT ? STATEMENT_OPEN : t->state;
	} else if (!c->statement_note.voided && t->invoice_id[0] == '\0') {
		t->invoice_id = id;
		t->livemode = c->statement_note.livemode;
		t->state = t->state == STATEMENT_OPEN ? STATEMENT_SENT : t->state;
	}
	if (url != NULL && strcmp(t->invoice_id, id) == 0)
		t->invoice_url = url;
	/* Stripe has an invoice of a statement that was sent. */
	CHECK(t->state != STATEMENT_SENT || t->invoice_id[0] != '\0');
	row_check_statement(t);
	rows_touch(d->rows, &t->row);
}

/* NULL, or the reason why the command's payment is not one of the statement's invoice. */
static const char *note_mismatch(struct decide *d, const struct slot *s, struct statements_row *t,
                                 const struct command *c)
{
	struct order o;

	if (c->payment_id[0] == '\0')
		return NULL;
	if (c->statement_note.invoice_id == NULL || strcmp(t->invoice_id, c->statement_note.invoice_id) != 0)
		return "another invoice than the statement's";
	if ((t->livemode != 0) != c->statement_note.livemode)
		return "another mode (live or test) than the statement's";
	order_of_statement(t, &o);
	return order_payment_mismatch(d, s, &o, c);
}

static void keep_payment(struct decide *d, struct slot *s, struct statements_row *t, struct command *c)
{
	struct order o;

	if (c->payment_id[0] == '\0' || order_knows_payment(d, c))
		return;
	order_of_statement(t, &o);
	order_keep_payment(d, s, &o, c);
	c->answer.event_state = EVENT_APPLIED;
	c->answer.note = "";
}

void decide_statement_note(struct decide *d, struct slot *s, struct command *c)
{
	struct statements_row *t = bill_find(d, s, c->statement_seq);
	const char *why;

	CHECK(c->statement_note.attempt >= 0);
	if (t == NULL) {
		c->answer.outcome = OUTCOME_NOT_FOUND;
		if (c->event.id != NULL)
			order_park(&c->answer, "it names no statement");
		return;
	}
	why = note_mismatch(d, s, t, c);
	if (why != NULL) {
		order_park(&c->answer, why);
		return;
	}

	/* From here on it succeeds. */
	customer_note(d, s, c->statement_note.customer_id, c->statement_note.gone_id);
	c->answer.event_state = EVENT_IGNORED;
	c->answer.note = "nothing new";
	keep_payment(d, s, t, c);
	if (!bill_settled(t)) {
		note_invoice(d, t, c);
		/* One attempt may be reported twice. */
		if (c->statement_note.failure != NULL && t->failures == c->statement_note.attempt) {
			t->failure = c->statement_note.failure;
			bill_fail(d, s, t);
			c->answer.event_state = EVENT_APPLIED;
			c->answer.note = "";
		}
	}
	bill_answer(s, t, &c->answer);
}
