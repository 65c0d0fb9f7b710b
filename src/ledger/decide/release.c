/*
 * release: the request was not made; nothing is charged.
 */
#include "ledger/decide/decide.h"

#include "base/check.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"

void decide_release(struct decide *d, struct slot *s, struct command *c)
{
	struct holds_row *h = rows_hold(d->rows, s, c->hold_seq);
	struct usages_row *u = rows_usage(d->rows, s, c->hold_seq);

	/* A hold is open, or it has ended. */
	CHECK(h == NULL || u == NULL);
	c->answer.seq = c->hold_seq;
	if (h == NULL && u == NULL) {
		c->answer.outcome = OUTCOME_NOT_FOUND;
		return;
	}
	if (u != NULL) {
		c->answer.replayed = u->state == USAGE_RELEASED;
		c->answer.outcome = c->answer.replayed ? OUTCOME_OK : OUTCOME_HOLD_ENDED;
		return;
	}

	/* From here on it succeeds. */
	u = effects_end_hold(d, s, h, USAGE_RELEASED, d->now_us);
	effects_cost(d, s, u, 0, 0, d->now_us);
	CHECK(u->seq == c->hold_seq);
	c->answer.outcome = OUTCOME_OK;
	funds_figures(s, &c->answer);
}
