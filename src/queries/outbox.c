#include "queries/outbox.h"

#include <stdio.h>
#include <string.h>

#include "db/sql.h"
#include "ledger/sql_numbers.h"

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

struct due {
	struct outbox_claim *claim;
	int64_t now_us, claimed_us;
};

static int take_due_task(void *context, const struct db_row *row)
{
	struct due *due = context;
	struct outbox_claim *claim = due->claim;

	memcpy(claim->account.bytes, row->field[0], sizeof(claim->account.bytes));
	(void)snprintf(claim->account_id, sizeof(claim->account_id), "%s", row->field[1]);
	claim->seq = db_int(row, 2);
	claim->kind = db_int(row, 3);
	claim->subject_seq = db_int(row, 4);
	claim->attempts = db_int(row, 5);
	due->claimed_us = db_int(row, 6);
	due->now_us = db_int(row, 7);
	return 0;
}

/* Reads the row that has been due longest.  1: found, 0: nothing is due, -1: the database failed. */
static int find_due_task(struct db *d, bool statements, struct due *due)
{
	struct buf sql;
	int64_t found;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql,
	            "SELECT o.account_id,a.external_id,o.seq,o.kind,o.subject_seq,o.attempts,"
	            "o.claimed_until_us," NOW " FROM outbox o JOIN accounts a ON a.id=o.account_id"
	            " WHERE o.state=" SQL(OUTBOX_PENDING) " AND o.next_at_us<=" NOW " AND o.claimed_until_us<=" NOW);
	if (!statements)
		sql_literal(&sql, " AND o.kind<>" SQL(OUTBOX_STATEMENT));
	sql_literal(&sql, " ORDER BY o.next_at_us LIMIT 1");
	found = db_read(d, &sql, take_due_task, due);
	buf_free(&sql);
	return (int)found;
}

int outbox_claim(struct db *d, bool statements, int64_t lease_us, struct outbox_claim *claim)
{
	struct due due = {.claim = claim};
	int64_t changed;
	struct buf sql;
	int found;

	/* When another worker claims the row first, the statement changes nothing, and the next row is tried. */
	for (;;) {
		found = find_due_task(d, statements, &due);
		if (found <= 0)
			return found;
		claim->until_us = due.now_us + lease_us;
		buf_init(&sql, SQL_MAX);
		sql_literal(&sql, "UPDATE outbox SET attempts=attempts+1,claimed_until_us=");
		sql_int(&sql, claim->until_us);
		sql_row(&sql, &claim->account, claim->seq);
		sql_literal(&sql, " AND state=" SQL(OUTBOX_PENDING) " AND next_at_us<=" NOW " AND claimed_until_us=");
		sql_int(&sql, due.claimed_us);
		sql_literal(&sql, " AND attempts=");
		sql_int(&sql, claim->attempts);
		changed = change_task(d, &sql);
		if (changed < 0)
			return -1;
		if (changed > 0)
			break;
	}
	claim->attempts++;
	return 1;
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
	sql_literal(&sql, " AND state=" SQL(OUTBOX_PENDING) " AND claimed_until_us=");
	sql_int(&sql, claim->until_us);
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
