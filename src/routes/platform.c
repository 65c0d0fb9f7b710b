/*
 * platform: lists for an operator's pages: the state of all accounts, and the things that wait for a person.
 */
#include "queries/platform.h"

#include <string.h>

#include "base/check.h"
#include "ledger/names.h"
#include "queries/insight.h"
#include "routes/api/call.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/api/span.h"
#include "routes/api/steps.h"
#include "routes/platform.h"
#include "routes/routes.h"

#define PAGE_DEFAULT 50
#define PAGE_MAX 200 /* so that a page fits into a request's memory */
#define GROUPS_MAX 200
#define MATCH_MAX 128

/* ---- rendering ----------------------------------------------------------------------------------------- */

static void put_cell(struct json_writer *w, const struct platform_column *column, const struct platform_cell *cell,
                     const struct account_key *key)
{
	switch (column->kind) {
	case PLATFORM_TEXT:
		render_put_given(w, column->key, cell->text);
		return;
	case PLATFORM_KEY:
		json_put_text(w, column->key, cell->text);
		return;
	case PLATFORM_INT:
		json_put_int(w, column->key, cell->number);
		return;
	case PLATFORM_TIME:
		json_put_time(w, column->key, cell->number);
		return;
	case PLATFORM_ID:
		render_put_id(w, column->key, key, cell->number);
		return;
	case PLATFORM_NAME:
		render_put_given(w, column->key, column->name(cell->number));
		return;
	}
	UNREACHABLE("no such kind");
}

void platform_put(struct json_writer *w, const char *name, enum platform_list list, const struct platform_page *page,
                  const struct account_key *key)
{
	const struct platform_column *columns = platform_columns(list);

	json_open_list(w, name);
	for (int i = 0; i < page->count; i++) {
		json_open_record(w, NULL);
		for (unsigned j = 0; columns[j].key != NULL; j++)
			put_cell(w, &columns[j], &page->rows[i].cells[j], key);
		json_close_record(w);
	}
	json_close_list(w);
}

/* Answers a list of all accounts: the newest rows, or all groups. */
static void serve_list(struct call *c, enum platform_list list, int limit)
{
	struct platform_page page;
	struct json_writer w;
	struct db *d = call_reader(c);
	int result;

	if (d == NULL)
		return;
	result = platform_read(d, c->request->arena, list, NULL, NULL, limit, &page);
	pool_give(c->readers, d);
	if (result < 0) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	render_open(c, &w);
	json_put_text(&w, "currency", c->config->currency);
	platform_put(&w, "items", list, &page, NULL);
	json_put_bool(&w, "complete", !page.more);
	render_close(&w);
}

/* As serve_list, with a limit of the caller's. */
static void serve_newest(struct call *c, enum platform_list list)
{
	struct parse p;
	int limit;

	parse_query(&p, c->request);
	limit = (int)parse_int(&p, "limit", 1, PAGE_MAX, PAGE_DEFAULT);
	if (!parse_ok(&p))
		render_wrong(c, &p);
	else
		serve_list(c, list, limit);
}

/* ---- the newest of each kind --------------------------------------------------------------------------- */

void platform_charges(struct call *c)
{
	serve_newest(c, PLATFORM_CHARGES);
}

void platform_outbox(struct call *c)
{
	serve_newest(c, PLATFORM_OUTBOX);
}

void platform_events(struct call *c)
{
	serve_newest(c, PLATFORM_EVENTS);
}

void platform_alerts(struct call *c)
{
	serve_newest(c, PLATFORM_ALERTS);
}

void platform_operator_alerts(struct call *c)
{
	serve_newest(c, PLATFORM_OPERATOR);
}

void platform_prices(struct call *c)
{
	serve_newest(c, PLATFORM_PRICES);
}

/* ---- reports ------------------------------------------------------------------------------------------- */

void platform_states(struct call *c)
{
	serve_list(c, PLATFORM_STATES, GROUPS_MAX);
}

void platform_ages(struct call *c)
{
	serve_list(c, PLATFORM_AGES, GROUPS_MAX);
}

static void put_settlements(struct call *c, const struct reader_span *span, const struct platform_page *page)
{
	struct json_writer w;

	render_open(c, &w);
	json_put_text(&w, "currency", c->config->currency);
	json_put_time(&w, "from", span->from_us);
	json_put_time(&w, "to", span->to_us);
	platform_put(&w, "items", PLATFORM_SETTLEMENTS, page, NULL);
	render_close(&w);
}

void platform_settlements(struct call *c)
{
	const struct zone *z = zone_find(c->config->time_zone);
	struct reader_span span = {.member = NULL};
	struct platform_page page;
	int64_t now_us = 0;
	bool complete = true;
	struct parse p;
	struct db *d;
	int result;

	CHECK(z != NULL); /* octroi does not start without it */
	parse_query(&p, c->request);
	span_parse(&p, &span);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	d = call_reader(c);
	if (d == NULL)
		return;
	result = insight_now(d, &now_us);
	if (result == 0)
		complete = span_complete(c, z, now_us, &span);
	if (result == 0 && complete)
		result = platform_read(d, c->request->arena, PLATFORM_SETTLEMENTS, NULL, &span, GROUPS_MAX, &page);
	pool_give(c->readers, d);
	if (result < 0)
		render_outcome(c, OUTCOME_UNAVAILABLE);
	else if (complete)
		put_settlements(c, &span, &page);
}

/* ---- accounts ------------------------------------------------------------------------------------------ */

enum state { STATE_ANY, STATE_ACTIVE, STATE_SUSPENDED, STATE_PAST_DUE, STATE_UNPAID, STATE_DEBT };

static int state_number(const char *name)
{
	static const char *const names[] = {"any", "active", "suspended", "past_due", "unpaid", "debt"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -1;
}

static int64_t status_of(enum state state)
{
	static const int64_t statuses[] = {
		[STATE_ANY] = -1,
		[STATE_ACTIVE] = STATUS_ACTIVE,
		[STATE_SUSPENDED] = STATUS_SUSPENDED,
		[STATE_PAST_DUE] = STATUS_PAST_DUE,
		[STATE_UNPAID] = STATUS_UNPAID,
		[STATE_DEBT] = -1,
	};

	return statuses[state];
}

static void serve_accounts(struct call *c, const struct platform_search *search)
{
	struct platform_page page;
	struct json_writer w;
	const char *next = "";
	struct db *d = call_reader(c);
	int result;

	if (d == NULL)
		return;
	result = platform_accounts(d, c->request->arena, search, &page, &next);
	pool_give(c->readers, d);
	if (result < 0) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	render_open(c, &w);
	json_put_text(&w, "currency", c->config->currency);
	platform_put(&w, "items", PLATFORM_ACCOUNTS, &page, NULL);
	if (next[0] != '\0')
		json_put_text(&w, "nextCursor", next);
	else
		json_put_null(&w, "nextCursor");
	render_close(&w);
}

void platform_search(struct call *c)
{
	struct platform_search search = {0};
	struct account_key after;
	enum state state;
	const char *cursor;
	struct parse p;

	parse_query(&p, c->request);
	search.limit = (int)parse_int(&p, "limit", 1, PAGE_MAX, PAGE_DEFAULT);
	search.match = parse_text(&p, "match", 1, MATCH_MAX);
	state = (enum state)parse_name(&p, "state", state_number, STATE_ANY);
	cursor = parse_account(&p, "cursor");
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	if (cursor != NULL) {
		after = id_account_key(cursor, strlen(cursor));
		search.after = &after;
	}
	search.status = status_of(state);
	search.debt = state == STATE_DEBT;
	serve_accounts(c, &search);
}
