#include "ledger/decide/facts.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/row_check.h"

/* ---- refunds --------------------------------------------------------------------------------------- */

struct refunds_row *facts_refund(struct decide *d, struct slot *s, const struct command *c)
{
	if (c->object_id[0] == '\0')
		return NULL;
	return (struct refunds_row *)rows_find(d->rows, s, TABLE_REFUNDS, c->object_key);
}

enum refund_status facts_refund_status(const struct refunds_row *r, const struct command *c)
{
	CHECK((unsigned)c->refund.status <= REFUND_FAILED);
	if (r != NULL && r->status > (int64_t)c->refund.status)
		return (enum refund_status)r->status;
	return c->refund.status;
}

static int64_t live_refund(enum refund_status status, int64_t amount_minor)
{
	return status == REFUND_FAILED || status == REFUND_UNKNOWN ? 0 : amount_minor;
}

void facts_add_refund(const struct facts_refunds *sums, const struct refunds_row *r, const struct command *c,
                      enum refund_status status)
{
	const int64_t amount = c->refund.amount_minor;

	CHECK(amount >= 0 && (r == NULL || r->amount_minor == amount));
	if (c->object_id[0] == '\0') {
		if (amount > *sums->charge_refunded_minor)
			*sums->charge_refunded_minor = amount;
		return;
	}
	*sums->known_minor += r == NULL ? amount : 0;
	*sums->live_minor += live_refund(status, amount) -
	                     live_refund(r == NULL ? REFUND_UNKNOWN : (enum refund_status)r->status, amount);
	CHECK(*sums->live_minor >= 0 && *sums->live_minor <= *sums->known_minor);
}

void facts_keep_refund(struct decide *d, struct slot *s, struct refunds_row *r, const struct command *c,
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
	CHECK(r->status <= (int64_t)status);
	r->status = status;
	row_check_refund(r);
}

/* ---- disputes -------------------------------------------------------------------------------------- */

int64_t facts_live_dispute(const struct disputes_row *r)
{
	return r->withdrawn != 0 && r->reinstated == 0 ? r->amount_minor : 0;
}

struct disputes_row facts_of_dispute(const struct disputes_row *r, const struct command *c)
{
	struct disputes_row facts = {.amount_minor = 0};

	if (r != NULL)
		facts = *r;
	if (c->dispute.amount_minor > facts.amount_minor)
		facts.amount_minor = c->dispute.amount_minor;
	facts.withdrawn |= c->dispute.withdrawn;
	facts.reinstated |= c->dispute.reinstated;
	CHECK(facts.amount_minor >= 0);
	return facts;
}

void facts_keep_dispute(struct decide *d, struct slot *s, struct disputes_row *r, const struct disputes_row *facts,
                        const struct command *c)
{
	if (r == NULL) {
		r = (struct disputes_row *)rows_alloc(d->rows, TABLE_DISPUTES);
		memcpy(r->account_id, s->key.bytes, sizeof(r->account_id));
		memcpy(r->dispute_key, c->object_key, sizeof(r->dispute_key));
		r->dispute_id = c->object_id;
		r->topup_seq = c->topup_seq;
		r->kind = c->payment_kind;
		r->created_at_us = d->now_us;
		rows_add(d->rows, s, &r->row);
	}
	rows_touch(d->rows, &r->row);
	/* The facts only rise. */
	CHECK(r->amount_minor <= facts->amount_minor);
	CHECK(r->withdrawn <= facts->withdrawn && r->reinstated <= facts->reinstated);
	r->amount_minor = facts->amount_minor;
	r->withdrawn = facts->withdrawn;
	r->reinstated = facts->reinstated;
	row_check_dispute(r);
}
