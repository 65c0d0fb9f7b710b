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

/* Fills row, which is clear, from a result whose first columns are the table's.  Texts are copied into
 * the arena.  False when memory is short. */
bool table_sql_read(enum table_id id, const struct db_row *from, struct row *row, struct arena *arena);

/* Adds the statements, each ended by ';', that write the rows with this change.  changed is the list of changed rows,
 * linked by row.written.  Adds nothing when no row has this change. */
void table_sql_write(struct buf *sql, enum table_id id, enum row_change change, const struct row *changed);

/* The forms of a statement.  BRIEF inserts without the rare columns, USUAL updates without the seldom ones. */
enum table_sql_form { TABLE_SQL_BRIEF, TABLE_SQL_INSERT, TABLE_SQL_USUAL, TABLE_SQL_UPDATE, TABLE_SQL_DELETE };
#define TABLE_SQL_FORMS (TABLE_SQL_DELETE + 1)
/* The form for the rows with this change: BRIEF if the rare columns of all of them are at their default, USUAL if the
 * seldom columns of all of them are as they were read. */
enum table_sql_form table_sql_form(enum table_id id, enum row_change change, const struct row *changed);

/* Writing of any number of rows at once (db_bulk).  table_sql_number: the number of the statement.  table_sql_statement
 * adds its text.  table_sql_values: the parameters' values, in the arena, for the rows with this change, of which there
 * are count.  *parameters is the number of parameters.  NULL when memory is short. */
int table_sql_number(enum table_id id, enum table_sql_form form);
void table_sql_statement(struct buf *sql, int number);
struct db_values *table_sql_values(enum table_id id, enum table_sql_form form, enum row_change change,
                                   const struct row *changed, int count, struct arena *arena, int *parameters);

#endif
