#include "queries/endpoints.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "db/operator_alert.h"
#include "db/sql.h"
#include "db/transaction.h"
#include "ledger/sql_numbers.h"
#include "queries/due.h"
#include "queries/mails.h"

#define SQL_MAX ((size_t)64 * 1024)
#define NOW SQL_NOW_US
#define HAND_ON_MAX 64
#define ENDPOINTS_MAX 64

/* ---- handing on ---------------------------------------------------------------------------------- */

struct untold {
	struct account_key account;
	int64_t seq, kind;
};

struct target {
	int64_t id, kinds;
};

struct untold_list {
	struct untold alerts[HAND_ON_MAX];
	int count;
};

_Static_assert(ALERT_COUNT <= OPERATOR_KIND_FIRST && OPERATOR_KIND_FIRST + OPERATOR_ALERTS < 63, "endpoints.kinds");

struct target_list {
	struct target targets[ENDPOINTS_MAX];
	int count;
};

static int take_untold(void *context, const struct db_row *row)
{
	struct untold_list *list = context;
	struct untold *alert = &list->alerts[list->count++];

	CHECK(list->count <= HAND_ON_MAX);
	memcpy(alert->account.bytes, row->field[0], sizeof(alert->account.bytes));
	alert->seq = db_int(row, 1);
	alert->kind = db_int(row, 2);
	return 0;
}

static int read_untold(struct db *d, struct buf *sql, struct untold_list *list)
{
	list->count = 0;
	buf_reset(sql);
	sql_literal(sql,
	            "SELECT account_id,seq,kind FROM alerts WHERE told=0 ORDER BY created_at_us,account_id,seq LIMIT ");
	sql_int(sql, HAND_ON_MAX);
	return (int)db_read(d, sql, take_untold, list);
}

/* The operator's have an account of zeros. */
static int read_untold_operators(struct db *d, struct buf *sql, struct untold_list *list)
{
	list->count = 0;
	buf_reset(sql);
	sql_literal(sql, "SELECT " OPERATOR_ACCOUNT ",id,kind+");
	sql_int(sql, OPERATOR_KIND_FIRST);
	sql_literal(sql, " FROM operator_alerts WHERE told=0 ORDER BY id LIMIT ");
	sql_int(sql, HAND_ON_MAX);
	return (int)db_read(d, sql, take_untold, list);
}

static int take_target(void *context, const struct db_row *row)
{
	struct target_list *list = context;

	CHECK(list->count < ENDPOINTS_MAX);
	list->targets[list->count++] = (struct target){db_int(row, 0), db_int(row, 1)};
	return 0;
}

static int read_targets(struct db *d, struct buf *sql, struct target_list *list)
{
	list->count = 0;
	buf_reset(sql);
	sql_literal(sql, "SELECT id,kinds FROM endpoints WHERE state=" SQL(ENDPOINT_ON) " ORDER BY id LIMIT ");
	sql_int(sql, ENDPOINTS_MAX);
	return (int)db_read(d, sql, take_target, list);
}

static int add_deliveries(struct db *d, struct buf *sql, const struct untold *alerts, int count,
                          const struct target *target)
{
	int added = 0;

	buf_reset(sql);
	sql_literal(
		sql,
		"INSERT IGNORE INTO deliveries (endpoint_id,account_id,alert_seq,next_at_us,created_at_us) VALUES ");
	for (int i = 0; i < count; i++) {
		if (target->kinds != 0 && (target->kinds >> alerts[i].kind & 1) == 0)
			continue;
		if (added > 0)
			sql_literal(sql, ",");
		sql_literal(sql, "(");
		sql_int(sql, target->id);
		sql_literal(sql, ",");
		sql_bytes(sql, alerts[i].account.bytes, sizeof(alerts[i].account.bytes));
		sql_literal(sql, ",");
		sql_int(sql, alerts[i].seq);
		sql_literal(sql, "," NOW "," NOW ")");
		added++;
	}
	return added == 0 || db_change(d, sql) >= 0 ? 0 : -1;
}

/* Each row is named by its whole primary key, so that no gap of the index is locked, and no guard waits. */
static int note_told(struct db *d, struct buf *sql, const struct untold *alerts, int count)
{
	buf_reset(sql);
	sql_literal(sql, "UPDATE alerts FORCE INDEX (PRIMARY) SET told=1 WHERE");
	for (int i = 0; i < count; i++) {
		if (i > 0)
			sql_literal(sql, " OR");
		sql_literal(sql, " (account_id=");
		sql_bytes(sql, alerts[i].account.bytes, sizeof(alerts[i].account.bytes));
		sql_literal(sql, " AND seq=");
		sql_int(sql, alerts[i].seq);
		sql_literal(sql, ")");
	}
	return db_change(d, sql) >= 0 ? 0 : -1;
}

static int note_operators_told(struct db *d, struct buf *sql, const struct untold *alerts, int count)
{
	buf_reset(sql);
	sql_literal(sql, "UPDATE operator_alerts SET told=1 WHERE id IN (");
	for (int i = 0; i < count; i++) {
		if (i > 0)
			sql_literal(sql, ",");
		sql_int(sql, alerts[i].seq);
	}
	sql_literal(sql, ")");
	return db_change(d, sql) >= 0 ? 0 : -1;
}

/* A cut between the steps repeats them: a delivery is there once, whoever adds it. */
static int hand_on(struct db *d, bool mail, bool operators)
{
	struct untold_list untold;
	struct target_list to = {.count = 0};
	int count, result = 0;
	struct buf sql;

	buf_init(&sql, SQL_MAX);
	count = operators ? read_untold_operators(d, &sql, &untold) : read_untold(d, &sql, &untold);
	if (count > 0 && read_targets(d, &sql, &to) < 0)
		result = -1;
	for (int i = 0; i < to.count && result == 0; i++)
		result = add_deliveries(d, &sql, untold.alerts, count, &to.targets[i]);
	for (int i = 0; i < count && mail && result == 0; i++)
		result = mails_hand_on(d, &untold.alerts[i].account, untold.alerts[i].seq, untold.alerts[i].kind);
	if (count > 0 && result == 0)
		result = operators ? note_operators_told(d, &sql, untold.alerts, count)
		                   : note_told(d, &sql, untold.alerts, count);
	buf_free(&sql);
	return result == 0 ? count : -1;
}

int endpoints_hand_on(struct db *d, bool mail)
{
	return hand_on(d, mail, false);
}

int endpoints_hand_on_operators(struct db *d, bool mail)
{
	return hand_on(d, mail, true);
}

/* ---- claims -------------------------------------------------------------------------------------- */

#define DUE DUE_CONDITION("v")

/* A delivery that is due.  busy: endpoints that are left out. */
struct due_delivery {
	struct due due;
	struct endpoint_claim *claim;
	const struct endpoints_busy *busy;
};

static int take_endpoint(void *context, const struct db_row *row)
{
	*(int64_t *)context = db_int(row, 0);
	return 0;
}

/* The endpoint that was served longest ago, of those with a delivery that is due; 0: none, -1: the database failed. */
static int64_t find_endpoint(struct db *d, struct buf *sql, const struct endpoints_busy *busy)
{
	int64_t id = 0;

	sql_literal(sql, "SELECT e.id FROM endpoints e WHERE e.state=" SQL(ENDPOINT_ON) " AND e.rest_until_us<=" NOW);
	if (busy->healthy_only)
		sql_literal(sql, " AND e.failures=0");
	for (int i = 0; i < busy->count; i++) {
		sql_literal(sql, " AND e.id<>");
		sql_int(sql, busy->ids[i]);
	}
	sql_literal(sql, " AND EXISTS (SELECT 1 FROM deliveries v WHERE v.endpoint_id=e.id AND " DUE
	                 ") ORDER BY e.served_at_us,e.id LIMIT 1");
	return db_read(d, sql, take_endpoint, &id) < 0 ? -1 : id;
}

static int take_delivery(void *context, const struct db_row *row)
{
	struct due_delivery *found = context;
	struct endpoint_claim *claim = found->claim;

	claim->id = db_int(row, 0);
	found->due.attempts = db_int(row, 1);
	found->due.claimed_us = db_int(row, 2);
	found->due.now_us = db_int(row, 3);
	memcpy(claim->account.bytes, row->field[4], sizeof(claim->account.bytes));
	(void)snprintf(claim->account_id, sizeof(claim->account_id), "%s", row->field[5]);
	(void)snprintf(claim->url, sizeof(claim->url), "%s", row->field[6]);
	claim->inside = db_int(row, 7) != 0;
	claim->failures = db_int(row, 8);
	CHECK(row->length[9] == ENDPOINTS_SECRET_BYTES);
	memcpy(claim->secrets[0], row->field[9], ENDPOINTS_SECRET_BYTES);
	claim->secret_count = row->length[10] == ENDPOINTS_SECRET_BYTES ? 2 : 1;
	if (claim->secret_count > 1)
		memcpy(claim->secrets[1], row->field[10], ENDPOINTS_SECRET_BYTES);
	claim->alert = (struct alerts_shown){.seq = db_int(row, 11),
	                                     .kind = db_int(row, 12),
	                                     .threshold_micros = db_int(row, 13),
	                                     .limit_kind = db_int(row, 14),
	                                     .amount_micros = db_int(row, 15),
	                                     .balance_micros = db_int(row, 16),
	                                     .created_at_us = db_int(row, 17),
	                                     .days = db_int(row, 18),
	                                     .expires_at_us = db_int(row, 19),
	                                     .threshold_percent = db_int(row, 24),
	                                     .member = claim->member};
	(void)snprintf(claim->member, sizeof(claim->member), "%s", row->field[20]);
	(void)snprintf(claim->detail, sizeof(claim->detail), "%s", row->field[21]);
	claim->value = db_int(row, 22);
	claim->bound = db_int(row, 23);
	return 0;
}

/* 1: found, 0: nothing is due, -1: the database failed. */
static int find_delivery(struct db *d, struct buf *sql, struct due_delivery *found)
{
	buf_reset(sql);
	sql_literal(sql, "SELECT v.id,v.attempts,v.claimed_until_us," NOW
	                 ",v.account_id,COALESCE(a.external_id,''),e.url,e.inside,"
	                 "e.failures,e.secret,IF(e.old_until_us>" NOW
	                 ",e.old_secret,''),v.alert_seq,COALESCE(l.kind,o.kind+");
	sql_int(sql, OPERATOR_KIND_FIRST);
	sql_literal(
		sql,
		"),COALESCE(l.threshold_micros,0),COALESCE(l.limit_kind,0),COALESCE(l.amount_micros,0),"
		"COALESCE(l.balance_micros,0),COALESCE(l.created_at_us,o.created_at_us),COALESCE(l.days,0),"
		"COALESCE(l.expires_at_us,0),COALESCE(l.member,o.subject),COALESCE(o.detail,''),COALESCE(o.value,0),"
		"COALESCE(o.bound,0),COALESCE(l.threshold_percent,0) FROM deliveries v"
		" JOIN endpoints e ON e.id=v.endpoint_id LEFT JOIN accounts a ON a.id=v.account_id"
		" LEFT JOIN alerts l ON l.account_id=v.account_id AND l.seq=v.alert_seq"
		" LEFT JOIN operator_alerts o ON v.account_id=" OPERATOR_ACCOUNT " AND o.id=v.alert_seq"
		" WHERE (l.seq IS NOT NULL OR o.id IS NOT NULL) AND v.endpoint_id=");
	sql_int(sql, found->claim->endpoint_id);
	sql_literal(sql, " AND " DUE " ORDER BY v.next_at_us LIMIT 1");
	return (int)db_read(d, sql, take_delivery, found);
}

static int find_due_delivery(struct db *d, struct buf *sql, void *context)
{
	struct due_delivery *delivery = context;

	delivery->claim->endpoint_id = find_endpoint(d, sql, delivery->busy);
	if (delivery->claim->endpoint_id <= 0)
		return (int)delivery->claim->endpoint_id;
	return find_delivery(d, sql, delivery);
}

static void put_delivery_set(struct buf *sql, const void *context)
{
	(void)context;
	sql_literal(sql, "UPDATE deliveries SET ");
}

static void put_delivery_key(struct buf *sql, const void *context)
{
	const struct due_delivery *delivery = context;

	sql_literal(sql, " WHERE id=");
	sql_int(sql, delivery->claim->id);
}

int endpoints_claim(struct db *d, const struct endpoints_busy *busy, int64_t lease_us, struct endpoint_claim *claim)
{
	static const struct due_table table = {find_due_delivery, put_delivery_set, put_delivery_key};
	struct due_delivery delivery = {.claim = claim, .busy = busy};
	int found;

	CHECK(busy->count <= ENDPOINTS_BUSY_MAX);
	found = due_claim(d, &table, lease_us, &delivery.due, &delivery);
	claim->until_us = delivery.due.until_us;
	claim->attempts = delivery.due.attempts + 1;
	return found;
}

/* ---- ends ---------------------------------------------------------------------------------------- */

static int64_t end_endpoint(struct db *d, struct buf *sql, const struct endpoint_claim *claim,
                            const struct endpoint_end *end)
{
	buf_reset(sql);
	sql_literal(sql, "UPDATE endpoints SET served_at_us=" NOW ",failures=");
	if (end->error[0] == '\0')
		sql_literal(sql, "0");
	else
		sql_literal(sql, "failures+1");
	sql_literal(sql, ",rest_until_us=" NOW "+");
	sql_int(sql, end->rest_us);
	if (end->off != NULL) {
		sql_literal(sql, ",state=" SQL(ENDPOINT_OFF) ",reason=");
		sql_text(sql, end->off);
	}
	sql_literal(sql, " WHERE id=");
	sql_int(sql, claim->endpoint_id);
	sql_literal(sql, " AND state=" SQL(ENDPOINT_ON));
	return db_change(d, sql);
}

static int64_t end_delivery(struct db *d, struct buf *sql, const struct endpoint_claim *claim,
                            const struct endpoint_end *end)
{
	buf_reset(sql);
	sql_literal(sql, "UPDATE deliveries SET claimed_until_us=0,attempted_at_us=" NOW ",state=");
	sql_int(sql, end->state);
	sql_literal(sql, ",next_at_us=" NOW "+");
	sql_int(sql, end->wait_us);
	sql_literal(sql, ",status=");
	sql_int(sql, end->status);
	sql_literal(sql, ",error=");
	sql_text(sql, end->error);
	sql_literal(sql, ",took_us=");
	sql_int(sql, end->took_us);
	sql_literal(sql, " WHERE id=");
	sql_int(sql, claim->id);
	due_put_held(sql, claim->until_us);
	return db_change(d, sql);
}

/* The operator is told in the transaction that switches the endpoint off. */
static int64_t switch_off(struct db *d, struct buf *sql, const struct endpoint_claim *claim,
                          const struct endpoint_end *end)
{
	char subject[32];
	int64_t changed;

	if (transaction_begin(d) < 0)
		return -1;
	(void)snprintf(subject, sizeof(subject), "%lld", (long long)claim->endpoint_id);
	changed = end_endpoint(d, sql, claim, end);
	if (changed > 0 && operator_alert_add(d, &(struct operator_alert){.kind = OPERATOR_ENDPOINT_DISABLED,
	                                                                  .subject = subject,
	                                                                  .detail = end->off}) < 0)
		changed = -1;
	return transaction_end(d, (int)changed);
}

/* The endpoint comes first: after a cut in between, the delivery is repeated, and ends the same way. */
int endpoints_end(struct db *d, const struct endpoint_claim *claim, const struct endpoint_end *end)
{
	struct buf sql;
	int64_t changed;

	buf_init(&sql, SQL_MAX);
	changed = end->off != NULL ? switch_off(d, &sql, claim, end) : end_endpoint(d, &sql, claim, end);
	if (changed >= 0)
		changed = end_delivery(d, &sql, claim, end);
	buf_free(&sql);
	return changed < 0 ? -1 : changed > 0;
}
