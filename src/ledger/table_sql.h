/*
 * table_sql: the statements of a table, written from its columns.
 */
#ifndef OCTROI_LEDGER_TABLE_SQL_H
#define OCTROI_LEDGER_TABLE_SQL_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "db/db.h"
#include "ledger/table.h"

/* "SELECT <columns> FROM <table> FORCE INDEX (PRIMARY) WHERE " */
void table_sql_select(struct buf *sql, enum table_id id);

/* Fills row, which is clear, from a result whose first columns are the table's; texts are copied into
 * the arena.  False when memory is short. */
bool table_sql_read(enum table_id id, const struct db_row *from, struct row *row, struct arena *arena);

/* The statements, each ended by ';', that bring the database to what the changed rows (linked by
 * row.written) say.  Nothing when there are none. */
void table_sql_write(struct buf *sql, enum table_id id, const struct row *changed);

#endif
