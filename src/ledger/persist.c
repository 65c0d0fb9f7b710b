/*
 * persist: last of the three steps.  One round trip writes the batch's marker, every changed row and the
 * COMMIT, so that a lost connection leaves exactly one question, which the marker answers.
 */
#include "ledger/batch.h"

#include "db/sql.h"
#include "ledger/table_sql.h"

static void add_marker(struct batch *b)
{
	sql_literal(&b->sql, "INSERT INTO batches (id) VALUES (");
	sql_bytes(&b->sql, b->id, sizeof(b->id));
	sql_literal(&b->sql, ");");
}

enum db_result persist(struct batch *b, struct db *d)
{
	enum db_result result;

	buf_reset(&b->sql);
	if (!rows_any_changed(b->rows)) {
		sql_literal(&b->sql, "ROLLBACK");
	} else {
		if (!b->unknown)
			add_marker(b);
		for (int t = 0; t < TABLE_COUNT; t++)
			table_sql_write(&b->sql, (enum table_id)t,
			                rows_changed(b->rows, (enum table_id)t));
		sql_literal(&b->sql, "COMMIT");
	}
	if (!buf_ok(&b->sql))
		return DB_FAULT;
	result = db_query(d, &b->sql);
	return result == DB_OK ? db_finish(d) : result;
}
