/*
 * summary: sums of an account's use, and a forecast of this month's cost.
 */
#include "base/check.h"
#include "base/zone.h"
#include "options.h"
#include "queries/insight.h"
#include "queries/reader.h"
#include "reports/forecast.h"
#include "routes/api/call.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/api/span.h"
#include "routes/api/steps.h"
#include "routes/people.h"
#include "routes/routes.h"

#include <string.h>

#define GROUPS_MAX 1000

static int grouping_number(const char *name)
{
	static const char *const names[] = {
		[GROUP_DAY] = "day",
		[GROUP_MODEL] = "model",
		[GROUP_MEMBER] = "member",
		[GROUP_ACTION] = "action",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -1;
}

struct summary {
	struct account_key key;
	struct reader_span span;
	enum reader_grouping by;
	struct reader_sum *rows;
	int count;
	int64_t now_us, total_micros;
	struct forecast forecast;
};

/* The beginning of this month in UTC. */
static int64_t month_start(int64_t now_us)
{
	const struct zone *utc = zone_find("UTC");

	CHECK(utc != NULL);
	return zone_instant(utc, zone_local_month(zone_local(utc, now_us)));
}

static int read_forecast(struct call *c, struct db *d, const struct reader_account *account, struct summary *s)
{
	const struct zone *z = options_zone_of(c->config, account);
	struct forecast_days days;

	forecast_days(z, s->now_us, &days);
	if (insight_days(d, &s->key, s->span.member, days.starts_us, days.count, s->now_us + 1, days.cost) < 0)
		return -1;
	forecast_month(z, s->now_us, &days, &s->forecast);
	return 0;
}

static int read_summary(struct call *c, struct summary *s)
{
	struct reader_account account;
	struct db *d = call_reader(c);
	enum outcome outcome = OUTCOME_UNAVAILABLE;
	int result = -1;

	if (d == NULL)
		return -1;
	if (reader_account(d, c->request->arena, &s->key, &account) == 0)
		outcome = call_may_read(c, d, &s->key, &account);
	if (outcome != OUTCOME_OK)
		goto done;
	outcome = OUTCOME_UNAVAILABLE;
	s->now_us = account.now_us;
	if (s->span.from_us == 0)
		s->span.from_us = month_start(s->now_us);
	if (s->span.to_us == 0)
		s->span.to_us = s->now_us + 1;
	if (reader_summary(d, c->request->arena, &s->key, &s->span, s->by, GROUPS_MAX, &s->rows, &s->count,
	                   &s->total_micros) < 0)
		goto done;
	result = read_forecast(c, d, &account, s);
done:
	pool_give(c->readers, d);
	if (result < 0)
		render_outcome(c, outcome);
	return result;
}

static void put_summary(struct json_writer *w, const struct summary *s)
{
	json_open_list(w, "items");
	for (int i = 0; i < s->count; i++) {
		json_open_record(w, NULL);
		json_put_text(w, "key", s->rows[i].name);
		json_put_int(w, "requests", s->rows[i].requests);
		json_put_int(w, "inputTokens", s->rows[i].input_tokens);
		json_put_int(w, "outputTokens", s->rows[i].output_tokens);
		json_put_int(w, "costMicros", s->rows[i].cost_micros);
		json_close_record(w);
	}
	json_close_list(w);
	json_put_int(w, "totalMicros", s->total_micros);
	json_open_record(w, "forecast");
	json_put_int(w, "monthEndMicros", s->forecast.month_end_micros);
	json_put_int(w, "soFarMicros", s->forecast.so_far_micros);
	json_put_text(w, "method", forecast_method_name(s->forecast.method));
	json_close_record(w);
}

void summary_show(struct call *c)
{
	struct summary s = {.key = call_account_key(c)};
	struct json_writer w;
	struct parse p;

	parse_query(&p, c->request);
	if (!people_parse_member(&p, c, &s.span.member))
		return;
	span_parse(&p, &s.span);
	s.by = (enum reader_grouping)parse_name(&p, "by", grouping_number, GROUP_DAY);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	if (read_summary(c, &s) < 0)
		return;
	render_open(c, &w);
	put_summary(&w, &s);
	render_close(&w);
}
