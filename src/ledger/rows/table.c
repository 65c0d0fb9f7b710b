#include "ledger/rows/table.h"

#include <string.h>

#include "base/check.h"
#include "base/id.h"

#define COLUMN_OF_INT(name, role) {#name, COLUMN_INT, COLUMN_##role, offsetof(__typeof__(*row), name), sizeof(int64_t)},
#define COLUMN_OF_TEXT(name, role) {#name, COLUMN_TEXT, COLUMN_##role, offsetof(__typeof__(*row), name), 0},
#define COLUMN_OF_BYTES(name, size, role) \
	{#name, COLUMN_BYTES, COLUMN_##role, offsetof(__typeof__(*row), name), (size)},
/* The list begins with a comma, which column_list leaves out. */
#define NAME_OF_INT(name, role) "," #name
#define NAME_OF_TEXT(name, role) "," #name
#define NAME_OF_BYTES(name, size, role) "," #name
#define SELDOM_OF_INT(name, role) || COLUMN_##role == COLUMN_SELDOM
#define SELDOM_OF_TEXT(name, role) || COLUMN_##role == COLUMN_SELDOM
#define SELDOM_OF_BYTES(name, size, role) || COLUMN_##role == COLUMN_SELDOM

#define TABLE(NAME, name, load) \
	static const struct table *describe_##name(void) \
	{ \
		static const struct name##_row *const row = NULL; \
		_Static_assert(offsetof(struct name##_row, row) == 0, "a row is cast to its struct"); \
		static const struct column columns[] = { \
			NAME##_COLUMNS(COLUMN_OF_INT, COLUMN_OF_TEXT, COLUMN_OF_BYTES)}; \
		static const char list[] = NAME##_COLUMNS(NAME_OF_INT, NAME_OF_TEXT, NAME_OF_BYTES); \
		static const struct table described = { \
			#name, \
			columns, \
			LOAD_##load, \
			(int)(sizeof(columns) / sizeof(columns[0])), \
			sizeof(*row), \
			list + 1, \
			false NAME##_COLUMNS(SELDOM_OF_INT, SELDOM_OF_TEXT, SELDOM_OF_BYTES)}; \
\
		(void)row; \
		return &described; \
	}
#include "ledger/rows/tables.def"
#undef TABLE

static const struct table *(*const describe[TABLE_COUNT])(void) = {
#define TABLE(NAME, name, load) [TABLE_##NAME] = describe_##name,
#include "ledger/rows/tables.def"
#undef TABLE
};

const struct table *table_of(enum table_id id)
{
	CHECK((unsigned)id < TABLE_COUNT);
	return describe[id]();
}

const struct column *table_key(enum table_id id)
{
	const struct table *t = table_of(id);
	const int at = t->load == LOAD_GLOBAL ? 0 : 1;

	/* The first column is the account's key, or that of a global row. */
	CHECK(t->columns[0].role == COLUMN_KEY && t->columns[0].size == ID_KEY_BYTES);
	return at < t->column_count && t->columns[at].role == COLUMN_KEY ? &t->columns[at] : NULL;
}

void table_row_clear(struct row *row, enum table_id id)
{
	const struct table *t = table_of(id);

	memset(row, 0, t->row_size);
	row->table = id;
	for (int i = 0; i < t->column_count; i++) {
		const struct column *c = &t->columns[i];

		if (c->type == COLUMN_TEXT)
			*(const char **)(void *)((char *)row + c->offset) = "";
	}
}
