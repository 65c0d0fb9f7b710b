#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "db/sql.h"
#include "inbox/inbox.h"

#define LIST_LIMIT 100
#define LIST_LIMIT_MAX 100000
#define ARENA_BYTES ((size_t)1024 * 1024)

static const char *const states[] = {
	[EVENT_APPLIED] = "applied",
	[EVENT_IGNORED] = "ignored",
	[EVENT_PARKED] = "parked",
	[EVENT_WAITING] = "waiting",
};
static const char *const providers[] = {[PROVIDER_STRIPE] = "stripe", [PROVIDER_CLERK] = "clerk"};

static int take_event(void *context, const struct db_row *row)
{
	struct listing *l = context;

	listing_row(l);
	listing_text(l, "id", "event", row->field[0]);
	listing_text(l, "provider", "from",
	             providers[db_int(row, 1) == PROVIDER_CLERK ? PROVIDER_CLERK : PROVIDER_STRIPE]);
	listing_text(l, "type", "type", row->field[2]);
	listing_text(l, "account", "account", row->field[3]);
	listing_text(l, "state", "state", states[db_int(row, 4)]);
	listing_text(l, "note", "why", row->field[5]);
	listing_time(l, "createdAt", "created", db_int(row, 6));
	listing_time(l, "receivedAt", "received", db_int(row, 7));
	return CTL_OK;
}

int ctl_webhook_list(struct ctl *c)
{
	const char *limit_text = NULL;
	bool all = false;
	const struct ctl_option options[] = {
		{.name = "--all", .flag = &all}, {.name = "--limit", .value = &limit_text}, {0}};
	int64_t limit = LIST_LIMIT;
	struct listing *l;
	struct buf sql;
	int result;

	if (ctl_arguments(c, options, NULL, 0, 0) < 0)
		return CTL_FAILED;
	if (limit_text != NULL && ctl_integer(limit_text, "--limit", 1, LIST_LIMIT_MAX, &limit) != 0)
		return CTL_FAILED;
	buf_init(&sql, 2048);
	sql_literal(&sql, "SELECT e.event_id, e.provider, e.type, COALESCE(a.external_id, ''), e.state, e.note,"
	                  " e.created_at_us, e.received_at_us FROM webhook_events e"
	                  " LEFT JOIN accounts a ON a.id = e.account_id");
	if (!all) {
		sql_literal(&sql, " WHERE e.state = ");
		sql_int(&sql, EVENT_PARKED);
	}
	sql_literal(&sql, " ORDER BY e.received_at_us DESC, e.event_id LIMIT ");
	sql_int(&sql, limit);
	l = listing_new("events");
	result = ctl_rows(c, &sql, take_event, l);
	if (result == CTL_OK)
		listing_print(l, c);
	buf_free(&sql);
	listing_free(l);
	return result;
}

/* ---- taking up again --------------------------------------------------------------------------- */

/* Ids of the events to take up again; their bodies are read one at a time. */
struct names {
	char **ids;
	size_t count, room;
};

static int take_name(void *context, const struct db_row *row)
{
	struct names *n = context;

	if (n->count == n->room) {
		n->room = n->room == 0 ? 64 : n->room * 2;
		n->ids = ctl_must(realloc(n->ids, n->room * sizeof(*n->ids)));
	}
	n->ids[n->count++] = ctl_must(strdup(row->field[0]));
	return CTL_OK;
}

static void free_names(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->ids[i]);
	free(n->ids);
}

/* Finds Stripe's parked events: the one with that id, or all (id NULL), oldest first. */
static int find_names(struct ctl *c, const char *id, struct names *n)
{
	struct buf sql;
	int result;

	buf_init(&sql, 2048);
	sql_literal(&sql, "SELECT event_id FROM webhook_events WHERE state = ");
	sql_int(&sql, EVENT_PARKED);
	sql_literal(&sql, " AND provider = ");
	sql_int(&sql, PROVIDER_STRIPE);
	if (id != NULL) {
		sql_literal(&sql, " AND event_id = ");
		sql_text(&sql, id);
	}
	sql_literal(&sql, " ORDER BY created_at_us, event_id");
	result = ctl_rows(c, &sql, take_name, n);
	buf_free(&sql);
	return result;
}

static int take_event_body(void *context, const struct db_row *row)
{
	*(char **)context = ctl_must(strdup(row->field[0]));
	return CTL_OK;
}

static int find_body(struct ctl *c, const char *id, char **body)
{
	unsigned char key[ID_KEY_BYTES];
	struct buf sql;
	int result;

	command_event_key(PROVIDER_STRIPE, id, key);
	buf_init(&sql, 512);
	sql_literal(&sql, "SELECT body FROM webhook_events WHERE event_key = ");
	sql_bytes(&sql, key, sizeof(key));
	result = ctl_rows(c, &sql, take_event_body, body);
	buf_free(&sql);
	return result;
}

/* Takes the event in as if it came now.  CTL_NO: it stays parked.  CTL_FAILED: the database failed. */
static int replay(struct ctl *c, const char *id, struct listing *l)
{
	const struct inbox in = {
		.ledger = ctl_ledger(c),
		.readers = c->pool,
		.plans = c->config->plan_prices,
		.livemode = inbox_livemode(c->config->stripe_secret_key),
	};
	struct arena *arena = arena_new(ARENA_BYTES);
	struct inbox_result r = {.outcome = OUTCOME_INVALID_REQUEST};
	char error[JSON_ERROR_MAX];
	struct json *event = NULL;
	char *body = NULL;
	int result = find_body(c, id, &body);

	if (body != NULL)
		event = json_parse(body, strlen(body), false, error);
	if (event != NULL && arena != NULL)
		inbox_take(&in, arena, event, body, clock_monotonic_us() + CTL_LEDGER_TIMEOUT_US, &r);
	if (r.outcome == OUTCOME_UNAVAILABLE)
		result = ctl_fail("%s could not be taken up: the database did not answer", id);
	listing_row(l);
	listing_text(l, "id", "event", id);
	listing_text(l, "state", "state", r.outcome == OUTCOME_OK ? states[r.state] : "parked");
	listing_text(l, "note", "why", r.outcome == OUTCOME_OK && r.note != NULL ? r.note : "");
	json_free(event);
	arena_free(arena);
	free(body);
	return result == CTL_OK && (r.outcome != OUTCOME_OK || r.state == EVENT_PARKED) ? CTL_NO : result;
}

int ctl_webhook_replay(struct ctl *c)
{
	bool all = false;
	const struct ctl_option options[] = {{.name = "--all", .flag = &all}, {0}};
	struct names names = {0};
	const char *id = NULL;
	int result, count = ctl_arguments(c, options, &id, 0, 1);
	struct listing *l;

	if (count < 0)
		return CTL_FAILED;
	if (all == (count == 1))
		return ctl_fail("webhook replay needs an event's id, or --all");
	result = find_names(c, id, &names);
	if (result == CTL_OK && id != NULL && names.count == 0) {
		(void)ctl_fail("no event of Stripe's with that id is parked");
		result = CTL_NO;
	}
	l = listing_new("events");
	for (size_t i = 0; i < names.count && result != CTL_FAILED; i++) {
		const int one = replay(c, names.ids[i], l);

		result = one != CTL_OK ? one : result;
	}
	if (names.count > 0)
		listing_print(l, c);
	listing_free(l);
	free_names(&names);
	return result;
}
