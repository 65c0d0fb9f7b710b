/*
 * period_payment: the payment with which a period's invoice was paid, where the invoice itself does not name it.
 */
#include "ledger/decide/decide.h"

#include "base/check.h"
#include "ledger/decide/order.h"
#include "ledger/decide/paid_period.h"

void decide_period_payment(struct decide *d, struct slot *s, struct command *c)
{
	struct paid_periods_row *r = rows_period(d->rows, s, c->topup_seq);
	struct answer *a = &c->answer;

	if (r == NULL) {
		order_park(a, "its invoice is not known");
		return;
	}
	if (paid_period_payment_mismatch(d, s, c)) {
		order_park(a, "this payment belongs to something else");
		return;
	}

	/* From here on it succeeds. */
	CHECK(c->payment_id[0] != '\0');
	a->outcome = OUTCOME_OK;
	if (!paid_period_keep_payment(d, s, r, c)) {
		a->event_state = EVENT_IGNORED;
		a->note = "nothing new";
	}
}
