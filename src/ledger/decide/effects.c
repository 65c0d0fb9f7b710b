#include "ledger/decide/effects.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/bill.h"
#include "ledger/decide/due.h"
#include "ledger/decide/expiry.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/row_check.h"
#include "ledger/decide/workspace.h"

/* The subject of a line of the journal. */
struct movement {
	enum entry_kind kind;
	enum counterpart counterpart;
	int64_t usage_seq, transaction_seq, at_us;
	record_sum *record; /* the first entry takes the sum and leaves 0; NULL: the row is not recorded */
};

struct accounts_row *effects_account(struct decide *d, struct slot *s, const struct command *c)
{
	struct accounts_row *a;

	if (s->account != NULL) {
		row_check_account(s->account);
		rows_touch(d->rows, &s->account->row);
		return s->account;
	}
	/* Only a command that names a hold may lack account_id, and its account exists. */
	CHECK(c->account_id != NULL);
	a = (struct accounts_row *)rows_alloc(d->rows, TABLE_ACCOUNTS);
	memcpy(a->id, s->key.bytes, sizeof(a->id));
	a->external_id = c->account_id;
	a->due_at_us = DUE_NEVER;
	a->created_at_us = d->now_us;
	rows_add(d->rows, s, &a->row);
	s->account = a;
	s->refreshed = true;
	return a;
}

/* Writes one line of the journal and moves the balance. */
static void enter(struct decide *d, struct slot *s, micros amount, int64_t grant_seq, const struct movement *m)
{
	struct accounts_row *a = s->account;
	struct entries_row *e = (struct entries_row *)rows_alloc(d->rows, TABLE_ENTRIES);

	CHECK((amount == 0) == (m->kind == ENTRY_RECORD));
	memcpy(e->account_id, a->id, sizeof(e->account_id));
	e->seq = ++a->entry_seq;
	e->kind = m->kind;
	e->counterpart = m->counterpart;
	e->amount_micros = amount;
	e->balance_before_micros = a->balance_micros;
	e->balance_after_micros = money_sum(a->balance_micros, amount);
	e->grant_seq = grant_seq;
	e->usage_seq = m->usage_seq;
	e->transaction_seq = m->transaction_seq;
	e->created_at_us = m->at_us;
	if (m->record != NULL) {
		record_write(*m->record, e->record);
		*m->record = 0;
	}
	entry_hash(e, a->chain_head, e->hash);
	memcpy(a->chain_head, e->hash, sizeof(a->chain_head));
	a->balance_micros = e->balance_after_micros;
	row_check_entry(e);
	/* The guards have kept every balance in its range (funds_fit). */
	CHECK(amount < 0 ? a->balance_micros >= -FUNDS_BALANCE_MAX : a->balance_micros <= FUNDS_BALANCE_MAX);
	rows_add(d->rows, s, &e->row);
	rows_touch(d->rows, &a->row);
}

/* Takes amount from the grant, as far as the grant has it; returns the remainder of amount. */
static micros take_from_grant(struct decide *d, struct slot *s, struct grants_row *g, micros amount,
                              const struct movement *m)
{
	const micros part = g->remaining_micros < amount ? g->remaining_micros : amount;

	CHECK(amount > 0 && g->remaining_micros >= 0);
	if (part == 0)
		return amount;
	g->remaining_micros -= part;
	row_check_grant(g);
	rows_touch(d->rows, &g->row);
	enter(d, s, -part, g->seq, m);
	return amount - part;
}

/* The balance has moved: a postpaid account that falls below its soft limit gets one alert, until it is above again. */
static void watch_soft_limit(struct decide *d, struct slot *s, micros before)
{
	const micros limit = s->account->soft_limit_micros, balance = s->account->balance_micros;
	struct workspaces_row *w = workspace_of(d, s);

	if (w == NULL)
		return;
	if (limit <= 0 || s->account->mode != MODE_POSTPAID || balance >= -limit) {
		if (w->soft_alert_at_us != 0)
			rows_touch(d->rows, &w->row);
		w->soft_alert_at_us = 0;
		return;
	}
	if (w->soft_alert_at_us != 0 && before < -limit)
		return; /* alerted already */
	w->soft_alert_at_us = d->now_us;
	due_post(d, s, w, OUTBOX_SOFT_LIMIT, 0, d->now_us);
}

/* Takes amount from the grant first_seq (0: none), then from all in the order of spending; the uncovered rest
 * becomes debt. */
static void debit(struct decide *d, struct slot *s, micros amount, int64_t first_seq, const struct movement *m)
{
	const micros before = s->account->balance_micros, after = money_sum(before, -amount);

	CHECK(amount > 0 && first_seq >= 0);
	for (struct grants_row *g = rows_grants(s); g != NULL && amount > 0; g = (struct grants_row *)g->row.next)
		if (g->seq == first_seq)
			amount = take_from_grant(d, s, g, amount, m);
	for (struct grants_row *g = rows_grants(s); g != NULL && amount > 0; g = (struct grants_row *)g->row.next)
		amount = take_from_grant(d, s, g, amount, m);
	if (amount > 0)
		enter(d, s, -amount, 0, m);
	/* The parts add up. */
	CHECK(s->account->balance_micros == after);
	watch_soft_limit(d, s, before);
}

static struct grants_row *new_grant(struct decide *d, struct slot *s, micros amount, int64_t type, int64_t priority,
                                    int64_t expires_at_us, int64_t at_us)
{
	struct grants_row *g = (struct grants_row *)rows_alloc(d->rows, TABLE_GRANTS);

	memcpy(g->account_id, s->key.bytes, sizeof(g->account_id));
	g->seq = ++s->account->grant_seq;
	g->type = type;
	g->priority = priority;
	g->expires_at_us = expires_at_us;
	g->amount_micros = amount;
	g->remaining_micros = amount;
	g->created_at_us = at_us;
	g->warned = expiry_terms_behind(expires_at_us, at_us);
	row_check_grant(g);
	/* A grant is not made expired. */
	CHECK(expires_at_us == 0 || expires_at_us > at_us);
	due_note(s->account, expiry_next_us(g));
	rows_add(d->rows, s, &g->row);
	return g;
}

/* The grant pays the debt that was there before the grant had its credits. */
static void pay_debt(struct decide *d, struct slot *s, struct grants_row *g, micros debt, const struct movement *m)
{
	const micros paid = debt < g->remaining_micros ? debt : g->remaining_micros;
	const micros balance = s->account->balance_micros;
	struct movement repay = *m;

	CHECK(debt >= 0);
	if (paid == 0)
		return;
	repay.kind = ENTRY_DEBT;
	repay.counterpart = COUNTERPART_DEBT;
	g->remaining_micros -= paid;
	enter(d, s, -paid, g->seq, &repay);
	enter(d, s, paid, 0, &repay);
	row_check_grant(g);
	/* The pair sums to zero. */
	CHECK(s->account->balance_micros == balance);
}

/* The part of the debt that a grant of that type pays; the rest stays beside the grant.  A postpaid account is charged
 * for the debt of the period's beginning and of stated months; its allowance is for the period. */
static micros payable(const struct slot *s, int64_t type)
{
	const micros debt = funds_debt(s);

	if (type != TRANSACTION_PLAN_ALLOWANCE || s->account->mode != MODE_POSTPAID || s->workspace == NULL)
		return debt;
	CHECK(s->workspace->arrears_micros <= debt);
	return money_sum(debt, -s->workspace->arrears_micros);
}

/* Notes the debt that remains after a part of it was paid. */
static void note_debt(struct decide *d, struct slot *s, micros debt)
{
	CHECK(debt >= 0);
	workspace_paid(d, s, debt);
	bill_relieve(d, s, 0);
}

/* Gives amount as a new grant, which first pays the account's debt (payable).  Returns the grant's seq. */
static int64_t credit(struct decide *d, struct slot *s, micros amount, int64_t type, int64_t priority,
                      int64_t expires_at_us, const struct movement *m)
{
	const micros debt = funds_debt(s), due = payable(s, type);
	const micros after = money_sum(s->account->balance_micros, amount);
	struct grants_row *g;

	CHECK(amount > 0 && s->grants_loaded);
	g = new_grant(d, s, amount, type, priority, expires_at_us, m->at_us);
	enter(d, s, amount, g->seq, m);
	pay_debt(d, s, g, due, m);
	note_debt(d, s, money_sum(debt, -money_least(due, amount)));
	CHECK(s->account->balance_micros == after && g->remaining_micros == amount - money_least(due, amount));
	return g->seq;
}

static enum counterpart counterpart_of(enum transaction_type type)
{
	static const enum counterpart counterparts[] = {
#define TRANSACTION(NAME, sign, priority, counterpart) [TRANSACTION_##NAME] = COUNTERPART_##counterpart,
#include "ledger/transactions.def"
#undef TRANSACTION
	};

	CHECK((unsigned)type < TRANSACTION_COUNT);
	return counterparts[type];
}

int64_t effects_priority(enum transaction_type type)
{
	static const int64_t priorities[] = {
#define TRANSACTION(NAME, sign, priority, counterpart) [TRANSACTION_##NAME] = (priority),
#include "ledger/transactions.def"
#undef TRANSACTION
	};

	CHECK((unsigned)type < TRANSACTION_COUNT);
	return priorities[type];
}

/* True if amounts of that type may have this sign. */
static bool sign_fits(enum transaction_type type, micros amount)
{
	static const int signs[] = {
#define TRANSACTION(NAME, sign, priority, counterpart) [TRANSACTION_##NAME] = (sign),
#include "ledger/transactions.def"
#undef TRANSACTION
	};

	CHECK((unsigned)type < TRANSACTION_COUNT);
	return signs[type] == 0 || (signs[type] > 0) == (amount > 0);
}

static const char *label_text(const char *text)
{
	return text != NULL ? text : "";
}

/* Adds the transaction's row, before the entries of its movement are made. */
static void add_transaction(struct decide *d, struct slot *s, const struct effects_transaction *t, int64_t grant_seq,
                            record_sum *record)
{
	struct transactions_row *row = (struct transactions_row *)rows_alloc(d->rows, TABLE_TRANSACTIONS);

	memcpy(row->account_id, s->key.bytes, sizeof(row->account_id));
	row->seq = s->account->entry_seq + 1;
	row->type = t->type;
	row->amount_micros = t->amount_micros;
	row->balance_before_micros = s->account->balance_micros;
	row->balance_after_micros = money_sum(s->account->balance_micros, t->amount_micros);
	row->grant_seq = grant_seq;
	row->description = label_text(t->description);
	row->reference = label_text(t->reference);
	row->actor = label_text(t->actor);
	row->metadata = label_text(t->metadata);
	row->created_at_us = t->at_us;
	row->recorded = true;
	row_check_transaction(row);
	rows_add(d->rows, s, &row->row);
	*record = record_of(&row->row);
}

static int64_t transact(struct decide *d, struct slot *s, const struct effects_transaction *t, int64_t first_seq)
{
	const int64_t seq = s->account->entry_seq + 1;
	const micros after = money_sum(s->account->balance_micros, t->amount_micros);
	record_sum record;
	const struct movement m = {ENTRY_TRANSACTION, counterpart_of(t->type), 0, seq, t->at_us, &record};

	CHECK(t->amount_micros != 0 && sign_fits(t->type, t->amount_micros));
	CHECK(t->amount_micros > 0 || t->expires_at_us == 0);
	if (t->amount_micros > 0) {
		add_transaction(d, s, t, s->account->grant_seq + 1, &record);
		(void)credit(d, s, t->amount_micros, t->type, t->priority, t->expires_at_us, &m);
	} else {
		add_transaction(d, s, t, first_seq, &record);
		debit(d, s, -t->amount_micros, first_seq, &m);
	}
	CHECK(record == 0 && s->account->balance_micros == after);
	row_check_account(s->account);
	return seq;
}

int64_t effects_transact(struct decide *d, struct slot *s, const struct effects_transaction *t)
{
	return transact(d, s, t, 0);
}

int64_t effects_claw_back(struct decide *d, struct slot *s, const struct effects_transaction *t, int64_t grant_seq)
{
	CHECK(t->amount_micros < 0 && grant_seq >= 0);
	return transact(d, s, t, grant_seq);
}

void effects_expire_grant(struct decide *d, struct slot *s, struct grants_row *g, const struct effects_transaction *t)
{
	record_sum record;
	const int64_t seq = s->account->entry_seq + 1;
	const struct movement m = {ENTRY_TRANSACTION, counterpart_of(t->type), 0, seq, t->at_us, &record};

	CHECK(g->remaining_micros > 0 && t->amount_micros == -g->remaining_micros);
	CHECK(g->expires_at_us != 0 && sign_fits(t->type, t->amount_micros));
	add_transaction(d, s, t, g->seq, &record);
	g->remaining_micros = 0;
	rows_touch(d->rows, &g->row);
	enter(d, s, t->amount_micros, g->seq, &m);
	CHECK(record == 0);
}

void effects_reserve(struct decide *d, struct slot *s, struct holds_row *h, micros change)
{
	h->reserved_micros = money_sum(h->reserved_micros, change);
	s->account->held_micros = money_sum(s->account->held_micros, change);
	row_check_hold(h);
	row_check_account(s->account);
	CHECK(s->account->held_micros >= h->reserved_micros);
	workspace_held(d, s, h, change, d->now_us);
	rows_touch(d->rows, &h->row);
	rows_touch(d->rows, &s->account->row);
}

struct usages_row *effects_end_hold(struct decide *d, struct slot *s, struct holds_row *h, enum usage_state state,
                                    int64_t at_us)
{
	struct accounts_row *a = s->account;
	struct usages_row *u = (struct usages_row *)rows_alloc(d->rows, TABLE_USAGES);

	memcpy(u->account_id, h->account_id, sizeof(u->account_id));
	u->seq = h->seq;
	u->state = state;
	u->outcome = SETTLE_NEVER;
	u->member = h->member;
	u->kind = h->kind;
	u->item = h->item;
	u->provider = h->provider;
	u->source = h->source;
	u->price_version = h->price_version;
	u->quantity = h->quantity;
	u->service_tier = h->service_tier;
	u->variant = h->variant;
	u->reserved_micros = h->reserved_micros;
	u->conversation_id = h->conversation_id;
	u->message_id = h->message_id;
	u->metadata = h->metadata;
	u->created_at_us = h->created_at_us;
	u->ended_at_us = at_us;
	u->recorded = true;
	row_check_usage(u);
	rows_add(d->rows, s, &u->row);
	rows_end(d->rows, &h->row);
	CHECK(a->open_holds > 0 && a->held_micros >= h->reserved_micros);
	a->open_holds--;
	a->held_micros -= h->reserved_micros;
	row_check_account(a);
	workspace_held(d, s, h, -h->reserved_micros, at_us);
	rows_touch(d->rows, &a->row);
	return u;
}

/* ---- giving back the charge for an expired hold --------------------------------------------------------- */

/* Gives the amount wanted back to the grant, as far as the grant lacks it; returns the rest.  Where the grant has
 * expired since, the restored amount expires too. */
static micros restore(struct decide *d, struct slot *s, struct grants_row *g, micros wanted, const struct movement *m)
{
	const micros amount = money_least(wanted, g->amount_micros - g->remaining_micros);
	const struct effects_transaction expiry = {
		.type = TRANSACTION_ALLOWANCE_EXPIRY,
		.amount_micros = -amount,
		.description = "expired",
		.at_us = m->at_us,
	};
	const micros debt = funds_debt(s), due = payable(s, g->type);

	CHECK(wanted >= 0 && amount >= 0);
	if (amount == 0)
		return wanted;
	g->remaining_micros += amount;
	rows_touch(d->rows, &g->row);
	enter(d, s, amount, g->seq, m);
	if (g->expires_at_us != 0 && g->expires_at_us <= m->at_us) {
		effects_expire_grant(d, s, g, &expiry);
	} else {
		pay_debt(d, s, g, due, m);
		note_debt(d, s, money_sum(debt, -money_least(due, amount)));
		/* A term that came while nothing was left is not told. */
		if (g->warned < expiry_terms_behind(g->expires_at_us, m->at_us))
			g->warned = expiry_terms_behind(g->expires_at_us, m->at_us);
		due_note(s->account, expiry_next_us(g));
	}
	row_check_grant(g);
	return wanted - amount;
}

static struct grants_row *grant_of(struct slot *s, int64_t seq)
{
	struct grants_row *g = rows_grants(s);

	while (g != NULL && g->seq != seq)
		g = (struct grants_row *)g->row.next;
	return g;
}

/* True if e is a grant's payment of debt after the entry since. */
static bool paid_debt_since(const struct entries_row *e, const struct entries_row *since)
{
	return e->kind == ENTRY_DEBT && e->grant_seq != 0 && e->transaction_seq != 0 && e->seq > since->seq;
}

/* Gives amount back to the grants that have paid the debt since.  The oldest debt is paid first, and the part that is
 * given back ends at micro number until of the debt.  Returns the part that no grant is known to have paid. */
static micros restore_payers(struct decide *d, struct slot *s, micros amount, micros until,
                             const struct entries_row *debt, const struct movement *m)
{
	const struct entries_row *const newest = s->entries;
	micros skip = -until;

	for (const struct entries_row *e = newest; e != NULL; e = (const struct entries_row *)e->row.next)
		if (paid_debt_since(e, debt))
			skip = money_sum(skip, -e->amount_micros);
	if (skip < 0)
		skip = 0;
	for (const struct entries_row *e = newest; e != NULL; e = (const struct entries_row *)e->row.next) {
		struct grants_row *g;
		micros part;

		if (amount == 0 || !paid_debt_since(e, debt))
			continue;
		part = -e->amount_micros - money_least(skip, -e->amount_micros);
		skip -= money_least(skip, -e->amount_micros);
		g = grant_of(s, e->grant_seq);
		if (g == NULL)
			continue;
		part = money_least(part, amount);
		amount -= part - restore(d, s, g, part, m);
	}
	CHECK(skip >= 0 && amount >= 0);
	return amount;
}

/* Gives back a cost that no grant paid.  The amount repays the remaining debt first; the rest goes to the grants that
 * have paid debt since.  Returns the part that no grant is known to have paid. */
static micros give_back_debt(struct decide *d, struct slot *s, micros amount, const struct entries_row *debt,
                             const struct movement *m)
{
	const micros owes = funds_debt(s), owed = money_least(amount, owes);

	CHECK(amount > 0 && owed >= 0 && debt->grant_seq == 0);
	if (owed > 0) {
		enter(d, s, owed, 0, m);
		note_debt(d, s, money_sum(owes, -owed));
	}
	return restore_payers(d, s, amount - owed, -debt->balance_after_micros - owed, debt, m);
}

/* Gives back the excess cost of the usage: the last amount taken comes first.  An amount that cannot be traced, of a
 * usage that was captured before there was a record of it, becomes a grant of its own. */
static void give_back(struct decide *d, struct slot *s, const struct usages_row *u, micros amount,
                      const struct movement *m)
{
	micros untraced = 0;

	CHECK(amount > 0);
	for (const struct entries_row *e = s->entries; e != NULL; e = (const struct entries_row *)e->row.next) {
		const micros part = money_least(amount, -e->amount_micros);
		struct grants_row *g;

		if (amount == 0 || e->kind != ENTRY_USAGE || e->usage_seq != u->seq)
			continue;
		amount -= part;
		if (e->grant_seq == 0) {
			untraced = money_sum(untraced, give_back_debt(d, s, part, e, m));
			continue;
		}
		g = grant_of(s, e->grant_seq);
		CHECK(g != NULL);
		untraced = money_sum(untraced, restore(d, s, g, part, m));
	}
	untraced = money_sum(untraced, amount);
	CHECK(amount >= 0 && untraced >= 0);
	if (untraced > 0)
		credit(d, s, untraced, TRANSACTION_REFUND, 0, 0, m);
}

static void cost_less(struct decide *d, struct slot *s, const struct usages_row *u, micros less,
                      const struct movement *m)
{
	const struct captures_row *c = rows_capture(d->rows, s, u->seq);

	/* Only a charge for an expired hold was too much, and no more than all of it is. */
	CHECK(c == NULL || less <= c->amount_micros);
	give_back(d, s, u, less, m);
	if (c != NULL)
		workspace_given_back(d, s, u->member, c, less, m->at_us);
	else
		workspace_spent(d, s, u->member, -less, m->at_us);
}

void effects_cost(struct decide *d, struct slot *s, struct usages_row *u, micros cost, record_sum recorded,
                  int64_t at_us)
{
	const micros more = cost - u->cost_micros;
	record_sum record;
	struct movement m = {ENTRY_USAGE, COUNTERPART_USAGE, u->seq, 0, at_us, u->recorded ? &record : NULL};

	CHECK(cost >= 0 && cost <= MONEY_AMOUNT_MAX_MICROS && u->cost_micros >= 0);
	u->cost_micros = cost;
	rows_touch(d->rows, &u->row);
	record = record_of(&u->row) - recorded;
	if (more > 0) {
		debit(d, s, more, 0, &m);
		workspace_spent(d, s, u->member, more, at_us);
	} else if (more < 0) {
		m.kind = ENTRY_REVERSAL;
		cost_less(d, s, u, -more, &m);
	} else if (u->recorded) {
		m.kind = ENTRY_RECORD;
		enter(d, s, 0, 0, &m);
	}
	CHECK(!u->recorded || record == 0);
	row_check_usage(u);
	u->balance_micros = s->account->balance_micros;
	u->available_micros = funds_available(s->account);
}

void effects_capture(struct decide *d, struct slot *s, struct usages_row *u, micros cost, int64_t at_us)
{
	const int64_t first = s->account->entry_seq + 1;
	const micros owed = funds_debt(s);
	struct captures_row *c;

	effects_cost(d, s, u, cost, 0, at_us);
	if (cost == 0)
		return;
	c = (struct captures_row *)rows_alloc(d->rows, TABLE_CAPTURES);
	memcpy(c->account_id, s->key.bytes, sizeof(c->account_id));
	c->seq = u->seq;
	c->amount_micros = cost;
	c->debt_micros = funds_debt(s) - owed;
	c->entry_first = first;
	c->entry_last = s->account->entry_seq;
	c->created_at_us = at_us;
	row_check_capture(c);
	workspace_note(d, s, u->member, c);
	rows_add(d->rows, s, &c->row);
}

void effects_remember(struct decide *d, struct slot *s, const struct command *c)
{
	struct requests_row *q = (struct requests_row *)rows_alloc(d->rows, TABLE_REQUESTS);
	const struct answer *a = &c->answer;

	memcpy(q->account_id, s->key.bytes, sizeof(q->account_id));
	memcpy(q->request_key, c->request_key, sizeof(q->request_key));
	memcpy(q->fingerprint, c->fingerprint, sizeof(q->fingerprint));
	q->command = c->kind;
	q->seq = a->seq;
	q->choice = a->choice;
	q->source = a->source;
	q->provider = a->provider;
	q->price_version = a->price_version;
	q->amount_micros = a->amount_micros;
	q->balance_micros = a->balance_micros;
	q->available_micros = a->available_micros;
	q->max_output_tokens = a->max_output_tokens;
	q->expires_at_us = a->expires_at_us;
	q->created_at_us = d->now_us;
	row_check_request(q);
	CHECK(a->outcome == OUTCOME_OK && !a->replayed);
	rows_add(d->rows, s, &q->row);
}

void effects_event(struct decide *d, const struct command *c)
{
	struct webhook_events_row *e =
		(struct webhook_events_row *)rows_find(d->rows, NULL, TABLE_WEBHOOK_EVENTS, c->event_key);

	if (e == NULL) {
		e = (struct webhook_events_row *)rows_alloc(d->rows, TABLE_WEBHOOK_EVENTS);
		memcpy(e->event_key, c->event_key, sizeof(e->event_key));
		e->provider = c->event.provider;
		e->event_id = c->event.id;
		e->type = label_text(c->event.type);
		e->created_at_us = c->event.created_at_us;
		e->received_at_us = d->now_us;
		rows_add(d->rows, NULL, &e->row);
	}
	rows_touch(d->rows, &e->row);
	memcpy(e->account_id, c->account.bytes, sizeof(e->account_id));
	memcpy(e->subject, c->subject_key, sizeof(e->subject));
	e->state = c->answer.event_state;
	e->note = label_text(c->answer.note);
	e->body = e->state == EVENT_PARKED || e->state == EVENT_WAITING ? label_text(c->event.body) : "";
	row_check_event(e);
}

struct profiles_row *effects_profile(struct decide *d, struct slot *s)
{
	struct profiles_row *p = rows_profile(d->rows, s);

	if (p == NULL) {
		p = (struct profiles_row *)rows_alloc(d->rows, TABLE_PROFILES);
		memcpy(p->account_id, s->key.bytes, sizeof(p->account_id));
		rows_add(d->rows, s, &p->row);
	}
	rows_touch(d->rows, &p->row);
	return p;
}

struct billing_row *effects_billing(struct decide *d, struct slot *s)
{
	struct billing_row *b = rows_billing(d->rows, s);

	if (b == NULL) {
		b = (struct billing_row *)rows_alloc(d->rows, TABLE_BILLING);
		memcpy(b->account_id, s->key.bytes, sizeof(b->account_id));
		rows_add(d->rows, s, &b->row);
	}
	rows_touch(d->rows, &b->row);
	row_check_billing(b);
	return b;
}
