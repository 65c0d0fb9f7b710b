#include "ledger/decide/paid_period_money.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/alert.h"
#include "ledger/decide/facts.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/order.h"
#include "ledger/decide/paid_period.h"
#include "ledger/decide/row_check.h"

static const char *money_mismatch(struct decide *d, const struct slot *s, const struct paid_periods_row *p,
                                  const struct command *c, int64_t amount_minor, const char *currency, bool livemode)
{
	if (p == NULL)
		return "no such period";
	if (strcmp(p->currency, currency) != 0)
		return "another currency than the invoice's";
	if ((p->livemode != 0) != livemode)
		return "another mode (live or test) than the invoice's";
	if (paid_period_payment_mismatch(d, s, c))
		return "this payment belongs to something else";
	if (amount_minor < 0 || amount_minor > ORDER_MINOR_MAX)
		return "an amount that cannot be";
	return NULL;
}

/* Writes the facts of after into p and meets their claim; parks the event if the balance would leave its range. */
static bool settle(struct decide *d, struct slot *s, struct paid_periods_row *p, const struct paid_periods_row *after,
                   struct command *c, enum transaction_type type)
{
	const micros taken = p->taken_micros;

	if (!paid_period_claim_fits(s, after)) {
		order_park(&c->answer, "the balance would leave its range");
		return false;
	}
	row_check_paid_period(after);
	CHECK(after->seq == p->seq && after->charge_refunded_minor >= p->charge_refunded_minor);
	p->charge_refunded_minor = after->charge_refunded_minor;
	p->refunds_known_minor = after->refunds_known_minor;
	p->refunds_live_minor = after->refunds_live_minor;
	p->disputes_minor = after->disputes_minor;
	paid_period_claim(d, s, p, type, c->object_id[0] != '\0' ? c->object_id : c->payment_id);
	if (p->taken_micros > taken)
		alert_post(d, s,
		           &(struct alert_what){.kind = type == TRANSACTION_REFUND ? ALERT_REFUNDED : ALERT_DISPUTED,
		                                .amount_micros = p->taken_micros - taken});
	c->answer.outcome = OUTCOME_OK;
	funds_figures(s, &c->answer);
	return true;
}

/* ---- refunds --------------------------------------------------------------------------------------- */

void paid_period_money_refund(struct decide *d, struct slot *s, struct command *c)
{
	struct paid_periods_row *p = rows_period(d->rows, s, c->topup_seq), after;
	const char *why = money_mismatch(d, s, p, c, c->refund.amount_minor, c->refund.currency, c->refund.livemode);
	struct refunds_row *r = facts_refund(d, s, c);
	const enum refund_status status = facts_refund_status(r, c);
	const struct facts_refunds sums = {&after.charge_refunded_minor, &after.refunds_known_minor,
	                                   &after.refunds_live_minor};

	if (why == NULL && r != NULL && (r->topup_seq != p->seq || r->amount_minor != c->refund.amount_minor))
		why = "this refund was of something else, or of another amount";
	if (why != NULL) {
		order_park(&c->answer, why);
		return;
	}
	after = *p;
	facts_add_refund(&sums, r, c, status);
	if (settle(d, s, p, &after, c, TRANSACTION_REFUND))
		facts_keep_refund(d, s, r, c, status);
}

/* ---- disputes -------------------------------------------------------------------------------------- */

void paid_period_money_dispute(struct decide *d, struct slot *s, struct command *c)
{
	struct paid_periods_row *p = rows_period(d->rows, s, c->topup_seq), after;
	struct disputes_row *r = (struct disputes_row *)rows_find(d->rows, s, TABLE_DISPUTES, c->object_key);
	const char *why = money_mismatch(d, s, p, c, c->dispute.amount_minor, c->dispute.currency, c->dispute.livemode);
	const struct disputes_row known = facts_of_dispute(r, c);

	if (why == NULL && r != NULL && r->topup_seq != p->seq)
		why = "this dispute was about something else";
	if (why != NULL) {
		order_park(&c->answer, why);
		return;
	}
	after = *p;
	if (r != NULL)
		after.disputes_minor -= facts_live_dispute(r);
	after.disputes_minor += facts_live_dispute(&known);
	if (settle(d, s, p, &after, c, TRANSACTION_DISPUTE))
		facts_keep_dispute(d, s, r, &known, c);
}
