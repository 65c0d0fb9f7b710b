/*
 * statement_paid: the invoice of a statement is paid.  The charging side reports that, and Stripe's event too, in any
 * order and any number of times.  The statement's state decides which report is the first.  A report that knows the
 * payment names it.
 */
#include "ledger/decide/decide.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/bill.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/order.h"
#include "ledger/decide/row_check.h"

/* NULL, or the reason why the command must wait for a person. */
static const char *paid_mismatch(struct decide *d, const struct slot *s, struct statements_row *t,
                                 const struct command *c)
{
	struct order o;

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
	order_of_statement(t, &o);
	return order_payment_mismatch(d, s, &o, c);
}

static void book_paid(struct decide *d, struct slot *s, struct statements_row *t, const struct order_claims *claims)
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
	struct order o;

	CHECK(t->transaction_seq == 0);
	t->transaction_seq = effects_transact(d, s, &payment);
	t->grant_seq = s->account->grant_seq;
	t->paid_at_us = d->now_us;
	bill_settle(d, s, t, STATEMENT_PAID);
	order_of_statement(t, &o);
	order_settle(d, s, &o, claims, t->payment_id);
}

void decide_statement_paid(struct decide *d, struct slot *s, struct command *c)
{
	struct statements_row *t = bill_find(d, s, c->statement_seq);
	const char *why = paid_mismatch(d, s, t, c);
	struct answer *a = &c->answer;
	struct order_claims claims;
	struct order o;

	if (why != NULL) {
		order_park(a, why);
		return;
	}
	order_of_statement(t, &o);
	a->credited = t->state != STATEMENT_PAID;
	/* Earlier refunds and disputes are taken back at once. */
	if (!order_claims(&o, &claims) || (a->credited && !order_fits_paid(s, &o, &claims))) {
		a->credited = false;
		order_park(a, "the balance would leave its range");
		return;
	}

	/* From here on it succeeds. */
	a->event_state = a->credited ? EVENT_APPLIED : EVENT_IGNORED;
	a->note = a->credited ? "" : "nothing new";
	order_keep_payment(d, s, &o, c);
	if (a->credited)
		book_paid(d, s, t, &claims);
	bill_answer(s, t, a);
	a->seq = t->transaction_seq;
	row_check_statement(t);
	CHECK(t->state == STATEMENT_PAID);
}
