#include "queries/view.h"

#include <stddef.h>

#include "db/sql.h"

/* The kind in rows of usages and of prices: 0 for a model, 1 for an action. */
#define KIND_MODEL 0
#define KIND_ACTION 1

/* Sets each of numbers to the value of the next column, from first on. */
static void take_numbers(const struct db_row *row, unsigned first, int64_t *const *numbers, size_t count)
{
	for (unsigned i = 0; i < count; i++)
		*numbers[i] = db_int(row, first + i);
}
#define TAKE_NUMBERS(row, first, numbers) take_numbers(row, first, numbers, sizeof(numbers) / sizeof((numbers)[0]))

/* ---- accounts ------------------------------------------------------------------------------------ */

#define NO_LIMIT (-1) /* as in the database */
#define ACCOUNT_COLUMNS 19
/* 0, or -1 when memory is short. */
static int take_shown_workspace(struct ask *q, const struct db_row *row, struct reader_workspace *w)
{
	int64_t *const numbers[] = {
		&w->changing,           &w->period_start_us,      &w->period_end_us,   &w->granted_micros,
		&w->carried_micros,     &w->reserved_micros,      &w->managers,        &w->members,
		&w->daily_limit_micros, &w->monthly_limit_micros, &w->day_until_us,    &w->day_micros,
		&w->month_until_us,     &w->month_micros,         &w->statement_at_us, &w->past_due_at_us,
		&w->suspend_at_us,      &w->arrears_micros,       &w->seats,           &w->left_micros};

	w->found = row->field[ACCOUNT_COLUMNS] != NULL;
	w->daily_limit_micros = NO_LIMIT;
	w->monthly_limit_micros = NO_LIMIT;
	if (!w->found)
		return 0;
	w->time_zone = ask_text(q, row, ACCOUNT_COLUMNS);
	w->plan = ask_text(q, row, ACCOUNT_COLUMNS + 1);
	w->next_plan = ask_text(q, row, ACCOUNT_COLUMNS + 2);
	TAKE_NUMBERS(row, ACCOUNT_COLUMNS + 3, numbers);
	return w->time_zone != NULL && w->plan != NULL && w->next_plan != NULL ? 0 : -1;
}

int view_account(struct ask *q, const struct db_row *row, void *out)
{
	struct reader_account *account = out;
	int64_t *const numbers[] = {&account->unit,
	                            &account->mode,
	                            &account->status,
	                            &account->byok,
	                            &account->balance_micros,
	                            &account->held_micros,
	                            &account->hard_limit_micros,
	                            &account->soft_limit_micros,
	                            &account->open_holds,
	                            &account->due_at_us,
	                            &account->created_at_us};

	account->now_us = db_int(row, 0);
	account->found = db_int(row, 1) != 0;
	if (!account->found)
		return 0;
	TAKE_NUMBERS(row, 2, numbers);
	account->external_id = ask_text(q, row, 13);
	account->email = ask_text(q, row, 14);
	account->name = ask_text(q, row, 15);
	account->locale = ask_text(q, row, 16);
	account->time_zone = ask_text(q, row, 17);
	account->plan = ask_text(q, row, 18);
	if (take_shown_workspace(q, row, &account->workspace) < 0)
		return -1;
	return account->external_id != NULL && account->email != NULL && account->name != NULL &&
	                       account->locale != NULL && account->time_zone != NULL && account->plan != NULL
	               ? 0
	               : -1;
}

/* ---- transactions and usages ----------------------------------------------------------------------- */

static void sql_page(struct ask *q, int64_t before_seq, int limit)
{
	if (before_seq > 0) {
		sql_literal(&q->sql, " AND seq<");
		sql_int(&q->sql, before_seq);
	}
	sql_literal(&q->sql, " ORDER BY seq DESC LIMIT ");
	sql_int(&q->sql, (int64_t)limit + 1);
}

static void sql_tag(struct ask *q, int tag)
{
	sql_literal(&q->sql, ",");
	sql_int(&q->sql, tag);
}

void view_ask_transactions(struct ask *q, int tag, const struct account_key *key, int64_t before_seq, int limit)
{
	sql_literal(&q->sql, VIEW_TRANSACTION_SELECT);
	sql_tag(q, tag);
	sql_literal(&q->sql, " FROM transactions WHERE account_id=");
	ask_key(q, key);
	sql_page(q, before_seq, limit);
}

int view_transaction(struct ask *q, const struct db_row *row, void *out)
{
	struct reader_transaction *t = out;
	int64_t *const numbers[] = {
		&t->seq,          &t->type, &t->amount_micros, &t->balance_before_micros, &t->balance_after_micros,
		&t->created_at_us};

	TAKE_NUMBERS(row, 0, numbers);
	t->description = ask_text(q, row, 6);
	t->reference = ask_text(q, row, 7);
	t->metadata = ask_text(q, row, 8);
	return t->description != NULL && t->reference != NULL && t->metadata != NULL ? 0 : -1;
}

void view_ask_equals(struct ask *q, const char *text)
{
	sql_literal(&q->sql, "=");
	sql_text(&q->sql, text);
}

static void sql_item(struct ask *q, int64_t kind, const char *item)
{
	sql_literal(&q->sql, " AND kind=");
	sql_int(&q->sql, kind);
	sql_literal(&q->sql, " AND item");
	view_ask_equals(q, item);
}

void view_ask_scanned(struct ask *q, const struct account_key *key, int64_t before_seq)
{
	sql_literal(&q->sql, " AND seq>");
	if (before_seq > 0) {
		sql_int(&q->sql, before_seq - 1 - VIEW_SCAN_MAX);
		return;
	}
	sql_literal(&q->sql, "(SELECT hold_seq FROM accounts WHERE id=");
	ask_key(q, key);
	sql_literal(&q->sql, ")-");
	sql_int(&q->sql, VIEW_SCAN_MAX);
}

void view_ask_usages(struct ask *q, int tag, const struct account_key *key, int64_t before_seq,
                     const struct reader_usage_filter *filter, int limit)
{
	sql_literal(&q->sql, VIEW_USAGE_SELECT);
	sql_tag(q, tag);
	sql_literal(&q->sql, VIEW_WAS_USED);
	ask_key(q, key);
	if (filter->member != NULL) {
		sql_literal(&q->sql, " AND member");
		view_ask_equals(q, filter->member);
	}
	if (filter->model != NULL)
		sql_item(q, KIND_MODEL, filter->model);
	if (filter->action != NULL)
		sql_item(q, KIND_ACTION, filter->action);
	view_ask_scanned(q, key, before_seq);
	sql_page(q, before_seq, limit);
}

int view_usage(struct ask *q, const struct db_row *row, void *out)
{
	struct reader_usage *u = out;
	int64_t *const numbers[] = {&u->seq,
	                            &u->kind,
	                            &u->settlement,
	                            &u->cost_micros,
	                            &u->created_at_us,
	                            &u->ended_at_us,
	                            &u->quantity,
	                            &u->source,
	                            &u->input_tokens,
	                            &u->cache_read_tokens,
	                            &u->cache_write_tokens,
	                            &u->output_tokens};

	TAKE_NUMBERS(row, 0, numbers);
	u->item = ask_text(q, row, 12);
	u->member = ask_text(q, row, 13);
	u->conversation_id = ask_text(q, row, 14);
	u->message_id = ask_text(q, row, 15);
	u->service_tier = db_int(row, 16);
	u->incomplete = db_int(row, 17);
	u->variant = ask_text(q, row, 18);
	u->counts = ask_text(q, row, 19);
	u->price_version = db_int(row, 20);
	u->cache_write_1h_tokens = db_int(row, 21);
	u->has_usage = db_int(row, 22);
	u->reported = db_int(row, 23);
	return u->item != NULL && u->member != NULL && u->conversation_id != NULL && u->message_id != NULL &&
	                       u->variant != NULL && u->counts != NULL
	               ? 0
	               : -1;
}

/* ---- people ---------------------------------------------------------------------------------------- */

void view_ask_members(struct ask *q, int tag, const struct account_key *key)
{
	sql_literal(&q->sql,
	            "SELECT member_id,role,created_at_us,removed_at_us,quota_micros,held_micros,limit_micros,"
	            "daily_limit_micros,monthly_limit_micros,period_until_us,period_micros,day_until_us,day_micros,"
	            "month_until_us,month_micros");
	sql_tag(q, tag);
	sql_literal(&q->sql, " FROM members WHERE account_id=");
	ask_key(q, key);
}

int view_member(struct ask *q, const struct db_row *row, void *out)
{
	struct reader_member *m = out;
	int64_t *const numbers[] = {&m->role,
	                            &m->created_at_us,
	                            &m->removed_at_us,
	                            &m->quota_micros,
	                            &m->held_micros,
	                            &m->limit_micros,
	                            &m->daily_limit_micros,
	                            &m->monthly_limit_micros,
	                            &m->period_until_us,
	                            &m->period_micros,
	                            &m->day_until_us,
	                            &m->day_micros,
	                            &m->month_until_us,
	                            &m->month_micros};

	m->id = ask_text(q, row, 0);
	TAKE_NUMBERS(row, 1, numbers);
	return m->id != NULL ? 0 : -1;
}
