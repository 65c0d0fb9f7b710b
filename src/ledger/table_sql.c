#include "ledger/table_sql.h"

#include <string.h>

#include "base/check.h"
#include "db/sql.h"

void table_sql_select(struct buf *sql, enum table_id id)
{
	const struct table *t = table_of(id);

	sql_literal(sql, "SELECT ");
	buf_add_text(sql, t->column_list);
	sql_literal(sql, " FROM ");
	buf_add_text(sql, t->name);
	sql_literal(sql, " FORCE INDEX (PRIMARY) WHERE ");
}

bool table_sql_read(enum table_id id, const struct db_row *from, struct row *row,
                    struct arena *arena)
{
	const struct table *t = table_of(id);

	CHECK(from->count >= (unsigned)t->column_count);
	for (unsigned i = 0; i < (unsigned)t->column_count; i++) {
		const struct column *c = &t->columns[i];
		void *field = (char *)row + c->offset;
		const char *text;

		switch (c->type) {
		case COLUMN_INT:
			*(int64_t *)field = db_int(from, i);
			break;
		case COLUMN_TEXT:
			text = from->length[i] == 0
			               ? ""
			               : arena_copy(arena, from->field[i], from->length[i]);
			if (text == NULL)
				return false;
			*(const char **)field = text;
			break;
		case COLUMN_BYTES:
			CHECK(from->length[i] == c->size);
			memcpy(field, from->field[i], c->size);
			break;
		}
	}
	return true;
}

static void write_value(struct buf *sql, const struct column *c, const struct row *row)
{
	const void *field = (const char *)row + c->offset;

	switch (c->type) {
	case COLUMN_INT:
		sql_int(sql, *(const int64_t *)field);
		break;
	case COLUMN_TEXT:
		sql_text(sql, *(const char *const *)field);
		break;
	case COLUMN_BYTES:
		sql_bytes(sql, field, c->size);
		break;
	}
}

/* Columns of a row that changed: the key, to find it, and what may vary. */
static bool wanted(const struct column *c, enum row_change change)
{
	return change == ROW_NEW || c->role == COLUMN_KEY ||
	       (change == ROW_CHANGED && c->role == COLUMN_VARYING);
}

static void write_row(struct buf *sql, const struct table *t, const struct row *row,
                      enum row_change change)
{
	char before = '(';

	for (int i = 0; i < t->column_count; i++) {
		if (!wanted(&t->columns[i], change))
			continue;
		buf_add_char(sql, before);
		write_value(sql, &t->columns[i], row);
		before = ',';
	}
	buf_add_char(sql, ')');
}

static void write_columns(struct buf *sql, const struct table *t, enum row_change change)
{
	char before = '(';

	for (int i = 0; i < t->column_count; i++) {
		if (!wanted(&t->columns[i], change))
			continue;
		buf_add_char(sql, before);
		buf_add_text(sql, t->columns[i].name);
		before = ',';
	}
	buf_add_char(sql, ')');
}

/* The rows are there and locked, so that every INSERT becomes an UPDATE; on a primary key that takes no
 * gap lock. */
static void write_update(struct buf *sql, const struct table *t)
{
	const char *before = " ON DUPLICATE KEY UPDATE ";

	for (int i = 0; i < t->column_count; i++) {
		if (t->columns[i].role != COLUMN_VARYING)
			continue;
		buf_add_text(sql, before);
		buf_add_text(sql, t->columns[i].name);
		sql_literal(sql, "=VALUES(");
		buf_add_text(sql, t->columns[i].name);
		buf_add_char(sql, ')');
		before = ",";
	}
}

static void open_statement(struct buf *sql, const struct table *t, enum row_change change)
{
	if (change == ROW_ENDED)
		sql_literal(sql, "DELETE FROM ");
	else
		sql_literal(sql, "INSERT INTO ");
	buf_add_text(sql, t->name);
	if (change == ROW_ENDED)
		sql_literal(sql, " WHERE ");
	write_columns(sql, t, change);
	if (change == ROW_ENDED)
		sql_literal(sql, " IN (");
	else
		sql_literal(sql, " VALUES ");
}

static void close_statement(struct buf *sql, const struct table *t, enum row_change change)
{
	if (change == ROW_ENDED)
		buf_add_char(sql, ')');
	if (change == ROW_CHANGED)
		write_update(sql, t);
	buf_add_char(sql, ';');
}

void table_sql_write(struct buf *sql, enum table_id id, const struct row *changed)
{
	static const enum row_change changes[] = {ROW_NEW, ROW_CHANGED, ROW_ENDED};
	const struct table *t = table_of(id);

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		bool any = false;

		for (const struct row *row = changed; row != NULL; row = row->written) {
			if (row->change != changes[i])
				continue;
			if (any)
				buf_add_char(sql, ',');
			else
				open_statement(sql, t, changes[i]);
			any = true;
			write_row(sql, t, row, changes[i]);
		}
		if (any)
			close_statement(sql, t, changes[i]);
	}
}
