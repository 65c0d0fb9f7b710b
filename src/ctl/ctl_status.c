#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "db/hosts.h"
#include "db/schema.h"
#include "db/sql.h"
#include "queries/graces.h"

static int take_counts(void *context, const struct db_row *row)
{
	struct listing *l = context;

	listing_int(l, "accounts", "accounts", db_int(row, 0));
	listing_int(l, "openHolds", "open holds", db_int(row, 1));
	listing_int(l, "dueAccounts", "accounts with something due", db_int(row, 2));
	listing_int(l, "keys", "API keys in force", db_int(row, 3));
	listing_int(l, "prices", "prices", db_int(row, 4));
	listing_int(l, "priceVersion", "price version", db_int(row, 5));
	listing_int(l, "batchMarkers", "batch markers", db_int(row, 6));
	listing_int(l, "epoch", "epoch", db_int(row, 7));
	listing_int(l, "epochServerId", "server of the epoch (0: any)", db_int(row, 8));
	listing_time(l, "epochTakenAt", "epoch since", db_int(row, 9));
	return CTL_OK;
}

static int put_counts(struct ctl *c, struct listing *l)
{
	struct buf sql;
	int result;

	buf_init(&sql, 2048);
	sql_literal(&sql, "SELECT (SELECT COUNT(*) FROM accounts), (SELECT COALESCE(SUM(open_holds), 0) FROM accounts),"
	                  " (SELECT COUNT(*) FROM accounts WHERE due_at_us <= " SQL_NOW_US
	                  " OR (open_holds > 0 AND holds_due_at_us <= " SQL_NOW_US ")),"
	                  " (SELECT COUNT(*) FROM api_keys WHERE revoked_at_us = 0),"
	                  " (SELECT COUNT(*) FROM prices), (SELECT COALESCE(MAX(id), 0) FROM price_versions),"
	                  " (SELECT COUNT(*) FROM batches), number, server_id, taken_at_us"
	                  " FROM epochs ORDER BY number DESC LIMIT 1");
	result = ctl_rows(c, &sql, take_counts, l);
	buf_free(&sql);
	return result;
}

static int put_graces(struct ctl *c, struct listing *l)
{
	struct graces_sums sums;

	if (graces_sum(ctl_db(c), &sums) < 0)
		return ctl_db_failed(c);
	listing_int(l, "graceAccounts", "accounts with a grace out", sums.money.accounts + sums.credit.accounts);
	listing_amount(l, "graceOutMoneyMicros", "grace out, money", sums.money.out_micros);
	listing_amount(l, "graceOutCreditMicros", "grace out, credits", sums.credit.out_micros);
	return CTL_OK;
}

/* Settings that decide whether a committed transaction survives a crash, and how sessions behave. */
static const struct {
	const char *name, *key;
} settings[] = {
	{"version", "databaseVersion"},
	{"innodb_flush_log_at_trx_commit", "flushLogAtCommit"},
	{"log_bin", "binaryLog"},
	{"sync_binlog", "syncBinaryLog"},
	{"innodb_doublewrite", "doublewrite"},
	{"innodb_snapshot_isolation", "snapshotIsolation"},
	{"max_connections", "maxConnections"},
	{"max_user_connections", "maxUserConnections"},
	{"max_allowed_packet", "maxAllowedPacket"},
};

/* Only literals may name a column, because the row's fields do not outlive the call. */
static int take_setting(void *context, const struct db_row *row)
{
	struct listing *l = context;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (strcmp(settings[i].name, row->field[0]) == 0)
			listing_text(l, settings[i].key, settings[i].name, row->field[1]);
	return CTL_OK;
}

static int put_database_settings(struct ctl *c, struct listing *l)
{
	struct buf sql;
	int result;

	buf_init(&sql, 2048);
	sql_literal(&sql, "SHOW VARIABLES WHERE Variable_name IN ('version', "
	                  "'innodb_flush_log_at_trx_commit',"
	                  " 'log_bin', 'sync_binlog', 'innodb_doublewrite', 'innodb_snapshot_isolation',"
	                  " 'max_connections', 'max_user_connections', 'max_allowed_packet')");
	result = ctl_rows(c, &sql, take_setting, l);
	buf_free(&sql);
	return result;
}

static void put_host_of_database(const struct ctl *c, struct listing *l)
{
	const struct db_options login = ctl_login(c);
	struct primary_host host;

	listing_text(l, "databaseHost", "database host", hosts_primary(&login, &host) ? host.name : "");
}

int ctl_status(struct ctl *c)
{
	struct listing *l;
	int version, result;

	if (ctl_arguments(c, NULL, NULL, 0, 0) < 0)
		return CTL_FAILED;
	version = schema_version(ctl_db(c));
	if (version < 0)
		return ctl_db_failed(c);
	l = listing_new("status");
	listing_row(l);
	listing_text(l, "octroictl", "octroictl", OCTROI_VERSION);
	listing_int(l, "schemaVersion", "schema version", version);
	listing_int(l, "schemaVersionWanted", "schema version of this octroictl", SCHEMA_VERSION);
	put_host_of_database(c, l);
	result = version == SCHEMA_VERSION ? put_counts(c, l) : CTL_OK;
	if (result == CTL_OK && version == SCHEMA_VERSION)
		result = put_graces(c, l);
	if (result == CTL_OK)
		result = put_database_settings(c, l);
	if (result == CTL_OK)
		listing_print_single(l, c->json);
	listing_free(l);
	return result;
}
