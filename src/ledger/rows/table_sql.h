/*
 * table_sql: the statements of a table, written from its columns.
 */
#ifndef OCTROI_LEDGER_ROWS_TABLE_SQL_H
#define OCTROI_LEDGER_ROWS_TABLE_SQL_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "db/db.h"
#include "ledger/rows/table.h"

/* "SELECT <columns> FROM <table> FORCE INDEX (PRIMARY) WHERE " */
void table_sql_select(struct buf *sql, enum table_id id);

/* Fills row, which is clear, from a result whose first columns are the table's; texts are copied into
 * the arena.  False when memory is short. */
bool table_sql_read(enum table_id id, const struct db_row *from, struct row *row, struct arena *arena);

/* The statements, each ended by ';', that bring the database to what those of the changed rows (linked by
 * row.written) say that have this change.  Nothing when there are none. */
void table_sql_write(struct buf *sql, enum table_id id, enum row_change change, const struct row *changed);

/* The same for any number of rows at once (db_bulk): the number of the statement, what writes it, and its parameters'
 * values for the rows with this change, of which there are count, in the arena.  *parameters is how many; NULL when
 * memory is short. */
int table_sql_number(enum table_id id, enum row_change change);
void table_sql_statement(struct buf *sql, int number);
struct db_values *table_sql_values(enum table_id id, enum row_change change, const struct row *changed, int count,
                                   struct arena *arena, int *parameters);

#endif
