#include "ledger/rows/table.h"

#include <string.h>

#include "base/check.h"
#include "base/id.h"

#define COLUMN_OF_INT(name, role) {#name, COLUMN_INT, COLUMN_##role, offsetof(__typeof__(*row), name), sizeof(int64_t)},
#define COLUMN_OF_TEXT(name, role) {#name, COLUMN_TEXT, COLUMN_##role, offsetof(__typeof__(*row), name), 0},
#define COLUMN_OF_BYTES(name, size, role) \
	{#name, COLUMN_BYTES, COLUMN_##role, offsetof(__typeof__(*row), name), (size)},
/* The lists begin with a comma, which those of struct table leave out. */
#define NAME_OF_INT(name, role) "," #name
#define NAME_OF_TEXT(name, role) "," #name
#define NAME_OF_BYTES(name, size, role) "," #name
#define UPDATE_KEY(name) ""
#define UPDATE_FIXED(name) ""
#define UPDATE_RARE_FIXED(name) ""
#define UPDATE_VARYING(name) "," #name "=VALUES(" #name ")"
#define UPDATE_SELDOM(name) UPDATE_VARYING(name)
#define UPDATE_RARE_VARYING(name) UPDATE_VARYING(name)
#define UPDATE_OF_INT(name, role) UPDATE_##role(name)
#define UPDATE_OF_TEXT(name, role) UPDATE_##role(name)
#define UPDATE_OF_BYTES(name, size, role) UPDATE_##role(name)
#define USUAL_KEY(name) ""
#define USUAL_FIXED(name) ""
#define USUAL_RARE_FIXED(name) ""
#define USUAL_VARYING(name) UPDATE_VARYING(name)
#define USUAL_SELDOM(name) ""
#define USUAL_RARE_VARYING(name) UPDATE_VARYING(name)
#define USUAL_OF_INT(name, role) USUAL_##role(name)
#define USUAL_OF_TEXT(name, role) USUAL_##role(name)
#define USUAL_OF_BYTES(name, size, role) USUAL_##role(name)

#define TABLE(NAME, name, load) \
	static const struct table *describe_##name(void) \
	{ \
		static const struct name##_row *const row = NULL; \
		_Static_assert(offsetof(struct name##_row, row) == 0, "a row is cast to its struct"); \
		static const struct column columns[] = { \
			NAME##_COLUMNS(COLUMN_OF_INT, COLUMN_OF_TEXT, COLUMN_OF_BYTES)}; \
		static const char list[] = NAME##_COLUMNS(NAME_OF_INT, NAME_OF_TEXT, NAME_OF_BYTES); \
		static const char updates[] = NAME##_COLUMNS(UPDATE_OF_INT, UPDATE_OF_TEXT, UPDATE_OF_BYTES); \
		static const char usual[] = NAME##_COLUMNS(USUAL_OF_INT, USUAL_OF_TEXT, USUAL_OF_BYTES); \
		static const struct table described = {#name, \
		                                       columns, \
		                                       LOAD_##load, \
		                                       (int)(sizeof(columns) / sizeof(columns[0])), \
		                                       sizeof(*row), \
		                                       list + 1, \
		                                       updates + (sizeof(updates) > 1 ? 1 : 0), \
		                                       usual + (sizeof(usual) > 1 ? 1 : 0), \
		                                       sizeof(usual) != sizeof(updates)}; \
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
