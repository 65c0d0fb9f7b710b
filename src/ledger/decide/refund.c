/*
 * refund: a refund as it is now, or the total that was refunded of a charge.  A refund's status only rises (failed
 * stands above succeeded), so that an older event changes nothing.
 */
#include "ledger/decide/decide.h"

#include <string.h>

#include "ledger/decide/funds.h"
#include "ledger/decide/order.h"
#include "ledger/decide/paid_period_money.h"

static struct refunds_row *refund_of(struct decide *d, struct slot *s, const struct command *c)
{
	if (c->object_id[0] == '\0')
		return NULL;
	return (struct refunds_row *)rows_find(d->rows, s, TABLE_REFUNDS, c->object_key);
}

static const char *mismatch(struct decide *d, const struct slot *s, const struct order *o,
                            const struct refunds_row *r, const struct command *c)
{
	const char *why = order_mismatch(o, c->refund.currency, c->refund.livemode);

	if (why == NULL)
		why = order_payment_mismatch(d, s, o, c);
	if (why != NULL)
		return why;
	if (c->refund.amount_minor < 0 || c->refund.amount_minor > ORDER_MINOR_MAX)
		return "an amount that cannot be";
	if (r != NULL && (r->kind != (int64_t)o->kind || r->topup_seq != o->seq ||
	                  r->amount_minor != c->refund.amount_minor))
		return "this refund was of another order or amount";
	return NULL;
}

static int64_t live_minor(enum refund_status status, int64_t amount_minor)
{
	return status == REFUND_FAILED || status == REFUND_UNKNOWN ? 0 : amount_minor;
}

/* Adds this refund to the order's facts. */
static void learn(struct order *after, const struct refunds_row *r, const struct command *c,
                  enum refund_status status)
{
	const int64_t amount = c->refund.amount_minor;

	if (c->object_id[0] == '\0') {
		if (amount > after->charge_refunded_minor)
			after->charge_refunded_minor = amount;
		return;
	}
	after->refunds_known_minor += r == NULL ? amount : 0;
	after->refunds_live_minor +=
		live_minor(status, amount) -
		live_minor(r == NULL ? REFUND_UNKNOWN : (enum refund_status)r->status, amount);
}

static void keep(struct decide *d, struct slot *s, struct refunds_row *r, const struct command *c,
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
		r->kind = c->payment_kind;
		r->amount_minor = c->refund.amount_minor;
		r->created_at_us = d->now_us;
		rows_add(d->rows, s, &r->row);
	}
	rows_touch(d->rows, &r->row);
	r->status = status;
}

static void decide_of_order(struct decide *d, struct slot *s, struct command *c)
{
	struct order o, after;
	const bool known = order_find(d, s, c, &o);
	struct refunds_row *r = refund_of(d, s, c);
	const char *why = mismatch(d, s, known ? &o : NULL, r, c);
	enum refund_status status = c->refund.status;
	struct order_claims claims;

	if (why != NULL) {
		order_park(&c->answer, why);
		return;
	}
	if (r != NULL && r->status > (int64_t)status)
		status = (enum refund_status)r->status;
	after = o;
	learn(&after, r, c, status);
	if (!order_claims(&after, &claims) || !order_fits(s, &o, &claims)) {
		order_park(&c->answer, "the balance would leave its range");
		return;
	}

	/* From here on it succeeds. */
	order_keep_payment(d, s, &after, c);
	order_write(d, &after);
	keep(d, s, r, c, status);
	order_settle(d, s, &after, &claims, c->object_id[0] != '\0' ? c->object_id : c->payment_id);
	c->answer.outcome = OUTCOME_OK;
	funds_figures(s, &c->answer);
}

void decide_refund(struct decide *d, struct slot *s, struct command *c)
{
	if (c->payment_kind == PAYMENT_OF_PERIOD)
		paid_period_money_refund(d, s, c);
	else
		decide_of_order(d, s, c);
}
