/*
 * table: the shape of the ledger's tables, made from the files of tables/: a struct per row and a description
 * of its columns from which statements are written.  Pure data.
 */
#ifndef OCTROI_LEDGER_ROWS_TABLE_H
#define OCTROI_LEDGER_ROWS_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum table_id {
#define TABLE(NAME, name, load) TABLE_##NAME,
#include "ledger/rows/tables/tables.def"
#undef TABLE
	TABLE_COUNT
};

/* What persist has to do with a row. */
enum row_change {
	ROW_CLEAN,   /* as in the database */
	ROW_CHANGED, /* to be updated */
	ROW_NEW,     /* to be inserted */
	ROW_ENDED,   /* to be deleted */
	ROW_DROPPED  /* made and ended within one batch: never written */
};

struct row {
	enum row_change change;
	enum table_id table;
	struct row *next;    /* of the same table and account */
	struct row *written; /* next in the batch's list of changed rows */
};

#define INT(name, role) int64_t name;
#define TEXT(name, role) const char *name; /* never NULL; lives as long as the batch */
#define BYTES(name, size, role) unsigned char name[size];
struct accounts_row { struct row row;
#include "ledger/rows/tables/accounts.def"
};
struct profiles_row { struct row row;
#include "ledger/rows/tables/profiles.def"
};
struct members_row { struct row row;
#include "ledger/rows/tables/members.def"
};
struct grants_row { struct row row;
#include "ledger/rows/tables/grants.def"
};
struct holds_row { struct row row;
#include "ledger/rows/tables/holds.def"
};
struct usages_row { struct row row;
#include "ledger/rows/tables/usages.def"
};
struct captures_row { struct row row;
#include "ledger/rows/tables/captures.def"
};
struct requests_row { struct row row;
#include "ledger/rows/tables/requests.def"
};
struct transactions_row { struct row row;
#include "ledger/rows/tables/transactions.def"
};
struct entries_row { struct row row;
#include "ledger/rows/tables/entries.def"
};
struct billing_row { struct row row;
#include "ledger/rows/tables/billing.def"
};
struct topups_row { struct row row;
#include "ledger/rows/tables/topups.def"
};
struct payments_row { struct row row;
#include "ledger/rows/tables/payments.def"
};
struct refunds_row { struct row row;
#include "ledger/rows/tables/refunds.def"
};
struct disputes_row { struct row row;
#include "ledger/rows/tables/disputes.def"
};
struct subscriptions_row { struct row row;
#include "ledger/rows/tables/subscriptions.def"
};
struct webhook_events_row { struct row row;
#include "ledger/rows/tables/webhook_events.def"
};
struct signups_row { struct row row;
#include "ledger/rows/tables/signups.def"
};
struct redemptions_row { struct row row;
#include "ledger/rows/tables/redemptions.def"
};
struct campaigns_row { struct row row;
#include "ledger/rows/tables/campaigns.def"
};
struct claims_row { struct row row;
#include "ledger/rows/tables/claims.def"
};
struct codes_row { struct row row;
#include "ledger/rows/tables/codes.def"
};
struct workspaces_row { struct row row;
#include "ledger/rows/tables/workspaces.def"
};
struct paid_periods_row { struct row row;
#include "ledger/rows/tables/paid_periods.def"
};
struct allowances_row { struct row row;
#include "ledger/rows/tables/allowances.def"
};
struct statements_row { struct row row;
#include "ledger/rows/tables/statements.def"
};
struct outbox_row { struct row row;
#include "ledger/rows/tables/outbox.def"
};
#undef INT
#undef TEXT
#undef BYTES

enum column_type { COLUMN_INT, COLUMN_TEXT, COLUMN_BYTES };
enum column_role { COLUMN_KEY, COLUMN_FIXED, COLUMN_VARYING };

struct column {
	const char *name;
	enum column_type type;
	enum column_role role;
	size_t offset, size; /* in the row; size of COLUMN_BYTES */
};

/* How prefetch finds rows: tables.def. */
enum table_load { LOAD_LOCKED, LOAD_NAMED, LOAD_LATER, LOAD_ACCOUNT, LOAD_NEVER, LOAD_GLOBAL };

struct table {
	const char *name;
	const struct column *columns;
	enum table_load load;
	int column_count;
	size_t row_size;
	const char *column_list; /* "id,external_id,…" in the order of columns */
};

const struct table *table_of(enum table_id id);

/* The column that tells an account's rows apart, or names a global row; NULL: one row per account. */
const struct column *table_key(enum table_id id);

/* A text or bytes field starts as "" or zeros. */
void table_row_clear(struct row *row, enum table_id id);

#endif
