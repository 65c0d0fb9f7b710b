#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "ctl/reads.h"
#include "ctl/target.h"

#define DOCUMENT_MAX ((size_t)16 << 20)

/* Reads a report, which is freed by the caller, or prints it if it is to be JSON. */
static int read_report(struct ctl *c, const struct reads *r, struct json **document)
{
	struct buf body;
	int result;

	buf_init(&body, DOCUMENT_MAX);
	result = reads_document(c, r, &body, document);
	if (result == CTL_OK && c->json)
		result = ctl_print(&body);
	buf_free(&body);
	return result;
}

static void add_report_rows(struct listing *l, const struct json *list, const struct listing_column *columns)
{
	for (size_t i = 0; i < json_size(list); i++)
		listing_record(l, json_at(list, i), columns);
}

/* ---- capacity ---------------------------------------------------------------------------------- */

#define CAPACITY_COLUMNS \
	{"allowedMicros", "allowed", LISTING_AMOUNT}, {"leftMicros", "left", LISTING_AMOUNT}, \
		{"usedPercentTenths", "used", LISTING_TENTHS}, {"marginPercent", "margin %", LISTING_INT}, \
		{"verdict", "verdict", LISTING_TEXT}, \
	{ \
		0 \
	}

static const struct listing_column plan_columns[] = {
	{"plan", "plan", LISTING_TEXT},
	{"scope", "scope", LISTING_TEXT},
	{"assumed", "what if", LISTING_TEXT},
	{"managers", "managers", LISTING_INT},
	{"members", "members", LISTING_INT},
	{"expectedMicros", "expected", LISTING_AMOUNT},
	CAPACITY_COLUMNS,
};

static const struct listing_column workspace_columns[] = {
	{"account", "account", LISTING_TEXT},
	{"plan", "plan", LISTING_TEXT},
	{"managers", "managers", LISTING_INT},
	{"members", "members", LISTING_INT},
	{"from", "from", LISTING_TEXT},
	{"to", "to", LISTING_TEXT},
	{"usedMicros", "used so far", LISTING_AMOUNT},
	{"projectedMicros", "projected", LISTING_AMOUNT},
	CAPACITY_COLUMNS,
};

/* only: the one list to print; NULL: both. */
static void print_capacity(const struct ctl *c, const struct json *document, const char *only)
{
	struct listing *plans = listing_new("plans"), *workspaces = listing_new("workspaces");

	add_report_rows(plans, json_get(document, "plans"), plan_columns);
	add_report_rows(workspaces, json_get(document, "workspaces"), workspace_columns);
	if (only == NULL || strcmp(only, "plans") == 0)
		listing_print(plans, c);
	if (only == NULL)
		(void)putchar('\n');
	if (only == NULL || strcmp(only, "workspaces") == 0)
		listing_print(workspaces, c);
	listing_free(workspaces);
	listing_free(plans);
}

int ctl_report_capacity(struct ctl *c)
{
	struct reads r = {.path = "/api/admin/reports/capacity", .query = {{.name = "cursor"}, {.name = "limit"}}};
	const char *only = NULL;
	const struct ctl_option options[] = {
		{.name = "--only", .value = &only},
		{.name = "--cursor", .value = &r.query[0].value},
		{.name = "--limit", .value = &r.query[1].value},
		{0},
	};
	struct json *document = NULL;
	int result;

	if (ctl_arguments(c, options, NULL, 0, 0) < 0)
		return CTL_FAILED;
	if (only != NULL && strcmp(only, "plans") != 0 && strcmp(only, "workspaces") != 0)
		return ctl_wrong("--only cannot be '%s'", only);
	if (c->csv && only == NULL)
		return ctl_wrong("--csv needs --only plans or --only workspaces");
	result = read_report(c, &r, &document);
	if (result == CTL_OK && !c->json) {
		print_capacity(c, document, only);
		reads_say_more(c, document);
	}
	json_free(document);
	return result;
}

/* ---- members ----------------------------------------------------------------------------------- */

static const struct listing_column member_columns[] = {
	{"member", "member", LISTING_TEXT},     {"role", "role", LISTING_TEXT},
	{"model", "model", LISTING_TEXT},       {"action", "action", LISTING_TEXT},
	{"requests", "requests", LISTING_INT},  {"quantity", "quantity", LISTING_INT},
	{"inputTokens", "input", LISTING_INT},  {"outputTokens", "output", LISTING_INT},
	{"costMicros", "cost", LISTING_AMOUNT}, {0},
};

int ctl_report_members(struct ctl *c)
{
	struct reads r = {.path = "/api/admin/reports/members",
	                  .query = {{.name = "account"}, {.name = "from"}, {.name = "to"}}};
	const struct ctl_option options[] = {
		{.name = "--from", .value = &r.query[1].value}, {.name = "--to", .value = &r.query[2].value}, {0}};
	struct json *document = NULL;
	struct listing *l;
	int result;

	if (ctl_arguments(c, options, &r.query[0].value, 1, 1) < 0)
		return CTL_FAILED;
	result = target_exists(c, r.query[0].value);
	if (result == CTL_OK)
		result = read_report(c, &r, &document);
	if (result == CTL_OK && !c->json) {
		l = listing_new("usages");
		add_report_rows(l, json_get(document, "items"), member_columns);
		listing_print(l, c);
		listing_free(l);
		if (!json_bool(json_get(document, "complete")))
			(void)fputs("octroictl: there are more; take a shorter span\n", stderr);
	}
	json_free(document);
	return result;
}

/* ---- margin ------------------------------------------------------------------------------------ */

static const struct listing_column margin_columns[] = {
	{"key", "of", LISTING_TEXT},
	{"requests", "requests", LISTING_INT},
	{"usedMicros", "used", LISTING_AMOUNT},
	{"givenMicros", "given", LISTING_AMOUNT},
	{"feesMicros", "fees", LISTING_AMOUNT},
	{"revenueMicros", "revenue", LISTING_AMOUNT},
	{"providerMicros", "provider", LISTING_AMOUNT},
	{"marginMicros", "margin", LISTING_AMOUNT},
	{"marginPercentTenths", "of revenue", LISTING_TENTHS},
	{0},
};

int ctl_report_margin(struct ctl *c)
{
	struct reads r = {
		.path = "/api/admin/reports/margin",
		.query = {{.name = "by"}, {.name = "from"}, {.name = "to"}, {.name = "cursor"}, {.name = "limit"}}};
	const struct ctl_option options[] = {
		{.name = "--by", .value = &r.query[0].value},    {.name = "--from", .value = &r.query[1].value},
		{.name = "--to", .value = &r.query[2].value},    {.name = "--cursor", .value = &r.query[3].value},
		{.name = "--limit", .value = &r.query[4].value}, {0},
	};
	struct json *document = NULL;
	struct listing *l;
	int result;

	if (ctl_arguments(c, options, NULL, 0, 0) < 0)
		return CTL_FAILED;
	result = read_report(c, &r, &document);
	if (result == CTL_OK && !c->json) {
		l = listing_new("usages");
		add_report_rows(l, json_get(document, "items"), margin_columns);
		/* In CSV a total would be one row more of the same kind. */
		if (!c->csv && json_size(json_get(document, "items")) > 0)
			listing_total(l, "total", json_get(document, "total"), margin_columns);
		listing_print(l, c);
		listing_free(l);
		reads_say_more(c, document);
	}
	json_free(document);
	return result;
}
