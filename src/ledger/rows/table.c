#include "ledger/rows/table.h"

#include <string.h>

#define INT(name, role) {#name, COLUMN_INT, COLUMN_##role, offsetof(struct ROW_STRUCT, name), sizeof(int64_t)},
#define TEXT(name, role) {#name, COLUMN_TEXT, COLUMN_##role, offsetof(struct ROW_STRUCT, name), 0},
#define BYTES(name, size, role) {#name, COLUMN_BYTES, COLUMN_##role, offsetof(struct ROW_STRUCT, name), (size)},

static const struct column accounts_columns[] = {
#define ROW_STRUCT accounts_row
#include "ledger/rows/tables/accounts.def"
#undef ROW_STRUCT
};
static const struct column profiles_columns[] = {
#define ROW_STRUCT profiles_row
#include "ledger/rows/tables/profiles.def"
#undef ROW_STRUCT
};
static const struct column members_columns[] = {
#define ROW_STRUCT members_row
#include "ledger/rows/tables/members.def"
#undef ROW_STRUCT
};
static const struct column grants_columns[] = {
#define ROW_STRUCT grants_row
#include "ledger/rows/tables/grants.def"
#undef ROW_STRUCT
};
static const struct column holds_columns[] = {
#define ROW_STRUCT holds_row
#include "ledger/rows/tables/holds.def"
#undef ROW_STRUCT
};
static const struct column usages_columns[] = {
#define ROW_STRUCT usages_row
#include "ledger/rows/tables/usages.def"
#undef ROW_STRUCT
};
static const struct column captures_columns[] = {
#define ROW_STRUCT captures_row
#include "ledger/rows/tables/captures.def"
#undef ROW_STRUCT
};
static const struct column requests_columns[] = {
#define ROW_STRUCT requests_row
#include "ledger/rows/tables/requests.def"
#undef ROW_STRUCT
};
static const struct column transactions_columns[] = {
#define ROW_STRUCT transactions_row
#include "ledger/rows/tables/transactions.def"
#undef ROW_STRUCT
};
static const struct column entries_columns[] = {
#define ROW_STRUCT entries_row
#include "ledger/rows/tables/entries.def"
#undef ROW_STRUCT
};
static const struct column billing_columns[] = {
#define ROW_STRUCT billing_row
#include "ledger/rows/tables/billing.def"
#undef ROW_STRUCT
};
static const struct column topups_columns[] = {
#define ROW_STRUCT topups_row
#include "ledger/rows/tables/topups.def"
#undef ROW_STRUCT
};
static const struct column payments_columns[] = {
#define ROW_STRUCT payments_row
#include "ledger/rows/tables/payments.def"
#undef ROW_STRUCT
};
static const struct column refunds_columns[] = {
#define ROW_STRUCT refunds_row
#include "ledger/rows/tables/refunds.def"
#undef ROW_STRUCT
};
static const struct column disputes_columns[] = {
#define ROW_STRUCT disputes_row
#include "ledger/rows/tables/disputes.def"
#undef ROW_STRUCT
};
static const struct column subscriptions_columns[] = {
#define ROW_STRUCT subscriptions_row
#include "ledger/rows/tables/subscriptions.def"
#undef ROW_STRUCT
};
static const struct column webhook_events_columns[] = {
#define ROW_STRUCT webhook_events_row
#include "ledger/rows/tables/webhook_events.def"
#undef ROW_STRUCT
};
static const struct column signups_columns[] = {
#define ROW_STRUCT signups_row
#include "ledger/rows/tables/signups.def"
#undef ROW_STRUCT
};
static const struct column redemptions_columns[] = {
#define ROW_STRUCT redemptions_row
#include "ledger/rows/tables/redemptions.def"
#undef ROW_STRUCT
};
static const struct column campaigns_columns[] = {
#define ROW_STRUCT campaigns_row
#include "ledger/rows/tables/campaigns.def"
#undef ROW_STRUCT
};
static const struct column claims_columns[] = {
#define ROW_STRUCT claims_row
#include "ledger/rows/tables/claims.def"
#undef ROW_STRUCT
};
static const struct column codes_columns[] = {
#define ROW_STRUCT codes_row
#include "ledger/rows/tables/codes.def"
#undef ROW_STRUCT
};
static const struct column workspaces_columns[] = {
#define ROW_STRUCT workspaces_row
#include "ledger/rows/tables/workspaces.def"
#undef ROW_STRUCT
};
static const struct column paid_periods_columns[] = {
#define ROW_STRUCT paid_periods_row
#include "ledger/rows/tables/paid_periods.def"
#undef ROW_STRUCT
};
static const struct column allowances_columns[] = {
#define ROW_STRUCT allowances_row
#include "ledger/rows/tables/allowances.def"
#undef ROW_STRUCT
};
static const struct column statements_columns[] = {
#define ROW_STRUCT statements_row
#include "ledger/rows/tables/statements.def"
#undef ROW_STRUCT
};
static const struct column outbox_columns[] = {
#define ROW_STRUCT outbox_row
#include "ledger/rows/tables/outbox.def"
#undef ROW_STRUCT
};
#undef INT
#undef TEXT
#undef BYTES

/* The column lists begin with a comma, which table_of's users never see. */
#define INT(name, role) "," #name
#define TEXT(name, role) "," #name
#define BYTES(name, size, role) "," #name
static const char accounts_list[] =
#include "ledger/rows/tables/accounts.def"
	;
static const char profiles_list[] =
#include "ledger/rows/tables/profiles.def"
	;
static const char members_list[] =
#include "ledger/rows/tables/members.def"
	;
static const char grants_list[] =
#include "ledger/rows/tables/grants.def"
	;
static const char holds_list[] =
#include "ledger/rows/tables/holds.def"
	;
static const char usages_list[] =
#include "ledger/rows/tables/usages.def"
	;
static const char captures_list[] =
#include "ledger/rows/tables/captures.def"
	;
static const char requests_list[] =
#include "ledger/rows/tables/requests.def"
	;
static const char transactions_list[] =
#include "ledger/rows/tables/transactions.def"
	;
static const char entries_list[] =
#include "ledger/rows/tables/entries.def"
	;
static const char billing_list[] =
#include "ledger/rows/tables/billing.def"
	;
static const char topups_list[] =
#include "ledger/rows/tables/topups.def"
	;
static const char payments_list[] =
#include "ledger/rows/tables/payments.def"
	;
static const char refunds_list[] =
#include "ledger/rows/tables/refunds.def"
	;
static const char disputes_list[] =
#include "ledger/rows/tables/disputes.def"
	;
static const char subscriptions_list[] =
#include "ledger/rows/tables/subscriptions.def"
	;
static const char webhook_events_list[] =
#include "ledger/rows/tables/webhook_events.def"
	;
static const char signups_list[] =
#include "ledger/rows/tables/signups.def"
	;
static const char redemptions_list[] =
#include "ledger/rows/tables/redemptions.def"
	;
static const char campaigns_list[] =
#include "ledger/rows/tables/campaigns.def"
	;
static const char claims_list[] =
#include "ledger/rows/tables/claims.def"
	;
static const char codes_list[] =
#include "ledger/rows/tables/codes.def"
	;
static const char workspaces_list[] =
#include "ledger/rows/tables/workspaces.def"
	;
static const char paid_periods_list[] =
#include "ledger/rows/tables/paid_periods.def"
	;
static const char allowances_list[] =
#include "ledger/rows/tables/allowances.def"
	;
static const char statements_list[] =
#include "ledger/rows/tables/statements.def"
	;
static const char outbox_list[] =
#include "ledger/rows/tables/outbox.def"
	;
#undef INT
#undef TEXT
#undef BYTES

static const struct table tables[TABLE_COUNT] = {
#define TABLE(NAME, name, load)                                                                        \
	[TABLE_##NAME] = {#name, name##_columns, LOAD_##load,                                                    \
	                  (int)(sizeof(name##_columns) / sizeof(name##_columns[0])),                   \
	                  sizeof(struct name##_row), name##_list + 1},
#include "ledger/rows/tables/tables.def"
#undef TABLE
};

const struct table *table_of(enum table_id id)
{
	return &tables[id];
}

const struct column *table_key(enum table_id id)
{
	const struct table *t = &tables[id];
	const int at = t->load == LOAD_GLOBAL ? 0 : 1;

	return at < t->column_count && t->columns[at].role == COLUMN_KEY ? &t->columns[at] : NULL;
}

void table_row_clear(struct row *row, enum table_id id)
{
	const struct table *t = &tables[id];

	memset(row, 0, t->row_size);
	row->table = id;
	for (int i = 0; i < t->column_count; i++) {
		const struct column *c = &t->columns[i];

		if (c->type == COLUMN_TEXT)
			*(const char **)(void *)((char *)row + c->offset) = "";
	}
}
