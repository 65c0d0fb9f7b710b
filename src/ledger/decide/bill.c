#include "ledger/decide/bill.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/alert.h"
#include "ledger/decide/due.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/row_check.h"
#include "ledger/decide/workspace.h"

#define PPM 1000000
#define DECIMALS_MAX 6     /* no currency has a smaller unit than a micro */
#define MINOR_MAX 99999999 /* of one invoice, by Stripe's rules; the next one has the rest */

micros bill_owed(const struct slot *s, const struct workspaces_row *w)
{
	const micros debt = funds_debt(s), elsewhere = w != NULL ? w->stated_micros + w->overdue_micros : 0;

	CHECK(debt >= 0 && elsewhere >= 0);
	return debt > elsewhere ? debt - elsewhere : 0;
}

/* A millionth of the account's unit is worth *up / *down of the currency's smallest unit. */
static void rate(const struct decide *d, const struct slot *s, __int128 *up, __int128 *down)
{
	CHECK(d->billing.decimals >= 0 && d->billing.decimals <= DECIMALS_MAX);
	*up = s->account->unit == UNIT_MONEY ? PPM : d->terms.credit_value_ppm;
	*down = (__int128)PPM * PPM;
	for (int i = 0; i < d->billing.decimals; i++)
		*up *= 10;
}

void bill_price(const struct decide *d, const struct slot *s, micros owed, struct statement_amount *amount)
{
	__int128 up, down, minor;

	rate(d, s, &up, &down);
	CHECK(owed >= 0 && up > 0);
	minor = owed * up / down;
	if (minor > MINOR_MAX)
		minor = MINOR_MAX;
	amount->minor = (int64_t)minor;
	amount->micros = (micros)(minor * down / up);
	CHECK(amount->micros >= 0 && amount->micros <= owed);
	/* The rest is less than one smallest unit, and the micro that was cut off. */
	CHECK(minor == MINOR_MAX || (owed - amount->micros) * up < down + up);
}

bool bill_small(const struct decide *d, const struct statement_amount *amount)
{
	return amount->minor <= 0 || amount->minor < d->billing.statement_min_minor;
}

struct statements_row *bill_make(struct decide *d, struct slot *s, const struct statement_amount *amount, int64_t to_us)
{
	struct workspaces_row *w = workspace_of(d, s);
	struct statements_row *t = (struct statements_row *)rows_alloc(d->rows, TABLE_STATEMENTS);

	CHECK(amount->minor > 0 && amount->micros >= 0);
	memcpy(t->account_id, s->key.bytes, sizeof(t->account_id));
	t->seq = ++w->statement_seq;
	t->state = bill_small(d, amount) ? STATEMENT_CARRIED : STATEMENT_OPEN;
	t->from_us = w->statement_from_us != 0 ? w->statement_from_us : s->account->created_at_us;
	t->to_us = to_us;
	t->amount_micros = amount->micros;
	t->amount_minor = amount->minor;
	t->currency = d->billing.currency;
	t->created_at_us = to_us;
	w->statement_from_us = to_us;
	workspace_fall_behind(d, s);
	if (t->state == STATEMENT_OPEN) {
		w->stated_micros += amount->micros; /* both within the balance, which has bounds */
		due_post(d, s, w, OUTBOX_STATEMENT, t->seq, to_us);
	}
	row_check_statement(t);
	row_check_workspace(w);
	rows_add(d->rows, s, &t->row);
	rows_touch(d->rows, &w->row);
	return t;
}

void bill_schedule(struct decide *d, struct slot *s)
{
	struct workspaces_row *w = workspace_ensure(d, s);

	if (s->account->mode != MODE_POSTPAID) {
		w->statement_at_us = 0;
	} else {
		if (w->statement_at_us == 0)
			w->statement_from_us = d->now_us;
		w->statement_at_us = zone_next_month(workspace_zone(d, w), d->now_us);
		due_note(s->account, w->statement_at_us);
		CHECK(w->statement_at_us > d->now_us);
	}
	rows_touch(d->rows, &w->row);
	rows_touch(d->rows, &s->account->row);
}

void bill_month(struct decide *d, struct slot *s)
{
	struct workspaces_row *w = workspace_of(d, s);
	struct statement_amount amount;

	CHECK(w != NULL && w->statement_at_us != 0);
	bill_price(d, s, bill_owed(s, w), &amount);
	if (amount.minor > 0)
		(void)bill_make(d, s, &amount, w->statement_at_us);
	w->statement_from_us = w->statement_at_us;
	w->statement_at_us = zone_next_month(workspace_zone(d, w), w->statement_at_us);
	CHECK(w->statement_from_us < w->statement_at_us);
	due_note(s->account, w->statement_at_us);
	row_check_workspace(w);
	rows_touch(d->rows, &w->row);
	rows_touch(d->rows, &s->account->row);
}

void bill_suspend(struct decide *d, struct slot *s)
{
	struct workspaces_row *w = workspace_of(d, s);

	CHECK(w != NULL && w->suspend_at_us != 0);
	/* An account that a person has suspended since keeps its status. */
	if (s->account->status == STATUS_PAST_DUE)
		s->account->status = STATUS_UNPAID;
	w->suspend_at_us = 0;
	rows_touch(d->rows, &w->row);
	rows_touch(d->rows, &s->account->row);
}

/* The account is past due from now on, and suspended when its time of grace (grace_us) is over. */
static void begin_grace(struct decide *d, struct slot *s)
{
	struct workspaces_row *w = workspace_of(d, s);

	CHECK(d->billing.grace_us >= 0);
	if (w->past_due_at_us == 0)
		w->past_due_at_us = d->now_us;
	if (s->account->status == STATUS_ACTIVE) {
		s->account->status = d->billing.grace_us > 0 ? STATUS_PAST_DUE : STATUS_UNPAID;
		w->suspend_at_us = d->billing.grace_us > 0 ? d->now_us + d->billing.grace_us : 0;
		due_note(s->account, w->suspend_at_us);
	}
	CHECK(s->account->status != STATUS_ACTIVE);
	rows_touch(d->rows, &w->row);
	rows_touch(d->rows, &s->account->row);
}

void bill_fail(struct decide *d, struct slot *s, struct statements_row *t)
{
	struct workspaces_row *w = workspace_of(d, s);

	CHECK(!bill_settled(t));
	if (t->state != STATEMENT_FAILED)
		w->failed_statements++;
	t->state = STATEMENT_FAILED;
	t->failures++;
	begin_grace(d, s);
	alert_post(d, s, &(struct alert_what){.kind = ALERT_PAYMENT_FAILED, .amount_micros = t->amount_micros});
	CHECK(w->failed_statements > 0);
	row_check_statement(t);
	rows_touch(d->rows, &t->row);
}

void bill_taken_back(struct decide *d, struct slot *s, micros debt)
{
	struct workspaces_row *w = workspace_of(d, s);
	struct statement_amount amount;

	CHECK(w != NULL && debt >= 0);
	bill_price(d, s, w->overdue_micros + debt, &amount);
	if (bill_small(d, &amount))
		return;
	w->overdue_micros += debt; /* both are parts of the debt, which has bounds */
	begin_grace(d, s);
}

void bill_relieve(struct decide *d, struct slot *s, micros paid)
{
	struct workspaces_row *w = workspace_of(d, s);
	struct statement_amount amount;

	CHECK(paid >= 0);
	if (w == NULL || w->overdue_micros == 0)
		return;
	w->overdue_micros -= paid < w->overdue_micros ? paid : w->overdue_micros;
	bill_price(d, s, w->overdue_micros, &amount);
	if (bill_small(d, &amount))
		w->overdue_micros = 0;
	workspace_restore(d, s);
	row_check_workspace(w);
	rows_touch(d->rows, &w->row);
}

void bill_demand(struct decide *d, struct slot *s, struct statements_row *t)
{
	struct workspaces_row *w = workspace_of(d, s);

	if (w->overdue_micros == 0)
		return;
	CHECK(t->state == STATEMENT_OPEN);
	w->overdue_micros = 0;
	w->failed_statements++;
	t->state = STATEMENT_FAILED;
	t->failure = "overdue";
	row_check_statement(t);
}

void bill_settle(struct decide *d, struct slot *s, struct statements_row *t, enum statement_state state)
{
	struct workspaces_row *w = workspace_of(d, s);

	CHECK(!bill_settled(t));
	CHECK(w->stated_micros >= t->amount_micros);
	w->stated_micros -= t->amount_micros;
	if (t->state == STATEMENT_FAILED) {
		CHECK(w->failed_statements > 0);
		w->failed_statements--;
	}
	t->state = state;
	CHECK(bill_settled(t));
	workspace_restore(d, s);
	row_check_statement(t);
	row_check_workspace(w);
	rows_touch(d->rows, &t->row);
	rows_touch(d->rows, &w->row);
	rows_touch(d->rows, &s->account->row);
}

bool bill_settled(const struct statements_row *t)
{
	return t->state == STATEMENT_PAID || t->state == STATEMENT_VOID || t->state == STATEMENT_CARRIED;
}

struct statements_row *bill_find(struct decide *d, struct slot *s, int64_t seq)
{
	if (s->account == NULL || workspace_of(d, s) == NULL)
		return NULL;
	return (struct statements_row *)rows_find(d->rows, s, TABLE_STATEMENTS, &seq);
}

void bill_answer(const struct slot *s, const struct statements_row *t, struct answer *a)
{
	a->outcome = OUTCOME_OK;
	a->seq = t->seq;
	a->amount_micros = t->amount_micros;
	a->amount_minor = t->amount_minor;
	a->statement_state = (enum statement_state)t->state;
	funds_figures(s, a);
}
