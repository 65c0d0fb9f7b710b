#include "ledger/order.h"

#include <string.h>

#include "base/check.h"
#include "ledger/effects.h"

/* The credits that part of the order's money stands for. */
static bool share(const struct topups_row *t, int64_t minor, micros *share_micros)
{
	const __int128 exact = (__int128)t->amount_micros * minor / t->amount_minor;

	CHECK(minor >= 0 && t->amount_minor > 0);
	if (exact > MONEY_AMOUNT_MAX_MICROS)
		return false;
	*share_micros = (micros)exact;
	return true;
}

/* Refunds that are known by themselves count as they stand, failed ones not at all; what the charge says
 * beyond them is of refunds whose own events have not come. */
bool order_claims(const struct topups_row *t, struct order_claims *claims)
{
	const int64_t unknown = t->charge_refunded_minor - t->refunds_known_minor;

	return share(t, t->refunds_live_minor + (unknown > 0 ? unknown : 0),
	             &claims->refunded_micros) &&
	       share(t, t->disputes_minor, &claims->disputed_micros);
}

const char *order_mismatch(const struct topups_row *t, const char *currency, bool livemode)
{
	if (t == NULL)
		return "no such order";
	if (strcmp(t->currency, currency) != 0)
		return "another currency than the order's";
	if ((t->livemode != 0) != livemode)
		return "another mode (live or test) than the order's";
	return NULL;
}

static const struct payments_row *payment_of(struct decide *d, const struct command *c)
{
	if (c->payment_id[0] == '\0')
		return NULL;
	return (const struct payments_row *)rows_find(d->rows, NULL, TABLE_PAYMENTS,
	                                              c->payment_key);
}

bool order_knows_payment(struct decide *d, const struct command *c)
{
	return payment_of(d, c) != NULL;
}

const char *order_payment_mismatch(struct decide *d, const struct slot *s, const struct topups_row *t,
                                   const struct command *c)
{
	const struct payments_row *p = payment_of(d, c);

	if (p != NULL && (p->topup_seq != c->topup_seq ||
	                  memcmp(p->account_id, s->key.bytes, sizeof(p->account_id)) != 0))
		return "this payment belongs to another order";
	if (t->state == TOPUP_PAID && t->payment_id[0] != '\0' && c->payment_id[0] != '\0' &&
	    strcmp(t->payment_id, c->payment_id) != 0)
		return "the order was paid by another payment";
	return NULL;
}

void order_keep_payment(struct decide *d, struct slot *s, struct topups_row *t,
                        const struct command *c)
{
	struct payments_row *p;

	if (c->payment_id[0] == '\0')
		return;
	if (t->payment_id[0] == '\0') {
		t->payment_id = c->payment_id;
		rows_touch(d->rows, &t->row);
	}
	if (payment_of(d, c) != NULL)
		return;
	p = (struct payments_row *)rows_alloc(d->rows, TABLE_PAYMENTS);
	memcpy(p->payment_key, c->payment_key, sizeof(p->payment_key));
	memcpy(p->account_id, s->key.bytes, sizeof(p->account_id));
	p->payment_id = c->payment_id;
	p->topup_seq = t->seq;
	p->created_at_us = d->now_us;
	rows_add(d->rows, NULL, &p->row);
}

/* How the balance moves when the claims are met; each part is within MONEY_AMOUNT_MAX_MICROS. */
static micros change_of(const struct topups_row *t, const struct order_claims *claims)
{
	return t->refunded_micros - claims->refunded_micros + t->disputed_micros -
	       claims->disputed_micros;
}

bool order_fits(const struct slot *s, const struct topups_row *t, const struct order_claims *claims)
{
	/* One after the other: each step has to fit. */
	return t->state != TOPUP_PAID ||
	       (effects_fits(s->account, t->refunded_micros - claims->refunded_micros) &&
	        effects_fits(s->account, change_of(t, claims)));
}

static void move(struct decide *d, struct slot *s, struct topups_row *t,
                 struct effects_transaction *what, micros change)
{
	what->amount_micros = change;
	if (change < 0)
		effects_claw_back(d, s, what, t->grant_seq);
	else if (change > 0)
		effects_transact(d, s, what);
}

void order_settle(struct decide *d, struct slot *s, struct topups_row *t,
                  const struct order_claims *claims, const char *reference)
{
	/* What comes back is spent like the order's own credits. */
	struct effects_transaction what = {
		.priority = effects_priority(TRANSACTION_TOP_UP),
		.at_us = d->now_us,
		.reference = reference,
		.actor = "stripe",
	};

	if (t->state != TOPUP_PAID)
		return;
	what.type = TRANSACTION_REFUND;
	what.description =
		claims->refunded_micros > t->refunded_micros ? "refund" : "refund failed";
	move(d, s, t, &what, t->refunded_micros - claims->refunded_micros);
	what.type = TRANSACTION_DISPUTE;
	what.description = claims->disputed_micros > t->disputed_micros ? "dispute" : "dispute won";
	move(d, s, t, &what, t->disputed_micros - claims->disputed_micros);
	t->refunded_micros = claims->refunded_micros;
	t->disputed_micros = claims->disputed_micros;
	rows_touch(d->rows, &t->row);
}

void order_park(struct answer *a, const char *note)
{
	a->outcome = OUTCOME_OK;
	a->event_state = EVENT_PARKED;
	a->note = note;
}
