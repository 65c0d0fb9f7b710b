#include "ledger/persist.h"

#include "base/check.h"
#include "db/sql.h"
#include "ledger/rows/current_grant.h"
#include "ledger/rows/packed_holds.h"
#include "ledger/rows/table_sql.h"

/* From BULK_MIN rows on, a message of their own costs less than their text. */
#define BULK_MIN 4

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

	CHECK(count >= BULK_MIN);
	if (values == NULL)
		return DB_FAULT;
	CHECK(parameters > 0 && parameters <= DB_PARAMETERS_MAX);
	return db_bulk(d, table_sql_number(table, form), table_sql_statement, values, parameters, count);
}

static enum db_result write_table(struct batch *b, struct db *d, enum table_id table, bool bulk)
{
	static const enum row_change changes[] = {ROW_NEW, ROW_CHANGED, ROW_ENDED};
	const struct row *changed = rows_changed(b->rows, table);
	enum db_result result = DB_OK;

	CHECK((unsigned)table < TABLE_COUNT);
	if (changed == NULL)
		return DB_OK;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]) && result == DB_OK; i++) {
		const int count = count_rows(changed, changes[i]);

		if (bulk && count >= BULK_MIN && table_of(table)->column_count <= DB_PARAMETERS_MAX)
			result = write_bulk(b, d, table, changes[i], count);
		else
			table_sql_write(&b->sql, table, changes[i], changed);
	}
	return result;
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
		const bool bulk = db_bulk_possible(d);

		if (!b->unknown)
			batch_marker(b);
		for (int t = 0; t < TABLE_COUNT && result == DB_OK; t++)
			result = write_table(b, d, (enum table_id)t, bulk);
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
