#include "ledger/rows/table_sql.h"

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

bool table_sql_read(enum table_id id, const struct db_row *from, struct row *row, struct arena *arena)
{
	const struct table *t = table_of(id);

	CHECK(from->count >= (unsigned)t->column_count);
	CHECK(row->table == id && row->change == ROW_CLEAN);
	for (unsigned i = 0; i < (unsigned)t->column_count; i++) {
		const struct column *c = &t->columns[i];
		void *field = (char *)row + c->offset;
		const char *text;

		switch (c->type) {
		case COLUMN_INT:
			*(int64_t *)field = db_int(from, i);
			break;
		case COLUMN_TEXT:
			text = from->length[i] == 0 ? "" : arena_copy(arena, from->field[i], from->length[i]);
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

static void write_sql_value(struct buf *sql, const struct column *c, const struct row *row)
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

static bool is_rare(const struct column *c)
{
	return c->role == COLUMN_RARE_FIXED || c->role == COLUMN_RARE_VARYING;
}

static bool is_varying(const struct column *c)
{
	return c->role == COLUMN_VARYING || c->role == COLUMN_SELDOM || c->role == COLUMN_RARE_VARYING;
}

/* True if the column is written.  A new row has all columns, in brief those that are not rare.  A changed row has the
 * key, to find it, and the varying columns, usually without the seldom ones.  An ended row has the key. */
static bool wanted(const struct column *c, enum table_sql_form form)
{
	switch (form) {
	case TABLE_SQL_BRIEF:
		return !is_rare(c);
	case TABLE_SQL_INSERT:
		return true;
	case TABLE_SQL_USUAL:
		return c->role == COLUMN_KEY || (is_varying(c) && c->role != COLUMN_SELDOM);
	case TABLE_SQL_UPDATE:
		return c->role == COLUMN_KEY || is_varying(c);
	case TABLE_SQL_DELETE:
		return c->role == COLUMN_KEY;
	}
	UNREACHABLE("no such form of a statement");
}

static bool is_at_default(const struct row *row, const struct column *c)
{
	const void *field = (const char *)row + c->offset;

	CHECK(c->type != COLUMN_BYTES);
	return c->type == COLUMN_INT ? *(const int64_t *)field == 0 : (*(const char *const *)field)[0] == '\0';
}

static bool has_rare(const struct table *t)
{
	for (int i = 0; i < t->column_count; i++)
		if (is_rare(&t->columns[i]))
			return true;
	return false;
}

static bool is_as_read(const struct row *row, const struct column *c)
{
	CHECK(row->read != NULL && row->read->table == row->table);
	const char *field = (const char *)row + c->offset, *read = (const char *)row->read + c->offset;

	switch (c->type) {
	case COLUMN_INT:
		return *(const int64_t *)field == *(const int64_t *)read;
	case COLUMN_TEXT:
		return strcmp(*(const char *const *)field, *(const char *const *)read) == 0;
	case COLUMN_BYTES:
		return memcmp(field, read, c->size) == 0;
	}
	UNREACHABLE("every type is in the switch");
}

static enum table_sql_form form_of_update(const struct table *t, const struct row *changed)
{
	CHECK(changed == NULL || table_of(changed->table) == t);
	if (!t->has_seldom)
		return TABLE_SQL_UPDATE;
	for (const struct row *row = changed; row != NULL; row = row->written) {
		if (row->change != ROW_CHANGED)
			continue;
		for (int i = 0; i < t->column_count; i++)
			if (t->columns[i].role == COLUMN_SELDOM && !is_as_read(row, &t->columns[i]))
				return TABLE_SQL_UPDATE;
	}
	return TABLE_SQL_USUAL;
}

enum table_sql_form table_sql_form(enum table_id id, enum row_change change, const struct row *changed)
{
	const struct table *t = table_of(id);

	CHECK(change == ROW_NEW || change == ROW_CHANGED || change == ROW_ENDED);
	if (change == ROW_ENDED)
		return TABLE_SQL_DELETE;
	if (change == ROW_CHANGED)
		return form_of_update(t, changed);
	if (!has_rare(t))
		return TABLE_SQL_INSERT;
	for (const struct row *row = changed; row != NULL; row = row->written)
		for (int i = 0; row->change == ROW_NEW && i < t->column_count; i++)
			if (is_rare(&t->columns[i]) && !is_at_default(row, &t->columns[i]))
				return TABLE_SQL_INSERT;
	return TABLE_SQL_BRIEF;
}

static void write_row(struct buf *sql, const struct table *t, const struct row *row, enum table_sql_form form)
{
	char before = '(';

	for (int i = 0; i < t->column_count; i++) {
		if (!wanted(&t->columns[i], form))
			continue;
		buf_add_char(sql, before);
		write_sql_value(sql, &t->columns[i], row);
		before = ',';
	}
	CHECK(before == ',');
	buf_add_char(sql, ')');
}

static void write_columns(struct buf *sql, const struct table *t, enum table_sql_form form)
{
	char before = '(';

	for (int i = 0; i < t->column_count; i++) {
		if (!wanted(&t->columns[i], form))
			continue;
		buf_add_char(sql, before);
		buf_add_text(sql, t->columns[i].name);
		before = ',';
	}
	CHECK(before == ',');
	buf_add_char(sql, ')');
}

/* The rows exist and are locked, so that every INSERT becomes an UPDATE.  On a primary key that takes no
 * gap lock. */
static void write_update(struct buf *sql, const struct table *t, enum table_sql_form form)
{
	const char *before = " ON DUPLICATE KEY UPDATE ";

	for (int i = 0; i < t->column_count; i++) {
		if (!wanted(&t->columns[i], form) || t->columns[i].role == COLUMN_KEY)
			continue;
		buf_add_text(sql, before);
		buf_add_text(sql, t->columns[i].name);
		sql_literal(sql, "=VALUES(");
		buf_add_text(sql, t->columns[i].name);
		buf_add_char(sql, ')');
		before = ",";
	}
	/* Rows of a table without a varying column are never changed. */
	CHECK(before[0] == ',');
}

static bool is_update(enum table_sql_form form)
{
	CHECK((unsigned)form < TABLE_SQL_FORMS);
	return form == TABLE_SQL_USUAL || form == TABLE_SQL_UPDATE;
}

static void open_insert(struct buf *sql, const struct table *t, enum table_sql_form form)
{
	CHECK(form != TABLE_SQL_DELETE);
	sql_literal(sql, "INSERT INTO ");
	buf_add_text(sql, t->name);
	write_columns(sql, t, form);
	sql_literal(sql, " VALUES ");
}

/* "DELETE FROM holds WHERE account_id=… AND seq=…", for one row by its key; "?" for values where row is NULL.  With a
 * list of keys the database may prefer to read the whole table, and then waits for every lock on any row of it. */
static void write_delete(struct buf *sql, const struct table *t, const struct row *row)
{
	const char *before = " WHERE ";

	sql_literal(sql, "DELETE FROM ");
	buf_add_text(sql, t->name);
	for (int i = 0; i < t->column_count; i++) {
		if (!wanted(&t->columns[i], TABLE_SQL_DELETE))
			continue;
		buf_add_text(sql, before);
		buf_add_text(sql, t->columns[i].name);
		buf_add_char(sql, '=');
		if (row != NULL)
			write_sql_value(sql, &t->columns[i], row);
		else
			buf_add_char(sql, '?');
		before = " AND ";
	}
	/* A DELETE without a condition would take every row. */
	CHECK(strcmp(before, " AND ") == 0);
}

static void write_deletes(struct buf *sql, const struct table *t, const struct row *changed)
{
	for (const struct row *row = changed; row != NULL; row = row->written) {
		if (row->change != ROW_ENDED)
			continue;
		CHECK(table_of(row->table) == t);
		write_delete(sql, t, row);
		buf_add_char(sql, ';');
	}
}

static void write_inserts(struct buf *sql, const struct table *t, enum table_sql_form form, const struct row *changed)
{
	const enum row_change change = is_update(form) ? ROW_CHANGED : ROW_NEW;
	bool any = false;

	for (const struct row *row = changed; row != NULL; row = row->written) {
		if (row->change != change)
			continue;
		CHECK(table_of(row->table) == t);
		if (any)
			buf_add_char(sql, ',');
		else
			open_insert(sql, t, form);
		any = true;
		write_row(sql, t, row, form);
	}
	if (any && change == ROW_CHANGED)
		write_update(sql, t, form);
	if (any)
		buf_add_char(sql, ';');
}

void table_sql_write(struct buf *sql, enum table_id id, enum row_change change, const struct row *changed)
{
	CHECK(change == ROW_NEW || change == ROW_CHANGED || change == ROW_ENDED);
	if (change == ROW_ENDED)
		write_deletes(sql, table_of(id), changed);
	else
		write_inserts(sql, table_of(id), table_sql_form(id, change, changed), changed);
}

/* ---- many rows at once ---------------------------------------------------------------------------- */

int table_sql_number(enum table_id id, enum table_sql_form form)
{
	_Static_assert(TABLE_COUNT * TABLE_SQL_FORMS <= DB_PREPARED_MAX, "a number for each statement");
	CHECK((unsigned)id < TABLE_COUNT && (unsigned)form < TABLE_SQL_FORMS);
	return (int)id * TABLE_SQL_FORMS + (int)form;
}

void table_sql_statement(struct buf *sql, int number)
{
	const struct table *t = table_of((enum table_id)(number / TABLE_SQL_FORMS));
	const enum table_sql_form form = (enum table_sql_form)(number % TABLE_SQL_FORMS);
	char before = '(';

	CHECK(number >= 0 && number / TABLE_SQL_FORMS < TABLE_COUNT);
	if (form == TABLE_SQL_DELETE) {
		write_delete(sql, t, NULL);
		return;
	}
	open_insert(sql, t, form);
	for (int i = 0; i < t->column_count; i++) {
		if (!wanted(&t->columns[i], form))
			continue;
		buf_add_char(sql, before);
		buf_add_char(sql, '?');
		before = ',';
	}
	buf_add_char(sql, ')');
	if (is_update(form))
		write_update(sql, t, form);
}

static bool fill_ints(struct db_values *v, const struct column *c, enum row_change change, const struct row *row,
                      int count, struct arena *arena)
{
	int64_t *ints = arena_alloc(arena, (size_t)count * sizeof(*ints));

	CHECK(c->type == COLUMN_INT);
	if (ints == NULL)
		return false;
	v->type = DB_INT;
	v->ints = ints;
	for (; row != NULL; row = row->written) {
		if (row->change != change)
			continue;
		CHECK(ints < v->ints + count);
		*ints++ = *(const int64_t *)((const char *)row + c->offset);
	}
	/* A value for each row. */
	CHECK(ints == v->ints + count);
	return true;
}

static bool fill_texts(struct db_values *v, const struct column *c, enum row_change change, const struct row *row,
                       int count, struct arena *arena)
{
	const char **texts = arena_alloc(arena, (size_t)count * sizeof(*texts));
	unsigned long *lengths = arena_alloc(arena, (size_t)count * sizeof(*lengths));

	CHECK(c->type != COLUMN_INT);
	if (texts == NULL || lengths == NULL)
		return false;
	v->type = c->type == COLUMN_TEXT ? DB_TEXT : DB_BYTES;
	v->texts = texts;
	v->lengths = lengths;
	for (; row != NULL; row = row->written) {
		const char *field = (const char *)row + c->offset;

		if (row->change != change)
			continue;
		CHECK(texts < v->texts + count);
		*texts = c->type == COLUMN_TEXT ? *(const char *const *)field : field;
		*lengths++ = c->type == COLUMN_TEXT ? strlen(*texts) : c->size;
		texts++;
	}
	CHECK(texts == v->texts + count && lengths == v->lengths + count);
	return true;
}

struct db_values *table_sql_values(enum table_id id, enum table_sql_form form, enum row_change change,
                                   const struct row *changed, int count, struct arena *arena, int *parameters)
{
	const struct table *t = table_of(id);
	struct db_values *values = arena_alloc(arena, (size_t)t->column_count * sizeof(*values));
	bool filled = values != NULL;

	CHECK(count > 0);
	*parameters = 0;
	for (int i = 0; i < t->column_count && filled; i++) {
		const struct column *c = &t->columns[i];
		struct db_values *v = &values[*parameters];

		if (!wanted(c, form))
			continue;
		filled = c->type == COLUMN_INT ? fill_ints(v, c, change, changed, count, arena)
		                               : fill_texts(v, c, change, changed, count, arena);
		(*parameters)++;
	}
	CHECK(!filled || (*parameters > 0 && *parameters <= DB_PARAMETERS_MAX));
	return filled ? values : NULL;
}
