/*
 * topup_note: what Stripe answered about an order.  What is known already stays.
 */
#include "ledger/decide.h"

#include <string.h>

#include "ledger/effects.h"

static bool is_gone(const struct billing_row *b, const struct command *c)
{
	return c->topup_note.gone_id != NULL && strcmp(b->customer_id, c->topup_note.gone_id) == 0;
}

void decide_topup_note(struct decide *d, struct slot *s, struct command *c)
{
	struct topups_row *t = rows_topup(d->rows, s, c->topup_seq);
	struct billing_row *b = rows_billing(d->rows, s);

	if (t == NULL || b == NULL) {
		c->answer.outcome = OUTCOME_NOT_FOUND;
		return;
	}

	/* From here on it succeeds. */
	if (c->topup_note.customer_id != NULL && (b->customer_id[0] == '\0' || is_gone(b, c))) {
		b->customer_id = c->topup_note.customer_id;
		rows_touch(d->rows, &b->row);
	}
	if (c->topup_note.session_id != NULL && t->session_id[0] == '\0') {
		t->session_id = c->topup_note.session_id;
		rows_touch(d->rows, &t->row);
	}
	c->answer.outcome = OUTCOME_OK;
	c->answer.seq = t->seq;
}
