#include "queries/outbox.h"

#include <stdio.h>
#include <string.h>

#include "db/sql.h"
#include "ledger/sql_numbers.h"
#include "queries/due.h"

#define SQL_MAX ((size_t)4 * 1024)
#define NOW SQL_NOW_US
#define REVIEW_MAX 64
#define SETTLED SQL(STATEMENT_PAID) "," SQL(STATEMENT_VOID) "," SQL(STATEMENT_CARRIED)

/* Runs a statement as db_change does, and frees it. */
static int64_t change_task(struct db *d, struct buf *sql)
{
	const int64_t changed = db_change(d, sql);

	buf_free(sql);
	return changed;
}

static void sql_row(struct buf *sql, const struct account_key *account, int64_t seq)
{
	sql_literal(sql, " WHERE account_id=");
	sql_bytes(sql, account->bytes, sizeof(account->bytes));
	sql_literal(sql, " AND seq=");
	sql_int(sql, seq);
}

/* ---- claims -------------------------------------------------------------------------------------- */

struct due_task {
	struct due due;
	struct outbox_claim *claim;
	bool payments; /* false: rows that need Stripe are left out */
};

static int take_due_task(void *context, const struct db_row *row)
{
	struct due_task *task = context;
	struct outbox_claim *claim = task->claim;

	memcpy(claim->account.bytes, row->field[0], sizeof(claim->account.bytes));
	(void)snprintf(claim->account_id, sizeof(claim->account_id), "%s", row->field[1]);
	claim->seq = db_int(row, 2);
	claim->kind = db_int(row, 3);
	claim->subject_seq = db_int(row, 4);
	task->due.attempts = db_int(row, 5);
	task->due.claimed_us = db_int(row, 6);
	task->due.now_us = db_int(row, 7);
	return 0;
}

/* Reads the row that has been due longest. */
static int find_due_task(struct db *d, struct buf *sql, void *context)
{
	const struct due_task *task = context;

	sql_literal(sql, "SELECT o.account_id,a.external_id,o.seq,o.kind,o.subject_seq,o.attempts,"
	                 "o.claimed_until_us," NOW
	                 " FROM outbox o JOIN accounts a ON a.id=o.account_id WHERE " DUE_CONDITION("o"));
	if (!task->payments)
		sql_literal(sql, " AND o.kind NOT IN (" SQL(OUTBOX_STATEMENT) "," SQL(OUTBOX_RECHARGE) ")");
	sql_literal(sql, " ORDER BY o.next_at_us LIMIT 1");
	return (int)db_read(d, sql, take_due_task, context);
}

static void put_task_set(struct buf *sql, const void *context)
{
	(void)context;
	sql_literal(sql, "UPDATE outbox SET ");
}

static void put_task_key(struct buf *sql, const void *context)
{
	const struct due_task *task = context;

	sql_row(sql, &task->claim->account, task->claim->seq);
}

int outbox_claim(struct db *d, bool payments, int64_t lease_us, struct outbox_claim *claim)
{
	static const struct due_table table = {find_due_task, put_task_set, put_task_key};
	struct due_task task = {.claim = claim, .payments = payments};
	const int found = due_claim(d, &table, lease_us, &task.due, &task);

	claim->until_us = task.due.until_us;
	claim->attempts = task.due.attempts + 1;
	return found;
}

int outbox_end(struct db *d, const struct outbox_claim *claim, const struct outbox_end *end)
{
	struct buf sql;
	int64_t changed;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "UPDATE outbox SET claimed_until_us=0,state=");
	sql_int(&sql, end->state);
	sql_literal(&sql, ",attempts=");
	sql_int(&sql, end->attempts);
	sql_literal(&sql, ",next_at_us=" NOW "+");
	sql_int(&sql, end->wait_us);
	sql_literal(&sql, ",error=");
	sql_text(&sql, end->error);
	sql_row(&sql, &claim->account, claim->seq);
	due_put_held(&sql, claim->until_us);
	changed = change_task(d, &sql);
	return changed < 0 ? -1 : changed > 0;
}

/* ---- rows settled by others ---------------------------------------------------------------------- */

struct reviewed {
	struct account_key account;
	int64_t seq;
	bool settled;
};

static int take_reviewed(void *context, const struct db_row *row)
{
	struct reviewed **next = context, *r = (*next)++;

	memcpy(r->account.bytes, row->field[0], sizeof(r->account.bytes));
	r->seq = db_int(row, 1);
	r->settled = db_int(row, 2) != 0;
	return 0;
}

static int find_reviewed(struct db *d, const char *declined, struct reviewed rows[REVIEW_MAX])
{
	struct buf sql;
	int64_t count;

	buf_init(&sql, SQL_MAX);
	/* clang-format off */
	sql_literal(&sql, "SELECT o.account_id,o.seq,s.state IN (" SETTLED ") FROM outbox o"
	                  " JOIN statements s ON s.account_id=o.account_id AND s.seq=o.subject_seq"
	                  " JOIN accounts a ON a.id=o.account_id JOIN workspaces w ON w.account_id=o.account_id"
	                  " WHERE o.state IN (" SQL(OUTBOX_PENDING) "," SQL(OUTBOX_PARKED) ") AND o.kind="
	                  SQL(OUTBOX_STATEMENT)
	                  " AND o.claimed_until_us<=" NOW " AND (o.state=" SQL(OUTBOX_PARKED)
	                  " OR o.next_at_us>" NOW ")"
	                  " AND (s.state IN (" SETTLED ") OR (s.state=" SQL(STATEMENT_FAILED)
	                  " AND w.stated_micros>GREATEST(0,-a.balance_micros,w.arrears_micros)-w.overdue_micros"
	                  " AND LOCATE(");
	/* clang-format on */
	sql_text(&sql, declined);
	sql_literal(&sql, ",o.error)=1)) LIMIT ");
	sql_int(&sql, REVIEW_MAX);
	count = db_read(d, &sql, take_reviewed, &rows);
	buf_free(&sql);
	return (int)count;
}

int outbox_review(struct db *d, const char *declined)
{
	struct reviewed rows[REVIEW_MAX];
	int count = find_reviewed(d, declined, rows);

	for (int i = 0; i < count; i++) {
		struct buf sql;

		buf_init(&sql, SQL_MAX);
		if (rows[i].settled)
			sql_literal(&sql, "UPDATE outbox SET state=" SQL(OUTBOX_DONE) ",error=''");
		else
			sql_literal(&sql, "UPDATE outbox SET state=" SQL(OUTBOX_PENDING) ",attempts=0,next_at_us=" NOW);
		sql_row(&sql, &rows[i].account, rows[i].seq);
		sql_literal(&sql, " AND state IN (" SQL(OUTBOX_PENDING) "," SQL(
					  OUTBOX_PARKED) ") AND claimed_until_us<=" NOW);
		if (change_task(d, &sql) < 0)
			return -1;
	}
	return count < 0 ? -1 : 0;
}

int64_t outbox_retry(struct db *d, const struct account_key *account, int64_t seq)
{
	struct buf sql;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql,
	            "UPDATE outbox SET state=" SQL(OUTBOX_PENDING) ",attempts=0,claimed_until_us=0,next_at_us=" NOW);
	if (seq != 0) {
		sql_row(&sql, account, seq);
		sql_literal(&sql, " AND state=" SQL(OUTBOX_PARKED));
	} else {
		sql_literal(&sql, " WHERE state=" SQL(OUTBOX_PARKED));
	}
	return change_task(d, &sql);
}
