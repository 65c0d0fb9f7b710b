#include "ledger/decide/paid_period_money.h"

#include <string.h>

#include "ledger/decide/funds.h"
#include "ledger/decide/order.h"
#include "ledger/decide/paid_period.h"

static const char *mismatch(struct decide *d, const struct slot *s, const struct paid_periods_row *p,
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
	if (!paid_period_claim_fits(s, after)) {
		order_park(&c->answer, "the balance would leave its range");
		return false;
	}
	p->charge_refunded_minor = after->charge_refunded_minor;
	p->refunds_known_minor = after->refunds_known_minor;
	p->refunds_live_minor = after->refunds_live_minor;
	p->disputes_minor = after->disputes_minor;
	paid_period_claim(d, s, p, type, c->object_id[0] != '\0' ? c->object_id : c->payment_id);
	c->answer.outcome = OUTCOME_OK;
	funds_figures(s, &c->answer);
	return true;
}

/* ---- refunds --------------------------------------------------------------------------------------- */

static int64_t live_refund(enum refund_status status, int64_t amount_minor)
{
	return status == REFUND_FAILED || status == REFUND_UNKNOWN ? 0 : amount_minor;
}

static void learn_refund(struct paid_periods_row *after, const struct refunds_row *r, const struct command *c,
                         enum refund_status status)
{
	const int64_t amount = c->refund.amount_minor;

	if (c->object_id[0] == '\0') {
		if (amount > after->charge_refunded_minor)
			after->charge_refunded_minor = amount;
		return;
	}
	after->refunds_known_minor += r == NULL ? amount : 0;
	after->refunds_live_minor += live_refund(status, amount) -
	                             live_refund(r == NULL ? REFUND_UNKNOWN : (enum refund_status)r->status, amount);
}

static void keep_refund(struct decide *d, struct slot *s, struct refunds_row *r, const struct command *c,
                        enum refund_status status)
{
	if (c->object_id[0] == '\0')
		return;
	if (r == NULL) {
		r = (struct refunds_row *)rows_alloc(d->rows, TABLE_REFUNDS);
		memcpy(r->account_id, s->key.bytes, sizeof(r->account_id));
		memcpy(r->refund_key, c->object_key, sizeof(r->refund_key));
		r->refund_id = c->object_id;
		r->topup_seq = c->topup_seq;
		r->amount_minor = c->refund.amount_minor;
		r->created_at_us = d->now_us;
		rows_add(d->rows, s, &r->row);
	}
	rows_touch(d->rows, &r->row);
	r->status = status;
}

void paid_period_money_refund(struct decide *d, struct slot *s, struct command *c)
{
	struct paid_periods_row *p = rows_period(d->rows, s, c->topup_seq), after;
	const char *why = mismatch(d, s, p, c, c->refund.amount_minor, c->refund.currency, c->refund.livemode);
	enum refund_status status = c->refund.status;
	struct refunds_row *r = NULL;

	if (c->object_id[0] != '\0')
		r = (struct refunds_row *)rows_find(d->rows, s, TABLE_REFUNDS, c->object_key);
	if (why == NULL && r != NULL && (r->topup_seq != p->seq || r->amount_minor != c->refund.amount_minor))
		why = "this refund was of something else, or of another amount";
	if (why != NULL) {
		order_park(&c->answer, why);
		return;
	}
	if (r != NULL && r->status > (int64_t)status)
		status = (enum refund_status)r->status;
	after = *p;
	learn_refund(&after, r, c, status);
	if (settle(d, s, p, &after, c, TRANSACTION_REFUND))
		keep_refund(d, s, r, c, status);
}

/* ---- disputes -------------------------------------------------------------------------------------- */

static int64_t live_dispute(const struct disputes_row *r)
{
	return r->withdrawn != 0 && r->reinstated == 0 ? r->amount_minor : 0;
}

static void keep_dispute(struct decide *d, struct slot *s, struct disputes_row *r, const struct disputes_row *known,
                         const struct command *c)
{
	if (r == NULL) {
		r = (struct disputes_row *)rows_alloc(d->rows, TABLE_DISPUTES);
		memcpy(r->account_id, s->key.bytes, sizeof(r->account_id));
		memcpy(r->dispute_key, c->object_key, sizeof(r->dispute_key));
		r->dispute_id = c->object_id;
		r->topup_seq = c->topup_seq;
		r->created_at_us = d->now_us;
		rows_add(d->rows, s, &r->row);
	}
	rows_touch(d->rows, &r->row);
	r->amount_minor = known->amount_minor;
	r->withdrawn = known->withdrawn;
	r->reinstated = known->reinstated;
}

void paid_period_money_dispute(struct decide *d, struct slot *s, struct command *c)
{
	struct paid_periods_row *p = rows_period(d->rows, s, c->topup_seq), after;
	struct disputes_row *r = (struct disputes_row *)rows_find(d->rows, s, TABLE_DISPUTES, c->object_key);
	const char *why = mismatch(d, s, p, c, c->dispute.amount_minor, c->dispute.currency, c->dispute.livemode);
	struct disputes_row known = {.amount_minor = 0};

	if (why == NULL && r != NULL && r->topup_seq != p->seq)
		why = "this dispute was about something else";
	if (why != NULL) {
		order_park(&c->answer, why);
		return;
	}
	after = *p;
	if (r != NULL) {
		known = *r;
		after.disputes_minor -= live_dispute(r);
	}
	if (c->dispute.amount_minor > known.amount_minor)
		known.amount_minor = c->dispute.amount_minor;
	known.withdrawn |= c->dispute.withdrawn;
	known.reinstated |= c->dispute.reinstated;
	after.disputes_minor += live_dispute(&known);
	if (settle(d, s, p, &after, c, TRANSACTION_DISPUTE))
		keep_dispute(d, s, r, &known, c);
}
