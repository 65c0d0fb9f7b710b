#include "ledger/persist.h"

#include <limits.h>

#include "base/check.h"
#include "db/sql.h"
#include "ledger/rows/current_grant.h"
#include "ledger/rows/packed_holds.h"
#include "ledger/rows/table_sql.h"

/* From so many rows on, a message of their own costs less than their text, if each message is waited for. */
#define BULK_MIN_WAITING 4
/* The statement behind those of the tables. */
#define MARKER_NUMBER (TABLE_COUNT * TABLE_SQL_FORMS)

static int count_rows(const struct row *changed, enum row_change change)
{
	int count = 0;

	for (const struct row *row = changed; row != NULL; row = row->written) {
		CHECK(row->change != ROW_CLEAN && row->table == changed->table);
		count += row->change == change ? 1 : 0;
	}
	return count;
}

static enum db_result write_bulk(struct batch *b, struct db *d, enum table_id table, enum row_change change, int count)
{
	const struct row *changed = rows_changed(b->rows, table);
	const enum table_sql_form form = table_sql_form(table, change, changed);
	int parameters;
	const struct db_values *values = table_sql_values(table, form, change, changed, count, b->arena, &parameters);

	CHECK(count > 0);
	if (values == NULL)
		return DB_FAULT;
	CHECK(parameters > 0 && parameters <= DB_PARAMETERS_MAX);
	return db_bulk(d, table_sql_number(table, form), table_sql_statement, values, parameters, count);
}

/* From so many rows of one table and one kind of change on, they are sent in bulk. */
static int bulk_min(const struct db *d)
{
	if (!db_bulk_possible(d))
		return INT_MAX;
	return db_manual_commit(d) ? 1 : BULK_MIN_WAITING;
}

static enum db_result write_table(struct batch *b, struct db *d, enum table_id table, int least)
{
	static const enum row_change changes[] = {ROW_NEW, ROW_CHANGED, ROW_ENDED};
	const struct row *changed = rows_changed(b->rows, table);
	enum db_result result = DB_OK;

	CHECK((unsigned)table < TABLE_COUNT);
	if (changed == NULL)
		return DB_OK;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]) && result == DB_OK; i++) {
		const int count = count_rows(changed, changes[i]);

		if (count == 0)
			continue;
		if (count >= least && table_of(table)->column_count <= DB_PARAMETERS_MAX)
			result = write_bulk(b, d, table, changes[i], count);
		else
			table_sql_write(&b->sql, table, changes[i], changed);
	}
	return result;
}

static void marker_statement(struct buf *sql, int number)
{
	CHECK(number == MARKER_NUMBER);
	sql_literal(sql, "INSERT INTO batches (id) VALUES (?)");
}

static enum db_result write_marker(struct batch *b, struct db *d, int least)
{
	const char *const ids[] = {(const char *)b->id};
	const unsigned long lengths[] = {sizeof(b->id)};
	const struct db_values values = {.type = DB_BYTES, .texts = ids, .lengths = lengths};

	_Static_assert(MARKER_NUMBER < DB_PREPARED_MAX, "a number for the marker");
	if (least <= 1)
		return db_bulk(d, MARKER_NUMBER, marker_statement, &values, 1, 1);
	batch_marker(b);
	return DB_OK;
}

/* Sends the bulk changes, and writes the last message to b->sql: the other changes and the COMMIT, or a ROLLBACK
 * when nothing changed and no marker was written. */
static enum db_result write_rows(struct batch *b, struct db *d)
{
	enum db_result result = DB_OK;

	CHECK(b->phase == BATCH_PERSIST);
	buf_reset(&b->sql);
	if (!rows_any_changed(b->rows) && b->unknown) {
		/* The marker must last: the transaction that it stands for may still be on its way in a cluster. */
		sql_literal(&b->sql, "COMMIT");
	} else if (!rows_any_changed(b->rows)) {
		sql_literal(&b->sql, "ROLLBACK");
	} else {
		const int least = bulk_min(d);

		if (!b->unknown)
			result = write_marker(b, d, least);
		for (int t = 0; t < TABLE_COUNT && result == DB_OK; t++)
			result = write_table(b, d, (enum table_id)t, least);
		sql_literal(&b->sql, "COMMIT");
	}
	if (result == DB_OK && !buf_ok(&b->sql))
		result = DB_FAULT;
	return result == DB_OK ? db_bulk_end(d) : result;
}

enum db_result persist(struct batch *b, struct db *d)
{
	enum db_result result;

	CHECK(b->phase == BATCH_ROWS && !rows_failed(b->rows));
	if (batch_is_late(b))
		return DB_RETRY;
	b->phase = BATCH_PERSIST;
	for (int i = 0; i < rows_slot_count(b->rows); i++) {
		current_grant_note(b->rows, rows_slot_at(b->rows, i));
		packed_holds_note(b->rows, rows_slot_at(b->rows, i));
	}
	if (rows_failed(b->rows))
		return DB_FAULT;
	result = write_rows(b, d);
	if (result == DB_OK && batch_is_late(b))
		result = DB_RETRY;
	if (result != DB_OK)
		return result;
	b->committing(b->context);
	result = db_query(d, &b->sql);
	return result == DB_OK ? db_finish(d) : result;
}
