/*
 * table: the shape of the ledger's tables, made from tables.def and columns.def.  Each table has a struct for its rows
 * and a description of its columns, from which statements are written.  Pure data.
 */
#ifndef OCTROI_LEDGER_ROWS_TABLE_H
#define OCTROI_LEDGER_ROWS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/rows/columns.def"

enum table_id {
#define TABLE(NAME, name, load) TABLE_##NAME,
#include "ledger/rows/tables.def"
#undef TABLE
	TABLE_COUNT
};

/* The action that persist has to take on a row. */
enum row_change {
	ROW_CLEAN,   /* as in the database */
	ROW_CHANGED, /* to be updated */
	ROW_NEW,     /* to be inserted */
	ROW_ENDED,   /* to be deleted */
	ROW_DROPPED, /* made and ended within one batch: never written */
	ROW_COPIED   /* written with the account's row: current_grant.h, packed_holds.h */
};

struct row {
	enum row_change change;
	enum table_id table;
	struct row *next;       /* of the same table and account */
	struct row *written;    /* next in the batch's list of changed rows */
	const struct row *read; /* a copy, as the row was read; only of tables with SELDOM columns */
};

#define ROW_INT(name, role) int64_t name;
#define ROW_TEXT(name, role) const char *name; /* never NULL; lives as long as the batch */
#define ROW_BYTES(name, size, role) unsigned char name[size];
#define TABLE(NAME, name, load) \
	struct name##_row { \
		struct row row; \
		NAME##_COLUMNS(ROW_INT, ROW_TEXT, ROW_BYTES) \
	};
#include "ledger/rows/tables.def"
#undef TABLE
#undef ROW_INT
#undef ROW_TEXT
#undef ROW_BYTES

enum column_type { COLUMN_INT, COLUMN_TEXT, COLUMN_BYTES };
enum column_role { COLUMN_KEY, COLUMN_FIXED, COLUMN_VARYING, COLUMN_SELDOM, COLUMN_RARE_FIXED, COLUMN_RARE_VARYING };

struct column {
	const char *name;
	enum column_type type;
	enum column_role role;
	size_t offset, size; /* in the row; size of COLUMN_BYTES */
};

/* The ways in which prefetch finds rows: tables.def. */
enum table_load { LOAD_LOCKED, LOAD_NAMED, LOAD_LATER, LOAD_ACCOUNT, LOAD_NEVER, LOAD_GLOBAL };

struct table {
	const char *name;
	const struct column *columns;
	enum table_load load;
	int column_count;
	size_t row_size;
	const char *column_list; /* "id,external_id,…" in the order of columns */
	bool has_seldom;         /* a column of that role */
};

const struct table *table_of(enum table_id id);

/* The column that tells an account's rows apart, or names a global row; NULL: one row per account. */
const struct column *table_key(enum table_id id);

/* Makes each text field "", and all others zeros. */
void table_row_clear(struct row *row, enum table_id id);

#endif
