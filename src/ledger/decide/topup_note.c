/*
 * topup_note: Stripe's answer about an order.  Facts that are known already stay.
 */
#include "ledger/decide/decide.h"

#include "ledger/decide/customer.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/open_orders.h"
#include "ledger/decide/row_check.h"

void decide_topup_note(struct decide *d, struct slot *s, struct command *c)
{
	struct topups_row *t = rows_topup(d->rows, s, c->topup_seq);

	if (t == NULL || rows_billing(d->rows, s) == NULL) {
		c->answer.outcome = OUTCOME_NOT_FOUND;
		return;
	}

	/* From here on it succeeds. */
	customer_note(d, s, c->topup_note.customer_id, c->topup_note.gone_id);
	if (c->topup_note.session_id != NULL && t->session_id[0] == '\0') {
		t->session_id = c->topup_note.session_id;
		rows_touch(d->rows, &t->row);
		if (t->state == TOPUP_OPEN)
			open_orders_extend(d, effects_billing(d, s), t);
	}
	row_check_topup(t);
	c->answer.outcome = OUTCOME_OK;
	c->answer.seq = t->seq;
}
