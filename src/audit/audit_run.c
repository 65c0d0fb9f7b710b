#include "audit/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit_heads.h"
#include "audit/audit_state.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/memory.h"
#include "db/sql.h"
#include "ledger/command.h"
#include "ledger/rows/table_sql.h"

#define SQL_MAX 16384

/* Accounts after low (unless first) up to high (unless last); only: the account low. */
struct range {
	bool first, last, only;
	unsigned char low[ID_KEY_BYTES], high[ID_KEY_BYTES];
};

/* Tables in the order of their results.  Entries come first: the other tables are compared with
 * them. */
static const enum table_id streamed[] = {TABLE_ENTRIES, TABLE_GRANTS,       TABLE_HOLDS,
                                         TABLE_USAGES,  TABLE_TRANSACTIONS, TABLE_REQUESTS};

#define STREAMED ((int)(sizeof(streamed) / sizeof(streamed[0])))

/* ---- rows from the database ------------------------------------------------------------------ */

/* The subject of a row, or NULL.  *at advances with the rows, which come in the order of accounts. */
static struct subject *subject_of(struct audit *A, const unsigned char id[ID_KEY_BYTES], int *at)
{
	while (*at < A->count && memcmp(A->subjects[*at].row.id, id, ID_KEY_BYTES) < 0)
		++*at;
	if (*at < A->count && memcmp(A->subjects[*at].row.id, id, ID_KEY_BYTES) == 0)
		return &A->subjects[*at];
	return NULL;
}

static void find_orphan(struct audit *A, enum table_id table, const unsigned char id[ID_KEY_BYTES])
{
	char row[AUDIT_ROW_MAX] = "account id 0x";
	size_t length = strlen(row);

	for (int i = 0; i < ID_KEY_BYTES; i++)
		(void)snprintf(row + length + (size_t)i * 2, 3, "%02x", id[i]);
	audit_find_row(A, "orphan", table_of(table)->name, row, "there is no such account");
}

static void take_request(struct audit *A, struct subject *s, const struct requests_row *q, const struct db_row *from)
{
	const unsigned columns = (unsigned)table_of(TABLE_REQUESTS)->column_count;
	int64_t amount[2];
	const int64_t *amounts[2] = {NULL, NULL};

	for (unsigned i = 0; i < 2; i++) {
		if (from->field[columns + i] == NULL)
			continue;
		amount[i] = db_int(from, columns + i);
		amounts[i] = &amount[i];
	}
	audit_rows_request(A, s, q, amounts[0], amounts[1]);
}

/* The place in a table that is read: its subject is at, or comes later. */
struct reading {
	struct audit *audit;
	enum table_id table;
	int at;
};

static int take_row(void *context, const struct db_row *from)
{
	struct reading *r = context;
	struct audit *A = r->audit;
	const enum table_id table = r->table;
	union audit_row row;
	unsigned char id[ID_KEY_BYTES];
	struct subject *s;

	/* The account's id is the first column of all these tables. */
	CHECK(from->field[0] != NULL && from->length[0] == sizeof(id));
	memcpy(id, from->field[0], sizeof(id));
	s = subject_of(A, id, &r->at);
	if (s == NULL) {
		find_orphan(A, table, id);
		return 0;
	}
	audit_read_row(from, table, &row);
	if (table == TABLE_ENTRIES)
		audit_journal_entry(A, s, &row.entry);
	else if (table == TABLE_GRANTS)
		audit_rows_grant(A, s, &row.grant);
	else if (table == TABLE_HOLDS)
		audit_rows_hold(A, s, &row.hold);
	else if (table == TABLE_USAGES)
		audit_rows_usage(A, s, &row.usage);
	else if (table == TABLE_TRANSACTIONS)
		audit_rows_transaction(A, s, &row.transaction);
	else
		take_request(A, s, &row.request, from);
	return 0;
}

/* ---- statements ------------------------------------------------------------------------------ */

/* The condition on the accounts of a range; column is a literal. */
#define add_range(sql, range, column) \
	do { \
		if ((range)->only) { \
			sql_literal((sql), column " = "); \
			sql_bytes((sql), (range)->low, ID_KEY_BYTES); \
		} else { \
			sql_literal((sql), column " >= ''"); \
			if (!(range)->first) { \
				sql_literal((sql), " AND " column " > "); \
				sql_bytes((sql), (range)->low, ID_KEY_BYTES); \
			} \
			if (!(range)->last) { \
				sql_literal((sql), " AND " column " <= "); \
				sql_bytes((sql), (range)->high, ID_KEY_BYTES); \
			} \
		} \
	} while (0)

static void add_rows(struct buf *sql, enum table_id id, const struct range *range)
{
	table_sql_select(sql, id);
	add_range(sql, range, "account_id");
	sql_literal(sql, " ORDER BY account_id, seq;");
}

/* Requests with the amounts of the transaction and of the usage that they may name. */
static void add_requests(struct buf *sql, const struct range *range)
{
	audit_select(sql, TABLE_REQUESTS);
	sql_literal(sql, "t.amount_micros, u.cost_micros FROM requests r FORCE INDEX (PRIMARY)"
	                 " LEFT JOIN transactions t ON r.command = ");
	sql_int(sql, COMMAND_TRANSACTION);
	sql_literal(sql, " AND t.account_id = r.account_id AND t.seq = r.seq"
	                 " LEFT JOIN usages u ON r.command = ");
	sql_int(sql, COMMAND_CHARGE);
	sql_literal(sql, " AND u.account_id = r.account_id AND u.seq = r.seq WHERE ");
	add_range(sql, range, "r.account_id");
	sql_literal(sql, " ORDER BY r.account_id, r.request_key");
}

/* ---- a chunk of accounts --------------------------------------------------------------------- */

static int take_account(void *context, const struct db_row *from)
{
	struct audit *A = context;
	struct subject *s = &A->subjects[A->count++];
	union audit_row row;

	audit_read_row(from, TABLE_ACCOUNTS, &row);
	memset(s, 0, sizeof(*s));
	s->row = row.account;
	(void)snprintf(s->name, sizeof(s->name), "%s", row.account.external_id);
	s->row.external_id = s->name;
	s->due_us = INT64_MAX;
	s->holds_due_us = INT64_MAX;
	A->report->accounts++;
	audit_rows_account(A, s);
	audit_rows_packed_holds(A, s);
	return 0;
}

/* Loads the next accounts of the range, and sets its high and last from them. */
static int load_accounts(struct audit *A, struct range *range)
{
	struct buf sql;
	int64_t count;

	range->last = true;
	A->count = 0;
	buf_init(&sql, SQL_MAX);
	table_sql_select(&sql, TABLE_ACCOUNTS);
	add_range(&sql, range, "id");
	sql_literal(&sql, " ORDER BY id LIMIT ");
	sql_int(&sql, AUDIT_CHUNK);
	count = db_read(A->db, &sql, take_account, A);
	buf_free(&sql);
	if (count < 0)
		return -1;
	if (!range->only && A->count == AUDIT_CHUNK) {
		range->last = false;
		memcpy(range->high, A->subjects[A->count - 1].row.id, ID_KEY_BYTES);
	}
	return 0;
}

/* Reads the current result to its end. */
static int take_table(struct audit *A, enum table_id table)
{
	struct reading r = {.audit = A, .table = table};
	const int64_t count = db_each(A->db, take_row, &r);

	if (table == TABLE_ENTRIES)
		for (int i = 0; i < A->count; i++)
			audit_journal_end(A, &A->subjects[i]);
	return count < 0 ? -1 : 0;
}

static int stream(struct audit *A, const struct range *range)
{
	struct buf sql;
	bool more = true;
	int result = -1;

	buf_init(&sql, SQL_MAX);
	for (int i = 0; i < STREAMED - 1; i++)
		add_rows(&sql, streamed[i], range);
	add_requests(&sql, range);
	if (db_query_stream(A->db, &sql) != DB_OK)
		goto done;
	for (int i = 0; i < STREAMED; i++) {
		CHECK(more);
		if (take_table(A, streamed[i]) != 0 || db_next(A->db, &more) != DB_OK)
			goto done;
	}
	result = 0;
done:
	buf_free(&sql);
	return db_finish(A->db) == DB_OK ? result : -1;
}

/* Adds the account's chain head to the digest of all chain heads so far. */
static void add_head(struct audit_report *r, const struct subject *s)
{
	const struct digest_piece pieces[] = {
		{r->head, sizeof(r->head)},
		{s->row.id, sizeof(s->row.id)},
		{s->row.chain_head, sizeof(s->row.chain_head)},
	};
	unsigned char head[DIGEST_BYTES];

	digest_sha256_pieces(pieces, sizeof(pieces) / sizeof(pieces[0]), head);
	memcpy(r->head, head, sizeof(r->head));
}

static int finish_chunk(struct audit *A)
{
	for (int i = 0; i < A->count; i++) {
		struct subject *s = &A->subjects[i];

		audit_rows_end(A, s);
		add_head(A->report, s);
		if (A->heads != NULL)
			audit_heads_add(A->heads, &s->row);
		if (audit_explain(A, s) != 0)
			return -1;
	}
	return 0;
}

/* ---- the run --------------------------------------------------------------------------------- */

/* Begins one snapshot for the whole audit, and reads its time and its book. */
static int begin_snapshot(struct audit *A)
{
	struct buf sql;
	int result = -1;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;"
	                  "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
	if (db_change(A->db, &sql) >= 0) {
		buf_reset(&sql);
		sql_literal(&sql, "SELECT " SQL_NOW_US);
		result = db_read_int(A->db, &sql, &A->now_us);
	}
	buf_free(&sql);
	if (result != 0)
		return -1;
	A->book = book_load(A->db);
	return A->book != NULL ? 0 : -1;
}

static int run_chunks(struct audit *A, struct range *range)
{
	for (;;) {
		if (load_accounts(A, range) != 0 || stream(A, range) != 0 || finish_chunk(A) != 0)
			return -1;
		if (range->last || range->only)
			return 0;
		range->first = false;
		memcpy(range->low, range->high, sizeof(range->low));
	}
}

/* Makes the checks that are made once, after the accounts. */
static int finish_run(struct audit *A, const struct audit_request *q, const struct account_key *only)
{
	if (audit_orders(A, only) != 0 || audit_workspaces(A, only) != 0 || audit_recharges(A, only) != 0)
		return -1;
	if (A->heads != NULL)
		audit_heads_end(A->heads);
	if (q->against != NULL)
		A->report->compared = audit_heads_compare(A, q->against);
	return A->report->compared < 0 ? -1 : 0;
}

int audit_run(struct db *d, const struct audit_request *q, void (*found)(void *context, const struct audit_finding *f),
              void *context, struct audit_report *r)
{
	const int64_t start_us = clock_monotonic_us();
	struct range range = {.first = true, .only = q->account != NULL};
	struct account_key key = {{0}};
	struct audit *A = memory_part("audit", sizeof(*A));
	struct audit_heads heads;
	int result = -1;

	memset(r, 0, sizeof(*r));
	if (A == NULL)
		return -1;
	*A = (struct audit){.db = d, .report = r, .found = found, .context = context};
	if (q->account != NULL) {
		key = id_account_key(q->account, strlen(q->account));
		memcpy(range.low, key.bytes, sizeof(range.low));
	}
	if (q->heads != NULL) {
		audit_heads_begin(&heads, q->heads);
		A->heads = &heads;
	}
	row_checksum_draw(&A->key);
	if (begin_snapshot(A) == 0)
		result = run_chunks(A, &range);
	if (result == 0)
		result = finish_run(A, q, q->account != NULL ? &key : NULL);
	db_rollback(d);
	book_release(A->book);
	free(A);
	r->duration_us = clock_monotonic_us() - start_us;
	return result;
}
