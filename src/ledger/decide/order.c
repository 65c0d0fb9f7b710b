#include "ledger/decide/order.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/alert.h"
#include "ledger/decide/bill.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/row_check.h"
#include "ledger/decide/workspace.h"

/* ---- rows ---------------------------------------------------------------------------------------- */

void order_of_topup(struct topups_row *t, struct order *o)
{
	*o = (struct order){
		.row = &t->row,
		.kind = PAYMENT_OF_TOPUP,
		.seq = t->seq,
		.paid = t->state == TOPUP_PAID,
		.livemode = t->livemode != 0,
		.amount_minor = t->amount_minor,
		.amount_micros = t->amount_micros,
		.currency = t->currency,
		.payment_id = t->payment_id,
		.grant_seq = t->grant_seq,
		.bonus_micros = t->bonus_micros,
		.bonus_returned_micros = t->bonus_returned_micros,
		.bonus_grant_seq = t->bonus_grant_seq,
	};
#define FACT(name) o->name = t->name;
	ORDER_FACTS(FACT)
#undef FACT
}

void order_of_statement(struct statements_row *t, struct order *o)
{
	*o = (struct order){
		.row = &t->row,
		.kind = PAYMENT_OF_STATEMENT,
		.seq = t->seq,
		.paid = t->state == STATEMENT_PAID,
		.livemode = t->livemode != 0,
		.amount_minor = t->amount_minor,
		.amount_micros = t->amount_micros,
		.currency = t->currency,
		.payment_id = t->payment_id,
		.grant_seq = t->grant_seq,
	};
#define FACT(name) o->name = t->name;
	ORDER_FACTS(FACT)
#undef FACT
}

/* The condition of every order: the known facts do not contradict each other, and nothing is taken back before it was
 * paid. */
static bool is_sound(const struct order *o)
{
	return o->refunds_live_minor >= 0 && o->refunds_live_minor <= o->refunds_known_minor &&
	       o->charge_refunded_minor >= 0 && o->disputes_minor >= 0 && o->refunded_micros >= 0 &&
	       o->disputed_micros >= 0 && (o->paid || (o->refunded_micros == 0 && o->disputed_micros == 0)) &&
	       o->bonus_returned_micros >= 0 && o->bonus_returned_micros <= (o->paid ? o->bonus_micros : 0);
}

bool order_find(struct decide *d, struct slot *s, const struct command *c, struct order *o)
{
	struct statements_row *statement;
	struct topups_row *topup;

	CHECK(c->payment_kind == PAYMENT_OF_TOPUP || c->payment_kind == PAYMENT_OF_STATEMENT);
	if (c->payment_kind == PAYMENT_OF_STATEMENT) {
		statement = bill_find(d, s, c->topup_seq);
		if (statement != NULL)
			order_of_statement(statement, o);
		return statement != NULL;
	}
	topup = rows_topup(d->rows, s, c->topup_seq);
	if (topup != NULL)
		order_of_topup(topup, o);
	return topup != NULL;
}

void order_write(struct decide *d, const struct order *o)
{
	CHECK(is_sound(o));
	CHECK(o->row->table == (o->kind == PAYMENT_OF_STATEMENT ? TABLE_STATEMENTS : TABLE_TOPUPS));
	if (o->kind == PAYMENT_OF_STATEMENT) {
		struct statements_row *t = (struct statements_row *)o->row;

		t->payment_id = o->payment_id;
#define FACT(name) t->name = o->name;
		ORDER_FACTS(FACT)
#undef FACT
	} else {
		struct topups_row *t = (struct topups_row *)o->row;

		t->payment_id = o->payment_id;
		t->bonus_returned_micros = o->bonus_returned_micros;
#define FACT(name) t->name = o->name;
		ORDER_FACTS(FACT)
#undef FACT
	}
	rows_touch(d->rows, o->row);
}

/* ---- claims -------------------------------------------------------------------------------------- */

/* Sets share_micros to that part of the order's money, in credits; whole_micros is all of it.  False when the share is
 * out of bounds. */
static bool order_share(const struct order *o, micros whole_micros, int64_t minor, micros *share_micros)
{
	__int128 exact;

	CHECK(minor >= 0 && o->amount_minor > 0);
	CHECK(whole_micros >= 0);
	exact = (__int128)whole_micros * minor / o->amount_minor;
	if (exact > MONEY_AMOUNT_MAX_MICROS)
		return false;
	*share_micros = (micros)exact;
	return true;
}

/* A refund with an event of its own counts as it stands; a failed one does not count.  An amount of the charge beyond
 * those belongs to refunds whose own events have not come.  Money that was refunded and disputed is gone twice, but the
 * bonus was given once. */
bool order_claims(const struct order *o, struct order_claims *claims)
{
	const int64_t unknown = o->charge_refunded_minor - o->refunds_known_minor;
	const int64_t refunded = o->refunds_live_minor + (unknown > 0 ? unknown : 0);
	const int64_t gone = refunded + o->disputes_minor;

	return order_share(o, o->amount_micros, refunded, &claims->refunded_micros) &&
	       order_share(o, o->amount_micros, o->disputes_minor, &claims->disputed_micros) &&
	       order_share(o, o->bonus_micros, gone < o->amount_minor ? gone : o->amount_minor, &claims->bonus_micros);
}

const char *order_mismatch(const struct order *o, const char *currency, bool livemode)
{
	if (o == NULL)
		return "no such order";
	if (o->amount_minor <= 0)
		return "nothing was to be paid";
	if (strcmp(o->currency, currency) != 0)
		return "another currency than the order's";
	if (o->livemode != livemode)
		return "another mode (live or test) than the order's";
	return NULL;
}

/* ---- payments ------------------------------------------------------------------------------------ */

static const struct payments_row *order_payment(struct decide *d, const struct command *c)
{
	if (c->payment_id[0] == '\0')
		return NULL;
	return (const struct payments_row *)rows_find(d->rows, NULL, TABLE_PAYMENTS, c->payment_key);
}

bool order_knows_payment(struct decide *d, const struct command *c)
{
	return order_payment(d, c) != NULL;
}

const char *order_payment_mismatch(struct decide *d, const struct slot *s, const struct order *o,
                                   const struct command *c)
{
	const struct payments_row *p = order_payment(d, c);

	CHECK(p == NULL || strcmp(p->payment_id, c->payment_id) == 0);
	if (p != NULL && (p->kind != (int64_t)o->kind || p->topup_seq != o->seq ||
	                  memcmp(p->account_id, s->key.bytes, sizeof(p->account_id)) != 0))
		return "this payment belongs to another order";
	/* An invoice can be paid in parts; a session cannot. */
	if (o->kind == PAYMENT_OF_TOPUP && o->paid && o->payment_id[0] != '\0' && c->payment_id[0] != '\0' &&
	    strcmp(o->payment_id, c->payment_id) != 0)
		return "the order was paid by another payment";
	return NULL;
}

void order_keep_payment(struct decide *d, struct slot *s, struct order *o, const struct command *c)
{
	struct payments_row *p;

	if (c->payment_id[0] == '\0')
		return;
	if (o->payment_id[0] == '\0') {
		o->payment_id = c->payment_id;
		order_write(d, o);
	}
	if (order_payment(d, c) != NULL)
		return;
	p = (struct payments_row *)rows_alloc(d->rows, TABLE_PAYMENTS);
	memcpy(p->payment_key, c->payment_key, sizeof(p->payment_key));
	memcpy(p->account_id, s->key.bytes, sizeof(p->account_id));
	p->payment_id = c->payment_id;
	p->topup_seq = o->seq;
	p->kind = o->kind;
	p->created_at_us = d->now_us;
	row_check_payment(p);
	rows_add(d->rows, NULL, &p->row);
}

/* ---- effects ------------------------------------------------------------------------------------- */

/* The change of the balance by refunds and disputes when the claims are met, without the bonus; each part is within
 * MONEY_AMOUNT_MAX_MICROS. */
static micros change_of(const struct order *o, const struct order_claims *claims)
{
	return o->refunded_micros - claims->refunded_micros + o->disputed_micros - claims->disputed_micros;
}

bool order_fits(const struct slot *s, const struct order *o, const struct order_claims *claims)
{
	CHECK(claims->refunded_micros >= 0 && claims->disputed_micros >= 0);
	/* Refunds come first, disputes second, the bonus last: each step has to fit. */
	return !o->paid ||
	       (funds_fit(s->account, o->refunded_micros - claims->refunded_micros) &&
	        funds_fit(s->account, change_of(o, claims)) &&
	        funds_fit(s->account, change_of(o, claims) + o->bonus_returned_micros - claims->bonus_micros));
}

bool order_fits_paid(const struct slot *s, const struct order *o, const struct order_claims *claims)
{
	CHECK(!o->paid && o->refunded_micros == 0 && o->disputed_micros == 0);
	return funds_fit(s->account, o->amount_micros + o->bonus_micros) &&
	       funds_fit(s->account, -claims->refunded_micros - claims->disputed_micros);
}

/* grant_seq: the grant that a claw-back takes first. */
static void move(struct decide *d, struct slot *s, const struct order *o, struct effects_transaction *what,
                 micros change, int64_t grant_seq)
{
	const micros before = funds_debt(s);

	what->amount_micros = change;
	if (change < 0) {
		effects_claw_back(d, s, what, grant_seq);
		CHECK(funds_debt(s) >= before);
		workspace_owes(d, s, funds_debt(s) - before);
		if (o->kind == PAYMENT_OF_STATEMENT)
			bill_taken_back(d, s, funds_debt(s) - before);
	} else if (change > 0) {
		if (o->kind == PAYMENT_OF_STATEMENT)
			bill_relieve(d, s, change);
		effects_transact(d, s, what);
	}
}

/* Money that comes back to the account, of a failed refund or a won dispute, is no alert. */
static void tell_taken(struct decide *d, struct slot *s, enum alert_kind kind, micros taken)
{
	if (taken > 0)
		alert_post(d, s, &(struct alert_what){.kind = kind, .amount_micros = taken});
}

void order_settle(struct decide *d, struct slot *s, struct order *o, const struct order_claims *claims,
                  const char *reference)
{
	/* Returned credits are spent like the order's own. */
	struct effects_transaction what = {
		.priority = effects_priority(TRANSACTION_TOP_UP),
		.at_us = d->now_us,
		.reference = reference,
		.actor = "stripe",
	};

	CHECK(claims->refunded_micros >= 0 && claims->disputed_micros >= 0 && is_sound(o));
	if (!o->paid)
		return;
	what.type = TRANSACTION_REFUND;
	what.description = claims->refunded_micros > o->refunded_micros ? "refund" : "refund failed";
	move(d, s, o, &what, o->refunded_micros - claims->refunded_micros, o->grant_seq);
	tell_taken(d, s, ALERT_REFUNDED, claims->refunded_micros - o->refunded_micros);
	what.type = TRANSACTION_DISPUTE;
	what.description = claims->disputed_micros > o->disputed_micros ? "dispute" : "dispute won";
	move(d, s, o, &what, o->disputed_micros - claims->disputed_micros, o->grant_seq);
	tell_taken(d, s, ALERT_DISPUTED, claims->disputed_micros - o->disputed_micros);
	what.type = TRANSACTION_TOP_UP_BONUS;
	what.priority = effects_priority(TRANSACTION_TOP_UP_BONUS);
	what.description = claims->bonus_micros > o->bonus_returned_micros ? "bonus taken back" : "bonus given back";
	move(d, s, o, &what, o->bonus_returned_micros - claims->bonus_micros, o->bonus_grant_seq);
	o->refunded_micros = claims->refunded_micros;
	o->disputed_micros = claims->disputed_micros;
	o->bonus_returned_micros = claims->bonus_micros;
	order_write(d, o);
}

void order_park(struct answer *a, const char *note)
{
	CHECK(note[0] != '\0');
	a->outcome = OUTCOME_OK;
	a->event_state = EVENT_PARKED;
	a->note = note;
}
