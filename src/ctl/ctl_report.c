#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "clients/stripe.h"
#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "ctl/target.h"
#include "ledger/names.h"
#include "prices/plan_json.h"
#include "queries/insight.h"
#include "reports/margins.h"

#define DOCUMENT_MAX ((size_t)16 << 20)
#define ARENA_MAX ((size_t)64 << 20)
#define LIST_LIMIT 1000
#define LIST_LIMIT_MAX 10000

/* ---- common to all reports ------------------------------------------------------------------------- */

static int read_time(const char *text, const char *option, int64_t *time_us)
{
	if (text == NULL || (clock_parse(text, strlen(text), time_us) == 0 && *time_us > 0))
		return CTL_OK;
	return ctl_fail("%s must be a time such as 2026-12-01 or 2026-12-01T08:00:00Z, not '%s'", option, text);
}

/* Reads --from and --to.  The default of --to is the present; that of --from is the beginning of the month in which
 * the span ends. */
static int read_span(struct ctl *c, const char *from, const char *to, const struct zone *z, struct reader_span *span)
{
	int64_t now_us;

	if (z == NULL || read_time(from, "--from", &span->from_us) != CTL_OK ||
	    read_time(to, "--to", &span->to_us) != CTL_OK || ctl_now(c, &now_us) != CTL_OK)
		return CTL_FAILED;
	if (span->to_us == 0)
		span->to_us = now_us + 1;
	if (span->from_us == 0)
		span->from_us = zone_instant(z, zone_local_month(zone_local(z, span->to_us - 1)));
	if (span->to_us <= span->from_us)
		return ctl_fail("--to must be later than --from");
	if (span->to_us - span->from_us > INSIGHT_SPAN_MAX_US)
		return ctl_fail("--from and --to must be at most 400 days apart");
	return CTL_OK;
}

static int read_limit(const char *text, int64_t *limit)
{
	*limit = LIST_LIMIT;
	return text == NULL || ctl_integer(text, "--limit", 1, LIST_LIMIT_MAX, limit) == 0 ? CTL_OK : CTL_FAILED;
}

static struct arena *large_arena(void)
{
	struct arena *arena = arena_new(ARENA_MAX);

	if (arena == NULL)
		(void)ctl_fail("out of memory");
	return arena;
}

static void say_more(bool more)
{
	if (more)
		(void)fputs("octroictl: there are more; see --limit\n", stderr);
}

/* ---- capacity ---------------------------------------------------------------------------------- */

static void list_capacity(struct listing *l, const char *key, const char *heading, const struct report_capacity *r)
{
	listing_amount(l, key, heading, r->expected);
	listing_amount(l, "allowedMicros", "allowed", r->allowed);
	listing_amount(l, "leftMicros", "left", r->left);
	listing_tenths(l, "usedPercentTenths", "used", true, r->used_tenths);
	listing_int(l, "marginPercent", "margin %", r->margin_percent);
	listing_text(l, "verdict", "verdict", report_verdict_name(r->verdict));
	listing_text(l, "verdictText", "in French", report_verdict_text(r->verdict, true));
}

/* Adds a row for the plan as it is; for a pool, also one as if each member had the pool's credits. */
static int visit_plan(void *context, const struct plan *p)
{
	struct listing *l = context;

	for (int scope = PLAN_POOL; scope <= PLAN_MIXED; scope++) {
		struct report_capacity r;

		if (!report_plan(p, (enum plan_scope)scope, &r))
			continue;
		listing_row(l);
		listing_text(l, "plan", "plan", p->name);
		listing_text(l, "scope", "scope", plan_json_scope_name((enum plan_scope)scope));
		listing_text(l, "assumed", "what if", scope != (int)p->scope ? "yes" : "no");
		listing_int(l, "managers", "managers", p->managers_to);
		listing_int(l, "members", "members", p->seats_to > 0 ? p->seats_to : p->seats_from);
		list_capacity(l, "expectedMicros", "expected", &r);
	}
	return 0;
}

static void list_workspace(struct listing *l, const struct insight_workspace *row)
{
	struct report_capacity r;

	report_capacity(report_project(row->used_micros, row->period_start_us, row->period_end_us, row->now_us),
	                row->allowed_micros, &r);
	listing_row(l);
	listing_text(l, "account", "account", row->account);
	listing_text(l, "plan", "plan", row->plan);
	listing_int(l, "managers", "managers", row->managers);
	listing_int(l, "members", "members", row->members);
	listing_time(l, "from", "from", row->period_start_us);
	listing_time(l, "to", "to", row->period_end_us);
	listing_amount(l, "usedMicros", "used so far", row->used_micros);
	list_capacity(l, "projectedMicros", "projected", &r);
}

static int print_both(struct ctl *c, const struct listing *plans, const struct listing *workspaces)
{
	struct json_writer w;
	struct buf out;
	int result;

	if (!c->json) {
		listing_print(plans, false);
		(void)putchar('\n');
		listing_print(workspaces, false);
		return CTL_OK;
	}
	buf_init(&out, DOCUMENT_MAX);
	json_writer_init(&w, &out);
	json_open_record(&w, NULL);
	listing_json(plans, &w);
	listing_json(workspaces, &w);
	json_close_record(&w);
	result = ctl_print(&out);
	buf_free(&out);
	return result;
}

static int read_workspaces(struct ctl *c, struct arena *arena, const char *after, int64_t limit, struct listing *l)
{
	const struct account_key key = id_account_key(after != NULL ? after : "", after != NULL ? strlen(after) : 0);
	struct insight_workspace *rows = NULL;
	int count = 0;
	bool more = false;

	if (insight_workspaces(ctl_db_patient(c), arena, after != NULL ? &key : NULL, (int)limit, &rows, &count,
	                       &more) < 0)
		return ctl_db_failed(c);
	for (int i = 0; i < count; i++)
		list_workspace(l, &rows[i]);
	say_more(more);
	return CTL_OK;
}

int ctl_report_capacity(struct ctl *c)
{
	const char *after = NULL, *limit_text = NULL;
	const struct ctl_option options[] = {
		{.name = "--after", .value = &after}, {.name = "--limit", .value = &limit_text}, {0}};
	struct listing *plans, *workspaces;
	struct arena *arena;
	struct book *book;
	int64_t limit;
	int result = CTL_FAILED;

	if (ctl_arguments(c, options, NULL, 0, 0) < 0 || read_limit(limit_text, &limit) != CTL_OK ||
	    (after != NULL && target_check_id("an account's", after) != CTL_OK))
		return CTL_FAILED;
	plans = listing_new("plans");
	workspaces = listing_new("workspaces");
	arena = large_arena();
	if (arena != NULL)
		result = read_workspaces(c, arena, after, limit, workspaces);
	book = result == CTL_OK ? book_load(ctl_db(c)) : NULL;
	if (result == CTL_OK && book == NULL)
		result = ctl_db_failed(c);
	if (result == CTL_OK) {
		(void)book_each_plan(book, visit_plan, plans);
		result = print_both(c, plans, workspaces);
	}
	book_release(book);
	arena_free(arena);
	listing_free(workspaces);
	listing_free(plans);
	return result;
}

/* ---- members ----------------------------------------------------------------------------------- */

static void list_action(struct listing *l, const struct insight_action *a)
{
	listing_row(l);
	listing_text(l, "member", "member", a->member);
	listing_text(l, "role", "role", a->role >= 0 ? names_role(a->role) : "");
	listing_text(l, "kind", "kind", a->kind == PRICE_MODEL ? "model" : "action");
	listing_text(l, "item", "model or action", a->item);
	listing_int(l, "requests", "requests", a->requests);
	listing_int(l, "quantity", "quantity", a->kind == PRICE_ACTION ? a->quantity : a->requests);
	listing_int(l, "inputTokens", "input", a->input_tokens);
	listing_int(l, "outputTokens", "output", a->output_tokens);
	listing_amount(l, "costMicros", "cost", a->cost_micros);
}

static int read_members(struct ctl *c, struct arena *arena, const struct account_key *key,
                        const struct reader_span *span, struct listing *l)
{
	struct insight_action *rows = NULL;
	int count = 0;
	bool more = false;

	if (insight_members(ctl_db(c), arena, key, span, LIST_LIMIT_MAX, &rows, &count, &more) < 0)
		return ctl_db_failed(c);
	for (int i = 0; i < count; i++)
		list_action(l, &rows[i]);
	if (more)
		(void)fputs("octroictl: there are more; take a shorter span\n", stderr);
	return CTL_OK;
}

int ctl_report_members(struct ctl *c)
{
	const char *from = NULL, *to = NULL, *name;
	const struct ctl_option options[] = {{.name = "--from", .value = &from}, {.name = "--to", .value = &to}, {0}};
	struct reader_account account;
	struct reader_span span = {0};
	struct account_key key;
	struct listing *l;
	struct arena *arena;
	int result;

	if (ctl_arguments(c, options, &name, 1, 1) < 0)
		return CTL_FAILED;
	(void)ctl_db_patient(c);
	arena = large_arena();
	l = listing_new("items");
	result = arena != NULL ? target_find(c, arena, name, &account) : CTL_FAILED;
	if (result == CTL_OK)
		result = read_span(c, from, to, target_zone(c, &account), &span);
	key = id_account_key(name, strlen(name));
	if (result == CTL_OK)
		result = read_members(c, arena, &key, &span, l);
	if (result == CTL_OK)
		listing_print(l, c->json);
	listing_free(l);
	arena_free(arena);
	return result;
}

/* ---- margin ------------------------------------------------------------------------------------ */

static void list_margin(struct listing *l, const char *name, const struct report_margin *m)
{
	struct report_result r;

	report_close(m, &r);
	listing_row(l);
	listing_text(l, "key", "of", name);
	listing_int(l, "requests", "requests", m->requests);
	listing_amount(l, "usedMicros", "used", r.used);
	listing_amount(l, "givenMicros", "given", r.given);
	listing_amount(l, "feesMicros", "fees", r.fees);
	listing_amount(l, "revenueMicros", "revenue", r.revenue);
	listing_amount(l, "providerMicros", "provider", r.provider);
	listing_amount(l, "marginMicros", "margin", r.margin);
	listing_tenths(l, "marginPercentTenths", "of revenue", r.has_percent, r.margin_tenths);
}

static int print_margins(struct ctl *c, const struct margins_options *o)
{
	struct arena *arena = large_arena();
	struct margins_row *rows = NULL;
	struct report_margin total;
	struct listing *l;
	bool more = false;
	int count = 0;

	if (arena == NULL)
		return CTL_FAILED;
	if (margins_read(ctl_db(c), arena, o, &rows, &count, &more) < 0) {
		arena_free(arena);
		return ctl_db_failed(c);
	}
	total = margins_total(rows, count);
	l = listing_new("items");
	for (int i = 0; i < count; i++)
		list_margin(l, rows[i].name, &rows[i].sums);
	if (!c->json)
		list_margin(l, "total", &total);
	listing_print(l, c->json);
	say_more(more);
	listing_free(l);
	arena_free(arena);
	return CTL_OK;
}

int ctl_report_margin(struct ctl *c)
{
	const char *by = "model", *from = NULL, *to = NULL, *limit_text = NULL;
	struct margins_options o = {
		.credit_value_ppm = c->config->credit_value, .decimals = stripe_decimals(c->config->currency)};
	const struct ctl_option options[] = {
		{.name = "--by", .value = &by},       {.name = "--from", .value = &from},
		{.name = "--to", .value = &to},       {.name = "--after", .value = &o.after},
		{.name = "--limit", .value = &limit_text}, {0},
	};
	const struct zone *z = zone_find(c->config->time_zone);
	int grouping;
	int64_t limit;

	if (ctl_arguments(c, options, NULL, 0, 0) < 0 || read_limit(limit_text, &limit) != CTL_OK)
		return CTL_FAILED;
	grouping = margins_by(by);
	if (grouping < 0)
		return ctl_fail("--by cannot be '%s'", by);
	if (z == NULL)
		return ctl_fail("time_zone: there is no time zone %s", c->config->time_zone);
	o.by = (enum insight_grouping)grouping;
	o.limit = (int)limit;
	(void)ctl_db_patient(c);
	return read_span(c, from, to, z, &o.span) == CTL_OK ? print_margins(c, &o) : CTL_FAILED;
}
