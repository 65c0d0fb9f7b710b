/*
 * reports: an operator's reports on all accounts: use against plans, use by members and actions, and margins.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "options.h"
#include "prices/book.h"
#include "prices/plan_json.h"
#include "queries/insight.h"
#include "reports/margins.h"
#include "routes/api/call.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/api/span.h"
#include "routes/api/steps.h"
#include "routes/routes.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX 200 /* so that a page fits into a request's memory */
#define ACTIONS_MAX 1000
#define PLANS_MAX 200

static void put_cursor(struct json_writer *w, bool more, const char *last)
{
	if (more)
		json_put_text(w, "nextCursor", last);
	else
		json_put_null(w, "nextCursor");
}

/* ---- GET /api/admin/reports/capacity ---------------------------------------------------------- */

static void put_capacity(struct json_writer *w, const struct call *c, const struct report_capacity *r,
                         const char *expected_key)
{
	json_put_int(w, expected_key, r->expected);
	json_put_int(w, "allowedMicros", r->allowed);
	json_put_int(w, "leftMicros", r->left);
	json_put_int(w, "usedPercentTenths", r->used_tenths);
	json_put_int(w, "marginPercent", r->margin_percent);
	json_put_text(w, "verdict", report_verdict_name(r->verdict));
	json_put_text(w, "verdictText", report_verdict_text(r->verdict, c->french));
}

struct plan_list {
	struct json_writer *w;
	const struct call *c;
	int left;
};

static void put_plan(const struct plan_list *l, const struct plan *p, enum plan_scope scope)
{
	struct report_capacity r;

	if (!report_plan(p, scope, &r))
		return;
	json_open_record(l->w, NULL);
	json_put_text(l->w, "plan", p->name);
	render_put_given(l->w, "title", p->title);
	json_put_text(l->w, "scope", plan_json_scope_name(scope));
	json_put_bool(l->w, "assumed", scope != p->scope);
	json_put_text(l->w, "unit", price_unit_name(p->unit));
	json_put_int(l->w, "managers", p->managers_to);
	json_put_int(l->w, "members", p->seats_to > 0 ? p->seats_to : p->seats_from);
	put_capacity(l->w, l->c, &r, "expectedMicros");
	json_close_record(l->w);
}

static int visit_plan(void *context, const struct plan *p)
{
	struct plan_list *l = context;

	if (l->left-- == 0)
		return 1;
	for (int scope = PLAN_POOL; scope <= PLAN_MIXED; scope++)
		put_plan(l, p, (enum plan_scope)scope);
	return 0;
}

static void put_workspace(struct json_writer *w, const struct call *c, const struct insight_workspace *row)
{
	const micros projected =
		report_project(row->used_micros, row->period_start_us, row->period_end_us, row->now_us);
	struct report_capacity r;

	report_capacity(projected, row->allowed_micros, &r);
	json_open_record(w, NULL);
	json_put_text(w, "account", row->account);
	json_put_text(w, "plan", row->plan);
	json_put_text(w, "unit", price_unit_name(row->unit));
	json_put_int(w, "managers", row->managers);
	json_put_int(w, "members", row->members);
	json_put_time(w, "from", row->period_start_us);
	json_put_time(w, "to", row->period_end_us);
	json_put_int(w, "usedMicros", row->used_micros);
	put_capacity(w, c, &r, "projectedMicros");
	json_close_record(w);
}

static void put_capacities(struct call *c, const struct book *book, const struct insight_workspace *rows, int count,
                           bool more)
{
	struct json_writer w;
	struct plan_list plans = {.w = &w, .c = c, .left = PLANS_MAX};

	render_open(c, &w);
	json_open_list(&w, "plans");
	(void)book_each_plan(book, visit_plan, &plans);
	json_close_list(&w);
	json_open_list(&w, "workspaces");
	for (int i = 0; i < count; i++)
		put_workspace(&w, c, &rows[i]);
	json_close_list(&w);
	put_cursor(&w, more, count > 0 ? rows[count - 1].account : "");
	render_close(&w);
}

void reports_capacity(struct call *c)
{
	struct insight_workspace *rows = NULL;
	struct account_key after;
	const char *cursor;
	struct book *book = NULL;
	struct parse p;
	struct db *d;
	int limit, count = 0, result;
	bool more = false;

	parse_query(&p, c->request);
	limit = (int)parse_int(&p, "limit", 1, PAGE_MAX, PAGE_DEFAULT);
	cursor = parse_account(&p, "cursor");
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	if (cursor != NULL)
		after = id_account_key(cursor, strlen(cursor));
	d = call_reader(c);
	if (d == NULL)
		return;
	result = insight_workspaces(d, c->request->arena, cursor != NULL ? &after : NULL, limit, &rows, &count, &more);
	pool_give(c->readers, d);
	if (result == 0)
		book = ledger_book(c->ledger, 0, c->request->deadline_us);
	if (book == NULL)
		render_outcome(c, OUTCOME_UNAVAILABLE);
	else
		put_capacities(c, book, rows, count, more);
	book_release(book);
}

/* ---- GET /api/admin/reports/members ------------------------------------------------------------ */

static void put_report_action(struct json_writer *w, const struct insight_action *a)
{
	json_open_record(w, NULL);
	json_put_text(w, "member", a->member);
	if (a->role >= 0)
		json_put_text(w, "role", names_role(a->role));
	else
		json_put_null(w, "role");
	json_put_text(w, a->kind == PRICE_MODEL ? "model" : "action", a->item);
	if (a->kind == PRICE_ACTION)
		json_put_int(w, "quantity", a->quantity);
	json_put_int(w, "requests", a->requests);
	json_put_int(w, "inputTokens", a->input_tokens);
	json_put_int(w, "outputTokens", a->output_tokens);
	json_put_int(w, "costMicros", a->cost_micros);
	json_close_record(w);
}

struct members {
	const char *name;
	struct reader_account account;
	struct reader_span span;
	struct insight_action *rows;
	int count;
	bool more;
};

/* False, rendered, when there is nothing to answer. */
static bool read_report_members(struct call *c, struct db *d, struct members *m)
{
	const struct account_key key = id_account_key(m->name, strlen(m->name));

	if (reader_account(d, c->request->arena, &key, &m->account) < 0) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return false;
	}
	if (!m->account.found) {
		render_outcome(c, OUTCOME_NOT_FOUND);
		return false;
	}
	if (!span_complete(c, options_zone_of(c->config, &m->account), m->account.now_us, &m->span))
		return false;
	if (insight_members(d, c->request->arena, &key, &m->span, ACTIONS_MAX, &m->rows, &m->count, &m->more) == 0)
		return true;
	render_outcome(c, OUTCOME_UNAVAILABLE);
	return false;
}

void reports_members(struct call *c)
{
	struct members m = {.count = 0};
	struct json_writer w;
	struct parse p;
	struct db *d;
	bool read;

	parse_query(&p, c->request);
	m.name = parse_account(&p, "account");
	parse_need(&p, "account");
	span_parse(&p, &m.span);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	d = call_reader(c);
	if (d == NULL)
		return;
	read = read_report_members(c, d, &m);
	pool_give(c->readers, d);
	if (!read)
		return;
	render_open(c, &w);
	json_put_text(&w, "account", m.name);
	json_put_text(&w, "unit", price_unit_name(m.account.unit));
	json_put_time(&w, "from", m.span.from_us);
	json_put_time(&w, "to", m.span.to_us);
	json_put_bool(&w, "complete", !m.more);
	json_open_list(&w, "items");
	for (int i = 0; i < m.count; i++)
		put_report_action(&w, &m.rows[i]);
	json_close_list(&w);
	render_close(&w);
}

/* ---- GET /api/admin/reports/margin -------------------------------------------------------------- */

static void put_margin(struct json_writer *w, const struct report_margin *m)
{
	struct report_result r;

	report_close(m, &r);
	json_put_int(w, "requests", m->requests);
	json_put_int(w, "usedMicros", r.used);
	json_put_int(w, "givenMicros", r.given);
	json_put_int(w, "feesMicros", r.fees);
	json_put_int(w, "revenueMicros", r.revenue);
	json_put_int(w, "providerMicros", r.provider);
	json_put_int(w, "marginMicros", r.margin);
	if (r.has_percent)
		json_put_int(w, "marginPercentTenths", r.margin_tenths);
	else
		json_put_null(w, "marginPercentTenths");
}

/* A name may be empty, a parameter may not: the cursor is a dot and the name. */
static void put_margin_cursor(struct json_writer *w, bool more, const char *last)
{
	char cursor[PRICE_ITEM_MAX + 1];

	snprintf(cursor, sizeof(cursor), ".%s", last);
	put_cursor(w, more, cursor);
}

static void parse_margin_cursor(struct parse *p, struct margins_options *o)
{
	const char *cursor = parse_bytes(p, "cursor", PRICE_ITEM_MAX);

	if (cursor != NULL && cursor[0] != '.')
		parse_wrong(p, "cursor", PARSE_CURSOR);
	else if (cursor != NULL)
		o->after = cursor + 1;
}

static void put_margins(struct call *c, const struct margins_options *o, const struct margins_row *rows, int count,
                        bool more)
{
	const struct report_margin total = margins_total(rows, count);
	struct json_writer w;

	render_open(c, &w);
	json_put_text(&w, "currency", c->config->currency);
	json_put_time(&w, "from", o->span.from_us);
	json_put_time(&w, "to", o->span.to_us);
	json_open_list(&w, "items");
	for (int i = 0; i < count; i++) {
		json_open_record(&w, NULL);
		json_put_text(&w, "key", rows[i].name);
		put_margin(&w, &rows[i].sums);
		json_close_record(&w);
	}
	json_close_list(&w);
	json_open_record(&w, "total");
	put_margin(&w, &total);
	json_close_record(&w);
	put_margin_cursor(&w, more, count > 0 ? rows[count - 1].name : "");
	render_close(&w);
}

void reports_margin(struct call *c)
{
	struct margins_options o = {.credit_value_ppm = c->config->credit_value,
	                            .decimals = stripe_decimals(c->config->currency)};
	struct margins_row *rows = NULL;
	bool more = false, span = true;
	int count = 0, result;
	int64_t now_us = 0;
	struct parse p;
	struct db *d;

	parse_query(&p, c->request);
	o.by = (enum insight_grouping)parse_name(&p, "by", margins_by, INSIGHT_MODEL);
	o.limit = (int)parse_int(&p, "limit", 1, PAGE_MAX, PAGE_DEFAULT);
	parse_margin_cursor(&p, &o);
	span_parse(&p, &o.span);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	d = call_reader(c);
	if (d == NULL)
		return;
	result = insight_now(d, &now_us);
	if (result == 0)
		span = span_complete(c, options_zone(c->config), now_us, &o.span);
	if (result == 0 && span)
		result = margins_read(d, c->request->arena, &o, &rows, &count, &more);
	pool_give(c->readers, d);
	if (result < 0)
		render_outcome(c, OUTCOME_UNAVAILABLE);
	else if (span)
		put_margins(c, &o, rows, count, more);
}
