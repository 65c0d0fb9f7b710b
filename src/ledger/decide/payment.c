/*
 * payment: the state of an order's payment.  Facts may come in any order and any number of times.  The highest state
 * stands, and the credit is given when the state first becomes paid.
 */
#include "ledger/decide/decide.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/bill.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/open_orders.h"
#include "ledger/decide/order.h"
#include "ledger/decide/recharge.h"
#include "ledger/decide/referral.h"
#include "ledger/decide/row_check.h"

static const char *customer_mismatch(struct decide *d, struct slot *s, const struct command *c)
{
	const struct billing_row *b = rows_billing(d->rows, s);

	if (b != NULL && b->customer_id[0] != '\0' && c->payment.customer_id[0] != '\0' &&
	    strcmp(b->customer_id, c->payment.customer_id) != 0)
		return "another customer than the account's";
	return NULL;
}

/* A buyer may choose the client_reference_id of anything that the same merchant sells.  So the session must be the
 * order's own.  Until the order's session is noted, and where the fact names none, the metadata decide. */
static const char *session_mismatch(struct decide *d, const struct topups_row *t, const struct command *c)
{
	const char *session = c->payment.session_id;

	if (session[0] != '\0' && t->session_id[0] != '\0')
		return strcmp(session, t->session_id) != 0 ? "another session than the order's" : NULL;
	if (!c->payment.named && !order_knows_payment(d, c))
		return "nothing but the buyer's word says that it is the order's";
	return NULL;
}

/* NULL, or the reason why the command must wait for a person. */
static const char *payment_mismatch(struct decide *d, struct slot *s, const struct topups_row *t, const struct order *o,
                                    const struct command *c)
{
	const char *why = order_mismatch(t != NULL ? o : NULL, c->payment.currency, c->payment.livemode);

	if (why != NULL)
		return why;
	if (c->payment.state == TOPUP_PAID && c->payment.amount_minor != t->amount_minor)
		return "another amount than the order's";
	why = order_payment_mismatch(d, s, o, c);
	if (why == NULL)
		why = session_mismatch(d, t, c);
	if (why != NULL)
		return why;
	if (s->account == NULL || s->account->unit != t->unit)
		return "the account's unit has changed since the order";
	return customer_mismatch(d, s, c);
}

/* Gives the bonus that the order was promised, as a grant of its own. */
static void credit_bonus(struct decide *d, struct slot *s, struct topups_row *t)
{
	const struct effects_transaction given = {
		.type = TRANSACTION_TOP_UP_BONUS,
		.amount_micros = t->bonus_micros,
		.priority = effects_priority(TRANSACTION_TOP_UP_BONUS),
		.at_us = d->now_us,
		.description = "top-up bonus",
		.reference = t->session_id[0] != '\0' ? t->session_id : t->payment_id,
		.actor = "stripe",
	};

	CHECK(t->bonus_micros >= 0 && t->bonus_transaction_seq == 0);
	if (t->bonus_micros == 0)
		return;
	t->bonus_transaction_seq = effects_transact(d, s, &given);
	t->bonus_grant_seq = s->account->grant_seq;
}

static void credit_payment(struct decide *d, struct slot *s, struct topups_row *t, struct answer *a,
                           const struct order_claims *claims)
{
	const struct effects_transaction given = {
		.type = TRANSACTION_TOP_UP,
		.amount_micros = t->amount_micros,
		.priority = effects_priority(TRANSACTION_TOP_UP),
		.at_us = d->now_us,
		.description = "top-up",
		.reference = t->session_id[0] != '\0' ? t->session_id : t->payment_id,
		.actor = "stripe",
	};
	struct billing_row *b = effects_billing(d, s);
	struct order o;

	/* An order is credited once, in the unit that it was made in. */
	CHECK(t->state == TOPUP_PAID && t->transaction_seq == 0 && t->amount_micros > 0);
	CHECK(t->unit == s->account->unit);
	rows_touch(d->rows, &s->account->row);
	bill_relieve(d, s, t->amount_micros);
	t->transaction_seq = effects_transact(d, s, &given);
	t->grant_seq = s->account->grant_seq;
	credit_bonus(d, s, t);
	t->paid_at_us = d->now_us;
	a->credited = true;
	a->first_payment = b->paid_count++ == 0;
	if (a->first_payment)
		b->first_paid_at_us = d->now_us;
	a->amount_micros = t->amount_micros;
	row_check_billing(b);
	order_of_topup(t, &o);
	order_settle(d, s, &o, claims, t->payment_id);
}

/* True if the order has been paid or can still be paid. */
static bool is_live(int64_t state)
{
	return state == TOPUP_OPEN || state == TOPUP_PENDING || state == TOPUP_PAID;
}

static void raise_order(struct decide *d, struct slot *s, struct topups_row *t, enum topup_state state)
{
	struct billing_row *b = effects_billing(d, s);

	/* The highest state stands. */
	CHECK(state <= TOPUP_PAID && (int64_t)state > t->state);
	/* The customer's own orders have a limit of their number. */
	if (t->state == TOPUP_OPEN && t->consent_seq == 0)
		open_orders_end(d, b, t);
	b->orders_live += (int)is_live((int64_t)state) - (int)is_live(t->state);
	t->state = state;
	rows_touch(d->rows, &t->row);
}

void decide_payment(struct decide *d, struct slot *s, struct command *c)
{
	struct topups_row *t = rows_topup(d->rows, s, c->topup_seq);
	struct answer *a = &c->answer;
	struct order o = {.row = NULL};
	struct order_claims claims;
	const char *why;
	bool pays;

	if (t != NULL)
		order_of_topup(t, &o);
	why = payment_mismatch(d, s, t, &o, c);
	if (why != NULL) {
		order_park(a, why);
		return;
	}
	pays = c->payment.state == TOPUP_PAID && t->state != TOPUP_PAID;
	/* Earlier refunds and disputes are taken back at once. */
	if (!order_claims(&o, &claims) || (pays && !order_fits_paid(s, &o, &claims))) {
		order_park(a, "the balance would leave its range");
		return;
	}

	/* From here on it succeeds. */
	order_keep_payment(d, s, &o, c);
	a->outcome = OUTCOME_OK;
	a->event_state = (int64_t)c->payment.state > t->state ? EVENT_APPLIED : EVENT_IGNORED;
	a->note = a->event_state == EVENT_APPLIED ? "" : "nothing new";
	if (a->event_state == EVENT_APPLIED)
		raise_order(d, s, t, c->payment.state);
	if (t->session_id[0] == '\0' && c->payment.session_id[0] != '\0') {
		t->session_id = c->payment.session_id;
		rows_touch(d->rows, &t->row);
	}
	if (pays)
		credit_payment(d, s, t, a, &claims);
	if (pays)
		recharge_paid(d, s, t);
	if (a->first_payment)
		referral_pay(d, s);
	a->seq = t->transaction_seq;
	row_check_topup(t);
	CHECK(a->credited == pays && (pays || !a->first_payment));
	funds_figures(s, a);
}
