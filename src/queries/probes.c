#include "queries/probes.h"

#include <stdio.h>

#include "db/operator_alert.h"
#include "db/sql.h"
#include "db/transaction.h"

#define SQL_MAX ((size_t)4 * 1024)

static int take_probe(void *context, const struct db_row *fields)
{
	struct probes_row *row = context;

	row->now_us = db_int(fields, 0);
	row->found = db_int(fields, 1) != 0;
	row->http_status = db_int(fields, 2);
	row->latency_ms = db_int(fields, 3);
	row->checked_at_us = db_int(fields, 4);
	row->changed_at_us = db_int(fields, 5);
	row->claimed_until_us = db_int(fields, 6);
	(void)snprintf(row->state, sizeof(row->state), "%s", fields->field[7]);
	(void)snprintf(row->detail, sizeof(row->detail), "%s", fields->field[8]);
	return 0;
}

/* The statement always has one row, so that the database's clock is answered too. */
int probes_read(struct db *d, const char *provider, struct probes_row *row)
{
	struct buf sql;
	int64_t found;

	*row = (struct probes_row){0};
	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT " SQL_NOW_US ",p.provider IS NOT NULL,"
	                  "COALESCE(p.http_status,0),COALESCE(p.latency_ms,0),COALESCE(p.checked_at_us,0),"
	                  "COALESCE(p.changed_at_us,0),COALESCE(p.claimed_until_us,0),COALESCE(p.state,''),"
	                  "COALESCE(p.detail,'') FROM (SELECT 1) one LEFT JOIN probes p ON p.provider=");
	sql_text(&sql, provider);
	found = db_read(d, &sql, take_probe, row);
	buf_free(&sql);
	return found == 1 ? 0 : -1;
}

/* Adds the condition that matches the provider's row while its claim is as it was read. */
static void sql_as_read(struct buf *sql, const char *provider, int64_t claimed_until_us)
{
	sql_literal(sql, " WHERE provider=");
	sql_text(sql, provider);
	sql_literal(sql, " AND claimed_until_us=");
	sql_int(sql, claimed_until_us);
}

int probes_claim(struct db *d, const char *provider, int64_t every_us, int64_t lease_us, struct probes_row *row)
{
	int64_t changed = 0;
	struct buf sql;

	if (probes_read(d, provider, row) < 0)
		return -1;
	if (row->claimed_until_us > row->now_us || row->checked_at_us > row->now_us - every_us)
		return 0;
	buf_init(&sql, SQL_MAX);
	if (!row->found) {
		sql_literal(&sql, "INSERT IGNORE INTO probes (provider) VALUES (");
		sql_text(&sql, provider);
		sql_literal(&sql, ")");
		changed = db_change(d, &sql);
		buf_reset(&sql);
	}
	if (changed >= 0) {
		sql_literal(&sql, "UPDATE probes SET claimed_until_us=");
		sql_int(&sql, row->now_us + lease_us);
		sql_as_read(&sql, provider, row->claimed_until_us);
		sql_literal(&sql, " AND checked_at_us=");
		sql_int(&sql, row->checked_at_us);
		changed = db_change(d, &sql);
	}
	row->claimed_until_us = row->now_us + lease_us;
	buf_free(&sql);
	return changed < 0 ? -1 : changed > 0;
}

static int64_t note_state(struct db *d, const char *provider, const struct probes_row *row, bool moved)
{
	int64_t changed;
	struct buf sql;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "UPDATE probes SET claimed_until_us=0,checked_at_us=" SQL_NOW_US);
	if (moved)
		sql_literal(&sql, ",changed_at_us=" SQL_NOW_US);
	sql_literal(&sql, ",state=");
	sql_text(&sql, row->state);
	sql_literal(&sql, ",detail=");
	sql_text(&sql, row->detail);
	sql_literal(&sql, ",http_status=");
	sql_int(&sql, row->http_status);
	sql_literal(&sql, ",latency_ms=");
	sql_int(&sql, row->latency_ms);
	sql_as_read(&sql, provider, row->claimed_until_us);
	changed = db_change(d, &sql);
	buf_free(&sql);
	return changed;
}

static int tell_operator(struct db *d, const char *provider, const struct probes_row *row, const char *from)
{
	char detail[2 * PROBES_STATE_MAX + PROBES_DETAIL_MAX + 16];

	(void)snprintf(detail, sizeof(detail), "%s -> %s%s%s", from[0] != '\0' ? from : "unchecked", row->state,
	               row->detail[0] != '\0' ? ": " : "", row->detail);
	return operator_alert_add(
		d, &(struct operator_alert){.kind = OPERATOR_PROVIDER_STATE, .subject = provider, .detail = detail});
}

int probes_note(struct db *d, const char *provider, const struct probes_row *row, const char *from, bool tell)
{
	int64_t changed;

	if (transaction_begin(d) < 0)
		return -1;
	changed = note_state(d, provider, row, from != NULL);
	if (changed > 0 && from != NULL && tell && tell_operator(d, provider, row, from) < 0)
		changed = -1;
	return transaction_end(d, (int)changed);
}
