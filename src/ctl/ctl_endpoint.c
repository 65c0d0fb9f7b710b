#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "clients/webhook.h"
#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "db/operator_alert.h"
#include "db/sql.h"
#include "ledger/command.h"
#include "ledger/names.h"
#include "queries/endpoints.h"

#define LIST_LIMIT 100
#define LIST_LIMIT_MAX 100000
#define LABEL_MAX 128
#define ENDPOINTS_ON_MAX 64
#define SQL_MAX ((size_t)16 * 1024)
#define ROLL_HOURS "24"
#define ROLL_HOURS_MAX (24 * 30)
#define HOUR_US (3600 * CLOCK_US_PER_SECOND)
#define NOW SQL_NOW_US

static const char *const endpoint_states[] = {
	[ENDPOINT_ON] = "on", [ENDPOINT_OFF] = "off", [ENDPOINT_REMOVED] = "removed"};
static const char *const delivery_states[] = {
	[DELIVERY_PENDING] = "pending", [DELIVERY_DONE] = "delivered", [DELIVERY_FAILED] = "failed"};

/* Runs a statement that changes rows; their number in *changed. */
static int change_rows(struct ctl *c, const struct buf *sql, int64_t *changed)
{
	*changed = db_change(ctl_db(c), sql);
	return *changed < 0 ? ctl_db_failed(c) : CTL_OK;
}

static int take_count_or_id(void *context, const struct db_row *row)
{
	*(int64_t *)context = db_int(row, 0);
	return CTL_OK;
}

static int no_endpoint(void)
{
	(void)ctl_fail("there is no such endpoint (octroictl endpoint list)");
	return CTL_NO;
}

static int parse_endpoint(const char *name, int64_t *id)
{
	return ctl_integer(name, "ENDPOINT", 1, INT64_MAX, id);
}

/* Reads the arguments of a command that has an endpoint and no option. */
static int only_endpoint(struct ctl *c, int64_t *id)
{
	const char *name = NULL;

	return ctl_arguments(c, NULL, &name, 1, 1) < 0 || parse_endpoint(name, id) != 0 ? CTL_FAILED : CTL_OK;
}

/* ---- kinds of alerts ------------------------------------------------------------------------------ */

#define KINDS (OPERATOR_KIND_FIRST + OPERATOR_ALERTS)

/* The name of an account's alert, or of the operator's; "" for the numbers between them. */
static const char *kind_name(int64_t kind)
{
	if (kind >= OPERATOR_KIND_FIRST)
		return operator_alert_name(kind - OPERATOR_KIND_FIRST);
	return kind < ALERT_COUNT ? names_alert(kind) : "";
}

/* Reads "balance_low,price_changed" as a bit for each kind. */
static int parse_kinds(const char *text, int64_t *kinds)
{
	*kinds = 0;
	for (const char *name = text; name != NULL && *name != '\0';) {
		const size_t length = strcspn(name, ",");
		int kind = 0;

		while (kind < KINDS && (length == 0 || strlen(kind_name(kind)) != length ||
		                        strncmp(kind_name(kind), name, length) != 0))
			kind++;
		if (kind == KINDS)
			return ctl_wrong("%.*s is no kind of alert", (int)length, name);
		*kinds |= INT64_C(1) << kind;
		name += length + (name[length] == ',' ? 1 : 0);
	}
	return CTL_OK;
}

static void put_alert_kinds(struct listing *l, int64_t kinds)
{
	char text[KINDS * 32] = "";
	size_t length = 0;

	for (int kind = 0; kind < KINDS; kind++)
		if ((kinds >> kind & 1) != 0)
			length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s", length > 0 ? "," : "",
			                           kind_name(kind));
	listing_text(l, "kinds", "kinds", kinds == 0 ? "all" : text);
}

/* ---- add ------------------------------------------------------------------------------------------ */

struct added {
	const char *url, *label;
	int64_t kinds, id;
	bool inside;
	struct webhook_secret secret;
};

static int store_endpoint(struct ctl *c, struct added *a)
{
	struct buf sql;
	int64_t changed = 0;
	int result;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "INSERT INTO endpoints (url, label, kinds, inside, secret, created_at_us) VALUES (");
	sql_text(&sql, a->url);
	sql_literal(&sql, ",");
	sql_text(&sql, a->label);
	sql_literal(&sql, ",");
	sql_int(&sql, a->kinds);
	sql_literal(&sql, ",");
	sql_int(&sql, a->inside ? 1 : 0);
	sql_literal(&sql, ",");
	sql_bytes(&sql, a->secret.bytes, sizeof(a->secret.bytes));
	sql_literal(&sql, "," NOW ")");
	result = change_rows(c, &sql, &changed);
	if (result == CTL_OK) {
		buf_reset(&sql);
		sql_literal(&sql, "SELECT MAX(id) FROM endpoints WHERE secret = ");
		sql_bytes(&sql, a->secret.bytes, sizeof(a->secret.bytes));
		result = ctl_rows(c, &sql, take_count_or_id, &a->id);
	}
	buf_free(&sql);
	return result;
}

static int count_endpoints(struct ctl *c, int64_t *count)
{
	struct buf sql;
	int result;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT COUNT(*) FROM endpoints WHERE state <> ");
	sql_int(&sql, ENDPOINT_REMOVED);
	result = ctl_rows(c, &sql, take_count_or_id, count);
	buf_free(&sql);
	return result;
}

static void show_secret(const struct ctl *c, int64_t id, const struct webhook_secret *secret)
{
	char text[WEBHOOK_SECRET_TEXT_MAX];
	struct listing *l = listing_new("endpoint");

	webhook_secret_format(secret, text);
	listing_row(l);
	listing_int(l, "id", "endpoint", id);
	listing_text(l, "secret", "secret (shown once)", text);
	listing_print_single(l, c->json);
	listing_free(l);
}

int ctl_endpoint_add(struct ctl *c)
{
	struct added a = {.label = ""};
	const char *kinds = NULL, *wrong;
	const struct ctl_option options[] = {{.name = "--label", .value = &a.label},
	                                     {.name = "--kinds", .value = &kinds},
	                                     {.name = "--inside", .flag = &a.inside},
	                                     {0}};
	int64_t count = 0;

	if (ctl_arguments(c, options, &a.url, 1, 1) < 0)
		return CTL_FAILED;
	wrong = webhook_url_wrong(a.url, a.inside);
	if (wrong != NULL)
		return ctl_wrong("%s", wrong);
	if (strlen(a.label) > LABEL_MAX)
		return ctl_wrong("a label has at most %d bytes", LABEL_MAX);
	if (parse_kinds(kinds, &a.kinds) != CTL_OK || count_endpoints(c, &count) != CTL_OK)
		return CTL_FAILED;
	if (count >= ENDPOINTS_ON_MAX)
		return ctl_fail("there are %d endpoints, the most that there may be", ENDPOINTS_ON_MAX);
	digest_random(a.secret.bytes, sizeof(a.secret.bytes));
	if (store_endpoint(c, &a) != CTL_OK)
		return CTL_FAILED;
	show_secret(c, a.id, &a.secret);
	return CTL_OK;
}

/* ---- list ----------------------------------------------------------------------------------------- */

static int take_endpoint(void *context, const struct db_row *row)
{
	struct listing *l = context;

	listing_row(l);
	listing_int(l, "id", "endpoint", db_int(row, 0));
	listing_text(l, "url", "address", row->field[1]);
	listing_text(l, "label", "label", row->field[2]);
	put_alert_kinds(l, db_int(row, 3));
	listing_flag(l, "inside", "inside", db_int(row, 4) != 0);
	listing_text(l, "state", "state", endpoint_states[db_int(row, 5)]);
	listing_text(l, "reason", "why", row->field[6]);
	listing_int(l, "failures", "failures", db_int(row, 7));
	listing_int(l, "pending", "pending", db_int(row, 8));
	listing_time(l, "rollsUntil", "rolls until", db_int(row, 9));
	listing_time(l, "createdAt", "created", db_int(row, 10));
	return CTL_OK;
}

int ctl_endpoint_list(struct ctl *c)
{
	struct listing *l;
	struct buf sql;
	int result;

	if (ctl_arguments(c, NULL, NULL, 0, 0) < 0)
		return CTL_FAILED;
	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT e.id, e.url, e.label, e.kinds, e.inside, e.state, e.reason, e.failures,"
	                  " (SELECT COUNT(*) FROM deliveries v WHERE v.endpoint_id = e.id AND v.state = ");
	sql_int(&sql, DELIVERY_PENDING);
	sql_literal(&sql, "), IF(e.old_until_us > " NOW ", e.old_until_us, 0), e.created_at_us FROM endpoints e"
	                  " WHERE e.state <> ");
	sql_int(&sql, ENDPOINT_REMOVED);
	sql_literal(&sql, " ORDER BY e.id");
	l = listing_new("endpoints");
	result = ctl_rows(c, &sql, take_endpoint, l);
	if (result == CTL_OK)
		listing_print(l, c);
	buf_free(&sql);
	listing_free(l);
	return result;
}

/* ---- rotate, remove, enable ------------------------------------------------------------------------ */

/* Appends the endpoint's row, if it is not removed, and runs the statement. */
static int change_endpoint(struct ctl *c, struct buf *sql, int64_t id)
{
	int64_t changed = 0;
	int result;

	sql_literal(sql, " WHERE id = ");
	sql_int(sql, id);
	sql_literal(sql, " AND state <> ");
	sql_int(sql, ENDPOINT_REMOVED);
	result = change_rows(c, sql, &changed);
	buf_free(sql);
	return result == CTL_OK && changed == 0 ? no_endpoint() : result;
}

int ctl_endpoint_rotate(struct ctl *c)
{
	const char *name = NULL, *hours_text = ROLL_HOURS;
	const struct ctl_option options[] = {{.name = "--hours", .value = &hours_text}, {0}};
	struct webhook_secret secret;
	int64_t id, hours;
	struct buf sql;
	int result;

	if (ctl_arguments(c, options, &name, 1, 1) < 0 || parse_endpoint(name, &id) != 0 ||
	    ctl_integer(hours_text, "--hours", 0, ROLL_HOURS_MAX, &hours) != 0)
		return CTL_FAILED;
	digest_random(secret.bytes, sizeof(secret.bytes));
	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "UPDATE endpoints SET old_secret = secret, old_until_us = " NOW " + ");
	sql_int(&sql, hours * HOUR_US);
	sql_literal(&sql, ", secret = ");
	sql_bytes(&sql, secret.bytes, sizeof(secret.bytes));
	result = change_endpoint(c, &sql, id);
	if (result == CTL_OK)
		show_secret(c, id, &secret);
	return result;
}

/* Appends the state to the statement, runs it, and shows the state. */
static int change_state(struct ctl *c, struct buf *sql, int64_t id, int state)
{
	struct listing *l;
	int result;

	sql_literal(sql, ", state = ");
	sql_int(sql, state);
	result = change_endpoint(c, sql, id);
	if (result != CTL_OK)
		return result;
	l = listing_new("endpoint");
	listing_row(l);
	listing_int(l, "id", "endpoint", id);
	listing_text(l, "state", "state", endpoint_states[state]);
	listing_print_single(l, c->json);
	listing_free(l);
	return CTL_OK;
}

/* The row stays, for the deliveries' log; its secrets do not. */
int ctl_endpoint_remove(struct ctl *c)
{
	struct buf sql;
	int64_t id;

	if (only_endpoint(c, &id) != CTL_OK)
		return CTL_FAILED;
	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "UPDATE endpoints SET secret = '', old_secret = '', old_until_us = 0");
	return change_state(c, &sql, id, ENDPOINT_REMOVED);
}

int ctl_endpoint_enable(struct ctl *c)
{
	struct buf sql;
	int64_t id;

	if (only_endpoint(c, &id) != CTL_OK)
		return CTL_FAILED;
	buf_init(&sql, SQL_MAX);
	/* The time makes it a change, also of an endpoint that is on. */
	sql_literal(&sql, "UPDATE endpoints SET reason = '', failures = 0, rest_until_us = 0, served_at_us = " NOW);
	return change_state(c, &sql, id, ENDPOINT_ON);
}

/* ---- test ----------------------------------------------------------------------------------------- */

struct tested {
	char url[ENDPOINTS_URL_MAX];
	struct webhook w;
	bool found;
};

static int take_tested(void *context, const struct db_row *row)
{
	struct tested *t = context;

	(void)snprintf(t->url, sizeof(t->url), "%s", row->field[0]);
	t->w.inside = db_int(row, 1) != 0;
	memcpy(t->w.secrets[0].bytes, row->field[2], sizeof(t->w.secrets[0].bytes));
	t->w.secret_count = row->length[3] == sizeof(t->w.secrets[1].bytes) ? 2 : 1;
	if (t->w.secret_count > 1)
		memcpy(t->w.secrets[1].bytes, row->field[3], sizeof(t->w.secrets[1].bytes));
	t->found = true;
	return CTL_OK;
}

static int read_tested(struct ctl *c, int64_t id, struct tested *t)
{
	struct buf sql;
	int result;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT url, inside, secret, IF(old_until_us > " NOW
	                  ", old_secret, '') FROM endpoints WHERE id = ");
	sql_int(&sql, id);
	sql_literal(&sql, " AND state <> ");
	sql_int(&sql, ENDPOINT_REMOVED);
	result = ctl_rows(c, &sql, take_tested, t);
	buf_free(&sql);
	return result == CTL_OK && !t->found ? no_endpoint() : result;
}

static void put_test_body(struct buf *body)
{
	struct json_writer w;

	json_writer_init(&w, body);
	json_open_record(&w, NULL);
	json_put_text(&w, "type", "credits.test");
	json_put_time(&w, "timestamp", clock_wall_us());
	json_open_record(&w, "data");
	json_close_record(&w);
	json_close_record(&w);
}

static void send_test(struct ctl *c, struct tested *t, struct webhook_result *result)
{
	unsigned char random[ID_KEY_BYTES];
	char encoded[ID_KEY_BYTES * 2], id[ID_KEY_BYTES * 2 + 8];
	struct buf body;

	digest_random(random, sizeof(random));
	(void)digest_base64url(random, sizeof(random), encoded);
	(void)snprintf(id, sizeof(id), "test_%s", encoded);
	buf_init(&body, SQL_MAX);
	put_test_body(&body);
	t->w.url = t->url;
	t->w.ca_file = c->config->outgoing_ca_file;
	t->w.id = id;
	t->w.body = buf_text(&body);
	webhook_send(&t->w, result);
	buf_free(&body);
}

int ctl_endpoint_test(struct ctl *c)
{
	struct webhook_result result;
	struct tested t = {.found = false};
	struct listing *l;
	int64_t id;
	int found;

	if (only_endpoint(c, &id) != CTL_OK)
		return CTL_FAILED;
	found = read_tested(c, id, &t);
	if (found != CTL_OK)
		return found;
	send_test(c, &t, &result);
	l = listing_new("test");
	listing_row(l);
	listing_flag(l, "taken", "taken", result.taken);
	listing_int(l, "status", "status", result.status);
	listing_int(l, "tookMs", "ms", result.took_us / CLOCK_US_PER_MS);
	listing_text(l, "error", "error", result.error);
	listing_print_single(l, c->json);
	listing_free(l);
	return result.taken ? CTL_OK : CTL_NO;
}

/* ---- deliveries, replay ---------------------------------------------------------------------------- */

static int take_delivery_row(void *context, const struct db_row *row)
{
	struct listing *l = context;
	char id[ID_PUBLIC_MAX];
	struct account_key key;

	memcpy(key.bytes, row->field[3], sizeof(key.bytes));
	id_public_format(&key, db_int(row, 4), id);
	listing_row(l);
	listing_int(l, "id", "delivery", db_int(row, 0));
	listing_int(l, "endpoint", "endpoint", db_int(row, 1));
	listing_text(l, "alert", "alert", id);
	listing_text(l, "account", "account", row->field[2]);
	listing_text(l, "kind", "kind", kind_name(db_int(row, 5)));
	listing_text(l, "state", "state", delivery_states[db_int(row, 6)]);
	listing_int(l, "attempts", "attempts", db_int(row, 7));
	listing_int(l, "status", "status", db_int(row, 8));
	listing_int(l, "tookMs", "ms", db_int(row, 9) / CLOCK_US_PER_MS);
	listing_text(l, "error", "error", row->field[10]);
	listing_time(l, "nextAt", "next", db_int(row, 6) == DELIVERY_PENDING ? db_int(row, 11) : 0);
	listing_time(l, "attemptedAt", "attempted", db_int(row, 12));
	listing_time(l, "createdAt", "created", db_int(row, 13));
	return CTL_OK;
}

static void put_deliveries_query(struct buf *sql, int64_t id, bool failed, int64_t limit)
{
	sql_literal(sql, "SELECT v.id, v.endpoint_id, COALESCE(a.external_id, ''), v.account_id, v.alert_seq,"
	                 " COALESCE(l.kind, o.kind + ");
	sql_int(sql, OPERATOR_KIND_FIRST);
	sql_literal(sql, "), v.state, v.attempts, v.status, v.took_us, v.error, v.next_at_us, v.attempted_at_us,"
	                 " v.created_at_us FROM deliveries v LEFT JOIN accounts a ON a.id = v.account_id"
	                 " LEFT JOIN alerts l ON l.account_id = v.account_id AND l.seq = v.alert_seq"
	                 " LEFT JOIN operator_alerts o ON v.account_id = " OPERATOR_ACCOUNT " AND o.id = v.alert_seq"
	                 " WHERE (l.seq IS NOT NULL OR o.id IS NOT NULL) AND v.endpoint_id = ");
	sql_int(sql, id);
	if (failed) {
		sql_literal(sql, " AND v.error <> '' AND v.state <> ");
		sql_int(sql, DELIVERY_DONE);
	}
	sql_literal(sql, " ORDER BY v.id DESC LIMIT ");
	sql_int(sql, limit);
}

int ctl_endpoint_deliveries(struct ctl *c)
{
	const char *name = NULL, *limit_text = NULL;
	bool failed = false;
	const struct ctl_option options[] = {
		{.name = "--failed", .flag = &failed}, {.name = "--limit", .value = &limit_text}, {0}};
	int64_t id, limit = LIST_LIMIT;
	struct listing *l;
	struct buf sql;
	int result;

	if (ctl_arguments(c, options, &name, 1, 1) < 0 || parse_endpoint(name, &id) != 0)
		return CTL_FAILED;
	if (limit_text != NULL && ctl_integer(limit_text, "--limit", 1, LIST_LIMIT_MAX, &limit) != 0)
		return CTL_FAILED;
	buf_init(&sql, SQL_MAX);
	put_deliveries_query(&sql, id, failed, limit);
	l = listing_new("deliveries");
	result = ctl_rows(c, &sql, take_delivery_row, l);
	if (result == CTL_OK)
		listing_print(l, c);
	buf_free(&sql);
	listing_free(l);
	return result;
}

/* Alerts of before the endpoint, or of while it was off, have no delivery yet. */
static void put_missed(struct buf *sql, int64_t id, int64_t since_us, bool operators)
{
	sql_literal(sql, "INSERT IGNORE INTO deliveries (endpoint_id, account_id, alert_seq, next_at_us, created_at_us)"
	                 " SELECT e.id, ");
	if (operators) {
		sql_literal(sql, OPERATOR_ACCOUNT ", l.id, " NOW ", " NOW " FROM endpoints e JOIN operator_alerts l"
		                                  " ON e.kinds = 0 OR (e.kinds >> (l.kind + ");
		sql_int(sql, OPERATOR_KIND_FIRST);
		sql_literal(sql, ")) & 1 WHERE e.id = ");
	} else {
		sql_literal(sql, "l.account_id, l.seq, " NOW ", " NOW " FROM endpoints e JOIN alerts l"
		                 " ON e.kinds = 0 OR (e.kinds >> l.kind) & 1 WHERE e.id = ");
	}
	sql_int(sql, id);
	sql_literal(sql, " AND l.told = 1 AND l.created_at_us >= ");
	sql_int(sql, since_us);
}

static int add_missed(struct ctl *c, int64_t id, int64_t since_us, int64_t *count)
{
	int result = CTL_OK;
	struct buf sql;

	*count = 0;
	buf_init(&sql, SQL_MAX);
	for (int operators = 0; operators < 2 && result == CTL_OK; operators++) {
		int64_t added = 0;

		buf_reset(&sql);
		put_missed(&sql, id, since_us, operators != 0);
		result = change_rows(c, &sql, &added);
		*count += added;
	}
	buf_free(&sql);
	return result;
}

/* since_us 0: the one delivery, whatever became of it; else all of the endpoint that failed since then. */
static int repeat_deliveries(struct ctl *c, int64_t endpoint, int64_t delivery, int64_t since_us, int64_t *count)
{
	struct buf sql;
	int result;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "UPDATE deliveries SET attempts = 0, claimed_until_us = 0, next_at_us = " NOW ", state = ");
	sql_int(&sql, DELIVERY_PENDING);
	sql_literal(&sql, " WHERE endpoint_id = ");
	sql_int(&sql, endpoint);
	if (delivery != 0) {
		sql_literal(&sql, " AND claimed_until_us <= " NOW " AND id = ");
		sql_int(&sql, delivery);
	} else {
		sql_literal(&sql, " AND created_at_us >= ");
		sql_int(&sql, since_us);
		sql_literal(&sql, " AND state = ");
		sql_int(&sql, DELIVERY_FAILED);
	}
	result = change_rows(c, &sql, count);
	buf_free(&sql);
	return result;
}

int ctl_endpoint_replay(struct ctl *c)
{
	const char *names[2] = {NULL, NULL}, *since = NULL;
	const struct ctl_option options[] = {{.name = "--since", .value = &since}, {0}};
	const int operands = ctl_arguments(c, options, names, 1, 2);
	int64_t id, delivery = 0, since_us = 0, missed = 0, repeated = 0;
	struct tested t = {.found = false};
	struct listing *l;
	int result;

	if (operands < 0 || parse_endpoint(names[0], &id) != 0)
		return CTL_FAILED;
	if ((since != NULL) == (operands == 2))
		return ctl_fail("endpoint replay needs a delivery, or --since");
	if (operands == 2 && ctl_integer(names[1], "DELIVERY", 1, INT64_MAX, &delivery) != 0)
		return CTL_FAILED;
	if (since != NULL && (clock_parse(since, strlen(since), &since_us) != 0 || since_us < 0))
		return ctl_wrong("--since needs a time (2026-11-21, or RFC 3339), not \"%s\"", since);
	result = read_tested(c, id, &t);
	if (result == CTL_OK)
		result = repeat_deliveries(c, id, delivery, since_us, &repeated);
	if (result == CTL_OK && since != NULL)
		result = add_missed(c, id, since_us, &missed);
	if (result != CTL_OK)
		return result;
	if (delivery != 0 && repeated == 0) {
		(void)ctl_fail("no delivery of that number is at rest");
		return CTL_NO;
	}
	l = listing_new("replay");
	listing_row(l);
	listing_int(l, "repeated", "repeated", repeated);
	listing_int(l, "missed", "never posted before", missed);
	listing_print_single(l, c->json);
	listing_free(l);
	return CTL_OK;
}
