#include "queries/pruning.h"

#include <string.h>

#include "base/check.h"
#include "db/operator_alert.h"
#include "db/sql.h"
#include "ledger/sql_numbers.h"

#define SQL_MAX ((size_t)64 * 1024)
#define NOW SQL_NOW_US
#define BATCH 500
#define BATCH_TEXT "500"
#define DAY_US INT64_C(86400000000)
#define HOURS_KEPT_US "5184000000000" /* 60 days */

static void put_cutoff(struct buf *sql, int64_t days)
{
	sql_literal(sql, "(" NOW "-");
	sql_int(sql, days * DAY_US);
	sql_literal(sql, ")");
}

/* ---- alerts --------------------------------------------------------------------------------------- */

/* An alert that was looked at.  first: it is the first that its account has left. */
struct seen {
	struct account_key account;
	int64_t seq, created_at_us;
	bool first, goes;
};

struct seen_list {
	struct seen alerts[BATCH];
	int count;
};

/* True if the alert before this one goes, too. */
static bool follows(const struct seen_list *list, const struct seen *seen)
{
	for (int i = list->count - 1; i >= 0; i--)
		if (list->alerts[i].seq == seen->seq - 1 &&
		    memcmp(&list->alerts[i].account, &seen->account, sizeof(seen->account)) == 0)
			return list->alerts[i].goes;
	return false;
}

static int take_seen(void *context, const struct db_row *row)
{
	struct seen_list *list = context;
	struct seen seen = {.seq = db_int(row, 1), .created_at_us = db_int(row, 2), .first = db_int(row, 3) == 0};

	CHECK(list->count < BATCH);
	memcpy(seen.account.bytes, row->field[0], sizeof(seen.account.bytes));
	seen.goes = db_int(row, 4) != 0 && db_int(row, 5) == 0 && (seen.first || follows(list, &seen));
	list->alerts[list->count++] = seen;
	return 0;
}

/* Reads of each alert whether there is one before it and one behind it, and whether it stays by itself.  It does when
 * it is not told, has a delivery, or is in a mail that is on its way. */
static int look_at_alerts(struct db *d, struct buf *sql, int64_t days, const struct pruning *p, struct seen_list *list)
{
	list->count = 0;
	buf_reset(sql);
	sql_literal(
		sql,
		"SELECT l.account_id,l.seq,l.created_at_us,"
		"EXISTS (SELECT 1 FROM alerts n WHERE n.account_id=l.account_id AND n.seq=l.seq-1),"
		"EXISTS (SELECT 1 FROM alerts n WHERE n.account_id=l.account_id AND n.seq=l.seq+1),"
		"l.told=0 OR EXISTS (SELECT 1 FROM endpoints e JOIN deliveries v ON v.endpoint_id=e.id"
		" AND v.account_id=l.account_id AND v.alert_seq=l.seq)"
		" OR EXISTS (SELECT 1 FROM mails m WHERE m.account_id=l.account_id AND m.kind=l.kind AND m.state=" SQL(
			DELIVERY_PENDING) " AND m.from_seq<l.seq AND (m.upto_seq=0 OR l.seq<=m.upto_seq))"
					  " FROM alerts l WHERE l.created_at_us>=");
	sql_int(sql, p->created_at_us);
	sql_literal(sql, " AND (l.created_at_us>");
	sql_int(sql, p->created_at_us);
	sql_literal(sql, " OR l.account_id>");
	sql_bytes(sql, p->account.bytes, sizeof(p->account.bytes));
	sql_literal(sql, " OR (l.account_id=");
	sql_bytes(sql, p->account.bytes, sizeof(p->account.bytes));
	sql_literal(sql, " AND l.seq>");
	sql_int(sql, p->seq);
	sql_literal(sql, ")) AND l.created_at_us<");
	put_cutoff(sql, days);
	sql_literal(sql, " ORDER BY l.created_at_us,l.account_id,l.seq LIMIT " BATCH_TEXT);
	return (int)db_read(d, sql, take_seen, list);
}

/* Each row is named by its whole primary key, so that no gap of the index is locked, and no guard waits. */
static int64_t delete_alerts(struct db *d, struct buf *sql, const struct seen_list *list)
{
	bool any = false;

	buf_reset(sql);
	sql_literal(sql, "DELETE FROM alerts WHERE told=1 AND (account_id,seq) IN (");
	for (int i = 0; i < list->count; i++) {
		if (!list->alerts[i].goes)
			continue;
		if (any)
			sql_literal(sql, ",");
		sql_literal(sql, "(");
		sql_bytes(sql, list->alerts[i].account.bytes, sizeof(list->alerts[i].account.bytes));
		sql_literal(sql, ",");
		sql_int(sql, list->alerts[i].seq);
		sql_literal(sql, ")");
		any = true;
	}
	sql_literal(sql, ")");
	return any ? db_change(d, sql) : 0;
}

static int64_t prune_alerts(struct db *d, struct buf *sql, int64_t days, struct pruning *p, bool *more)
{
	struct seen_list list;
	const int count = look_at_alerts(d, sql, days, p, &list);

	if (count < 0)
		return -1;
	*p = (struct pruning){0};
	if (count == BATCH) {
		const struct seen *last = &list.alerts[count - 1];

		*p = (struct pruning){.created_at_us = last->created_at_us, .seq = last->seq, .account = last->account};
	}
	*more = *more || count == BATCH;
	return delete_alerts(d, sql, &list);
}

/* ---- deliveries ----------------------------------------------------------------------------------- */

struct id_list {
	int64_t ids[BATCH];
	int count;
};

static int take_listed_id(void *context, const struct db_row *row)
{
	struct id_list *list = context;

	CHECK(list->count < BATCH);
	list->ids[list->count++] = db_int(row, 0);
	return 0;
}

/* A delivery to an endpoint that is removed never ends. */
static int64_t prune_deliveries(struct db *d, struct buf *sql, int64_t days, bool *more)
{
	struct id_list list = {.count = 0};

	buf_reset(sql);
	sql_literal(sql, "SELECT v.id FROM endpoints e JOIN deliveries v ON v.endpoint_id=e.id");
	sql_literal(sql, " AND (v.state IN (" SQL(DELIVERY_DONE) "," SQL(DELIVERY_FAILED) ")");
	sql_literal(sql, " OR e.state=" SQL(ENDPOINT_REMOVED) ") AND v.next_at_us<");
	put_cutoff(sql, days);
	sql_literal(sql, " AND v.created_at_us<");
	put_cutoff(sql, days);
	sql_literal(sql, " LIMIT " BATCH_TEXT);
	if (db_read(d, sql, take_listed_id, &list) < 0)
		return -1;
	*more = *more || list.count == BATCH;
	if (list.count == 0)
		return 0;
	buf_reset(sql);
	/* One that is replayed at this moment stays. */
	sql_literal(sql, "DELETE FROM deliveries WHERE (state<>" SQL(DELIVERY_PENDING));
	sql_literal(sql, " OR endpoint_id IN (SELECT id FROM endpoints WHERE state=" SQL(ENDPOINT_REMOVED) "))");
	sql_literal(sql, " AND id IN (");
	for (int i = 0; i < list.count; i++) {
		if (i > 0)
			sql_literal(sql, ",");
		sql_int(sql, list.ids[i]);
	}
	sql_literal(sql, ")");
	return db_change(d, sql);
}

/* ---- mails, and rows of the operator ----------------------------------------------------------------- */

static int64_t delete_batch(struct db *d, struct buf *sql, bool *more)
{
	int64_t deleted;

	sql_literal(sql, " LIMIT " BATCH_TEXT);
	deleted = db_change(d, sql);
	*more = *more || deleted == BATCH;
	return deleted;
}

/* The time of the next attempt is that of the end, once there is none. */
static int64_t prune_mails(struct db *d, struct buf *sql, int64_t days, bool *more)
{
	buf_reset(sql);
	sql_literal(sql, "DELETE FROM mails WHERE state IN (" SQL(DELIVERY_DONE) "," SQL(
				 DELIVERY_FAILED) ") AND created_at_us<");
	put_cutoff(sql, days);
	sql_literal(sql, " AND next_at_us<");
	put_cutoff(sql, days);
	return delete_batch(d, sql, more);
}

static int64_t prune_operators(struct db *d, struct buf *sql, int64_t days, bool *more)
{
	buf_reset(sql);
	sql_literal(sql, "DELETE FROM operator_alerts WHERE told=1 AND ended_at_us<>0 AND created_at_us<");
	put_cutoff(sql, days);
	sql_literal(sql, " AND NOT EXISTS (SELECT 1 FROM endpoints e JOIN deliveries v ON v.endpoint_id=e.id"
	                 " AND v.account_id=" OPERATOR_ACCOUNT " AND v.alert_seq=operator_alerts.id)"
	                 " AND NOT EXISTS (SELECT 1 FROM mails m WHERE m.account_id=" OPERATOR_ACCOUNT
	                 " AND m.kind=operator_alerts.kind+");
	sql_int(sql, OPERATOR_KIND_FIRST);
	sql_literal(sql,
	            " AND m.state=" SQL(DELIVERY_PENDING) " AND m.from_seq<operator_alerts.id"
	                                                  " AND (m.upto_seq=0 OR operator_alerts.id<=m.upto_seq))");
	return delete_batch(d, sql, more);
}

static int64_t prune_hours(struct db *d, struct buf *sql, bool *more)
{
	buf_reset(sql);
	sql_literal(sql, "DELETE FROM hours WHERE from_us<(" NOW "-" HOURS_KEPT_US ")");
	return delete_batch(d, sql, more);
}

/* Deliveries and mails go first, since an alert waits for its own. */
int pruning_run(struct db *d, int64_t days, struct pruning *p, bool *more)
{
	int64_t deleted[5] = {0};
	int64_t sum = 0;
	struct buf sql;

	CHECK(days > 0);
	*more = false;
	buf_init(&sql, SQL_MAX);
	deleted[0] = prune_deliveries(d, &sql, days, more);
	deleted[1] = prune_mails(d, &sql, days, more);
	deleted[2] = prune_alerts(d, &sql, days, p, more);
	deleted[3] = prune_operators(d, &sql, days, more);
	deleted[4] = prune_hours(d, &sql, more);
	buf_free(&sql);
	for (size_t i = 0; i < sizeof(deleted) / sizeof(deleted[0]); i++) {
		if (deleted[i] < 0)
			return -1;
		sum += deleted[i];
	}
	return (int)sum;
}
