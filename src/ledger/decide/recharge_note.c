/*
 * recharge_note: the card of the pending order is chosen.  From then on the payment may be there.
 */
#include "ledger/decide/decide.h"

#include "base/check.h"
#include "ledger/decide/recharge.h"
#include "ledger/decide/row_check.h"

void decide_recharge_note(struct decide *d, struct slot *s, struct command *c)
{
	struct recharges_row *r = rows_recharge(d->rows, s);
	struct topups_row *t = rows_topup(d->rows, s, c->topup_seq);

	if (r == NULL || t == NULL) {
		c->answer.outcome = OUTCOME_NOT_FOUND;
		return;
	}

	/* From here on it succeeds. */
	c->answer.outcome = OUTCOME_OK;
	c->answer.recharge_step = RECHARGE_NOTHING;
	if (r->pending_seq != t->seq)
		return;
	if (recharge_unneeded(s, r, t) || recharge_withdrawn(r, t)) {
		c->answer.recharge_step = RECHARGE_READ;
		return;
	}
	if (r->card[0] == '\0') {
		r->card = c->recharge_note.card;
		r->begun_at_us = d->now_us;
		row_check_recharge(r);
		rows_touch(d->rows, &r->row);
	}
	CHECK(r->card[0] != '\0' && r->begun_at_us != 0);
	c->answer.recharge_step = RECHARGE_POST;
}
