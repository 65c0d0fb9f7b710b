/*
 * Names the rows behind sums that differ.  Runs only for accounts that are wrong, so it may be slow:
 * the database groups the account's journal once for each question.
 */
#include <stdio.h>
#include <string.h>

#include "audit/audit_state.h"
#include "base/check.h"
#include "base/hex.h"
#include "db/sql.h"
#include "ledger/decide/entry.h"
#include "ledger/grant_sql.h"
#include "ledger/hold_sql.h"
#include "ledger/rows/record.h"
#include "ledger/rows/table_sql.h"

#define SQL_MAX 8192

typedef void take_row(struct audit *A, const struct subject *s, const struct db_row *row);

struct explained {
	struct audit *audit;
	const struct subject *subject;
	take_row *take;
};

static int take_explained(void *context, const struct db_row *row)
{
	const struct explained *x = context;

	x->take(x->audit, x->subject, row);
	return 0;
}

static int ask_explained(struct audit *A, const struct subject *s, const struct buf *sql, take_row *take)
{
	struct explained x = {A, s, take};

	return db_read_stream(A->db, sql, take_explained, &x) < 0 ? -1 : 0;
}

static void put_account(struct buf *sql, const struct subject *s)
{
	sql_bytes(sql, s->row.id, sizeof(s->row.id));
}

static const char *text(const struct db_row *row, unsigned column)
{
	return row->field[column] != NULL ? row->field[column] : "0";
}

static bool differ(const struct db_row *row, unsigned a, unsigned b)
{
	return strcmp(text(row, a), text(row, b)) != 0;
}

/* ---- records ---------------------------------------------------------------------------------- */

/* The sum of the records in the entries of a row; the text is hexadecimal numbers, with commas. */
static record_sum sum_of(const char *records)
{
	unsigned char bytes[RECORD_BYTES];
	record_sum sum = 0;

	while (hex_read(records, bytes, sizeof(bytes))) {
		sum += record_read(bytes);
		records += 2 * sizeof(bytes);
		records += *records == ',';
	}
	return sum;
}

static void check_record(struct audit *A, const struct subject *s, const struct db_row *row, enum table_id id)
{
	const struct table *t = table_of(id);
	const char *records = row->field[t->column_count];
	union audit_row r;
	record_sum sum = 0;
	int recorded = 0;

	while (strcmp(t->columns[recorded].name, "recorded") != 0)
		CHECK(++recorded < t->column_count);
	audit_read_row(row, id, &r);
	if (db_int(row, (unsigned)recorded))
		sum = record_of(&r.row);
	if (sum != (records != NULL ? sum_of(records) : 0))
		audit_find(A, t->name[0] == 'u' ? "usage" : "transaction", t->name, s, db_int(row, 1),
		           "it is not as its entries recorded it: some column was changed");
}

static void check_usage_record(struct audit *A, const struct subject *s, const struct db_row *row)
{
	check_record(A, s, row, TABLE_USAGES);
}

static void check_transaction_record(struct audit *A, const struct subject *s, const struct db_row *row)
{
	check_record(A, s, row, TABLE_TRANSACTIONS);
}

/* The column of entries that names rows of the table. */
static void put_naming(struct buf *sql, enum table_id id)
{
	if (id == TABLE_USAGES)
		sql_literal(sql, "usage_seq");
	else if (id == TABLE_GRANTS)
		sql_literal(sql, "grant_seq");
	else
		sql_literal(sql, "transaction_seq");
}

/* Entries that name a row of the table which is not there. */
static int explain_missing(struct audit *A, const struct subject *s, struct buf *sql, enum table_id id, take_row *take)
{
	const struct table *t = table_of(id);

	buf_reset(sql);
	sql_literal(sql, "SELECT seq, ");
	put_naming(sql, id);
	sql_literal(sql, " FROM entries WHERE account_id = ");
	put_account(sql, s);
	sql_literal(sql, " AND ");
	put_naming(sql, id);
	sql_literal(sql, " NOT IN (SELECT 0 UNION ALL SELECT seq FROM ");
	buf_add_text(sql, t->name);
	sql_literal(sql, " WHERE account_id = ");
	put_account(sql, s);
	sql_literal(sql, ") ORDER BY seq");
	return ask_explained(A, s, sql, take);
}

static int explain_records(struct audit *A, const struct subject *s, struct buf *sql, enum table_id id, take_row *check)
{
	const struct table *t = table_of(id);

	buf_reset(sql);
	audit_select(sql, id);
	sql_literal(sql, "e.records FROM ");
	buf_add_text(sql, t->name);
	sql_literal(sql, " r LEFT JOIN (SELECT ");
	put_naming(sql, id);
	sql_literal(sql, " AS seq, GROUP_CONCAT(HEX(record)) AS records FROM entries WHERE account_id = ");
	put_account(sql, s);
	sql_literal(sql, " GROUP BY ");
	put_naming(sql, id);
	sql_literal(sql, ") e ON e.seq = r.seq WHERE r.account_id = ");
	put_account(sql, s);
	sql_literal(sql, " ORDER BY r.seq");
	return ask_explained(A, s, sql, check);
}

/* ---- usages ---------------------------------------------------------------------------------- */

static void take_usage(struct audit *A, const struct subject *s, const struct db_row *row)
{
	audit_find(A, "usage", "usages", s, db_int(row, 0), "cost_micros is %s, but its entries come to %s",
	           text(row, 1), text(row, 2));
}

static void take_usage_missing(struct audit *A, const struct subject *s, const struct db_row *row)
{
	audit_find(A, "usage", "entries", s, db_int(row, 0), "it names usage %s, which is not there", text(row, 1));
}

static int explain_usages(struct audit *A, const struct subject *s, struct buf *sql)
{
	buf_reset(sql);
	sql_literal(sql, "SELECT u.seq, u.cost_micros, CAST(COALESCE(e.total, 0) AS CHAR) FROM usages u "
	                 "LEFT JOIN"
	                 " (SELECT usage_seq, SUM(amount_micros) AS total FROM entries WHERE account_id = ");
	put_account(sql, s);
	sql_literal(sql, " AND usage_seq <> 0 GROUP BY usage_seq) e ON e.usage_seq = u.seq WHERE "
	                 "u.account_id = ");
	put_account(sql, s);
	sql_literal(sql, " AND u.cost_micros + COALESCE(e.total, 0) <> 0 ORDER BY u.seq");
	if (ask_explained(A, s, sql, take_usage) != 0)
		return -1;
	if (explain_missing(A, s, sql, TABLE_USAGES, take_usage_missing) != 0)
		return -1;
	return explain_records(A, s, sql, TABLE_USAGES, check_usage_record);
}

/* ---- grants ---------------------------------------------------------------------------------- */

/* Columns: seq; remaining, entries' total; amount, entries' gifts; type, type of the transaction
 * (or reversal) that made the grant; created_at, that of the first gift. */
static void take_grant(struct audit *A, const struct subject *s, const struct db_row *row)
{
	const int64_t seq = db_int(row, 0);

	if (differ(row, 1, 2))
		audit_find(A, "grant", "grants", s, seq, "remaining_micros is %s, but its entries leave %s",
		           text(row, 1), text(row, 2));
	if (differ(row, 3, 4))
		audit_find(A, "grant", "grants", s, seq, "amount_micros is %s, but its entries gave %s", text(row, 3),
		           text(row, 4));
	if (row->field[6] != NULL && differ(row, 5, 6))
		audit_find(A, "grant", "grants", s, seq, "type is %s, but what made it has type %s", text(row, 5),
		           text(row, 6));
	if (row->field[8] != NULL && differ(row, 7, 8))
		audit_find(A, "grant", "grants", s, seq, "created_at_us is %s, but its first entry is of %s",
		           text(row, 7), text(row, 8));
}

static void take_grant_missing(struct audit *A, const struct subject *s, const struct db_row *row)
{
	audit_find(A, "grant", "entries", s, db_int(row, 0), "it names grant %s, which is not there", text(row, 1));
}

static int explain_grants(struct audit *A, const struct subject *s, struct buf *sql)
{
	buf_reset(sql);
	sql_literal(sql, "SELECT g.seq, " GRANT_SQL_REMAINING ", CAST(COALESCE(e.total, 0) AS CHAR), "
	                 "g.amount_micros,"
	                 " CAST(COALESCE(f.amount_micros, 0) AS CHAR), g.type, t.type, g.created_at_us, f.created_at_us"
	                 " FROM grants g JOIN accounts a ON a.id = g.account_id"
	                 " LEFT JOIN (SELECT grant_seq, SUM(amount_micros) AS total, MIN(seq) AS first"
	                 " FROM entries WHERE account_id = ");
	put_account(sql, s);
	sql_literal(sql, " AND grant_seq <> 0 GROUP BY grant_seq) e ON e.grant_seq = g.seq"
	                 " LEFT JOIN entries f ON f.account_id = g.account_id AND f.seq = e.first"
	                 " LEFT JOIN (SELECT grant_seq, MIN(type) AS type FROM transactions WHERE "
	                 "account_id = ");
	put_account(sql, s);
	sql_literal(sql, " AND amount_micros > 0 GROUP BY grant_seq) t ON t.grant_seq = g.seq "
	                 "WHERE g.account_id = ");
	put_account(sql, s);
	sql_literal(sql, " ORDER BY g.seq");
	if (ask_explained(A, s, sql, take_grant) != 0)
		return -1;
	return explain_missing(A, s, sql, TABLE_GRANTS, take_grant_missing);
}

/* ---- transactions ---------------------------------------------------------------------------- */

/* Columns: seq; amount, entries' total; before, first entry's; after, last entry's; created_at,
 * first entry's; type, first entry's counterpart. */
static void take_transaction(struct audit *A, const struct subject *s, const struct db_row *row)
{
	static const char *const names[] = {"amount_micros", "balance_before_micros", "balance_after_micros",
	                                    "created_at_us"};
	const int64_t seq = db_int(row, 0);

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (differ(row, 1 + 2 * i, 2 + 2 * i))
			audit_find(A, "transaction", "transactions", s, seq, "%s is %s, but its entries say %s",
			           names[i], text(row, 1 + 2 * i), text(row, 2 + 2 * i));
	if (row->field[10] != NULL && db_int(row, 10) != audit_rows_counterpart(db_int(row, 9)))
		audit_find(A, "transaction", "transactions", s, seq,
		           "type %s does not go with its entries' counterpart %s", text(row, 9), text(row, 10));
}

static void take_transaction_missing(struct audit *A, const struct subject *s, const struct db_row *row)
{
	audit_find(A, "transaction", "entries", s, db_int(row, 0), "it names transaction %s, which is not there",
	           text(row, 1));
}

static int explain_transactions(struct audit *A, const struct subject *s, struct buf *sql)
{
	buf_reset(sql);
	sql_literal(sql, "SELECT t.seq, t.amount_micros, CAST(COALESCE(e.total, 0) AS CHAR),"
	                 " t.balance_before_micros, f.balance_before_micros,"
	                 " t.balance_after_micros, l.balance_after_micros,"
	                 " t.created_at_us, f.created_at_us, t.type, f.counterpart"
	                 " FROM transactions t LEFT JOIN (SELECT transaction_seq, MAX(seq) AS last,"
	                 " SUM(amount_micros) AS total FROM entries WHERE account_id = ");
	put_account(sql, s);
	sql_literal(sql, " AND transaction_seq <> 0 GROUP BY transaction_seq) e ON e.transaction_seq = t.seq"
	                 " LEFT JOIN entries f ON f.account_id = t.account_id AND f.seq = t.seq"
	                 " LEFT JOIN entries l ON l.account_id = t.account_id AND l.seq = e.last"
	                 " WHERE t.account_id = ");
	put_account(sql, s);
	sql_literal(sql, " ORDER BY t.seq");
	if (ask_explained(A, s, sql, take_transaction) != 0)
		return -1;
	if (explain_missing(A, s, sql, TABLE_TRANSACTIONS, take_transaction_missing) != 0)
		return -1;
	return explain_records(A, s, sql, TABLE_TRANSACTIONS, check_transaction_record);
}

/* ---- numbers of holds and usages ------------------------------------------------------------- */

static void take_double(struct audit *A, const struct subject *s, const struct db_row *row)
{
	audit_find(A, "hold", "holds", s, db_int(row, 0), "it is open and has ended: usages has it too");
}

static void take_stray(struct audit *A, const struct subject *s, const struct db_row *row)
{
	audit_find(A, "hold", *text(row, 1) == '0' ? "holds" : "usages", s, db_int(row, 0),
	           "the account has only numbered up to hold_seq %lld", (long long)s->row.hold_seq);
}

/* Columns: the seq before a run of missing ones, and the seq after it. */
static void take_gap(struct audit *A, const struct subject *s, const struct db_row *row)
{
	const int64_t after = db_int(row, 0);
	const int64_t next = db_int(row, 1);

	if (next - after == 2)
		audit_find(A, "hold", "usages", s, after + 1, "the hold is lost: neither open nor ended");
	else
		audit_find(A, "hold", "usages", s, after + 1,
		           "the holds from here to seq %lld are lost: neither open nor ended", (long long)next - 1);
}

static int explain_numbers(struct audit *A, const struct subject *s, struct buf *sql)
{
	buf_reset(sql);
	sql_literal(sql, "SELECT h.seq FROM " HOLD_SQL_OPEN " h JOIN usages u ON u.account_id = h.account_id "
	                 "AND u.seq = h.seq"
	                 " WHERE h.account_id = ");
	put_account(sql, s);
	if (ask_explained(A, s, sql, take_double) != 0)
		return -1;
	buf_reset(sql);
	sql_literal(sql, "SELECT seq, kind FROM (SELECT seq, 0 AS kind FROM " HOLD_SQL_OPEN " h WHERE account_id = ");
	put_account(sql, s);
	sql_literal(sql, " UNION ALL SELECT seq, 1 FROM usages WHERE account_id = ");
	put_account(sql, s);
	sql_literal(sql, ") n WHERE seq < 1 OR seq > ");
	sql_int(sql, s->row.hold_seq);
	if (ask_explained(A, s, sql, take_stray) != 0)
		return -1;
	buf_reset(sql);
	sql_literal(sql, "SELECT before_seq, seq FROM (SELECT seq, LAG(seq) OVER (ORDER BY seq) AS "
	                 "before_seq FROM"
	                 " (SELECT 0 AS seq UNION SELECT seq FROM " HOLD_SQL_OPEN " h WHERE account_id = ");
	put_account(sql, s);
	sql_literal(sql, " UNION SELECT seq FROM usages WHERE account_id = ");
	put_account(sql, s);
	sql_literal(sql, " UNION SELECT ");
	sql_int(sql, s->row.hold_seq < INT64_MAX ? s->row.hold_seq + 1 : INT64_MAX);
	sql_literal(sql, ") n) p WHERE before_seq >= 0 AND seq > before_seq + 1 ORDER BY seq");
	return ask_explained(A, s, sql, take_gap);
}

int audit_explain(struct audit *A, const struct subject *s)
{
	const struct audit_row_checksums *said = &s->said;
	const struct audit_row_checksums *found = &s->found;
	const int64_t before = A->report->findings;
	bool wrong = false;
	struct buf sql;
	int result = 0;

	buf_init(&sql, SQL_MAX);
	if (said->usage != found->usage) {
		wrong = true;
		result = explain_usages(A, s, &sql);
	}
	if (result == 0 && said->grant != found->grant) {
		wrong = true;
		result = explain_grants(A, s, &sql);
	}
	if (result == 0 && said->transaction != found->transaction) {
		wrong = true;
		result = explain_transactions(A, s, &sql);
	}
	if (result == 0 && s->incomplete) {
		wrong = true;
		result = explain_numbers(A, s, &sql);
	}
	buf_free(&sql);
	if (result == 0 && wrong && A->report->findings == before)
		audit_find(A, "sum", "entries", s, s->last.seq,
		           "the journal and the other tables say different things");
	return result;
}
