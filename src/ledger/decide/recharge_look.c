/*
 * recharge_look: the card has changed, or a review has found that a charge is due and that no task is left for it.
 */
#include "ledger/decide/decide.h"

#include "ledger/decide/alert.h"
#include "ledger/decide/recharge.h"
#include "ledger/decide/row_check.h"

void decide_recharge_look(struct decide *d, struct slot *s, struct command *c)
{
	struct recharges_row *r = rows_recharge(d->rows, s);

	/* From here on it succeeds. */
	c->answer.outcome = OUTCOME_OK;
	c->answer.event_state = r != NULL ? EVENT_APPLIED : EVENT_IGNORED;
	c->answer.note = r != NULL ? "" : "an account without auto-recharge";
	if (r == NULL)
		return;
	if (c->recharge_look.card_changed)
		recharge_card_changed(d, s);
	else if (r->pending_seq != 0)
		alert_recharge_fire(d, s, r->state == RECHARGE_ON ? r->below_micros : 0);
	else
		recharge_arm(d, s, r);
	row_check_recharge(r);
}
