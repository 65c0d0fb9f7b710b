/*
 * summary: sums of an account's use, and a forecast of this month's cost.
 */
#include "base/check.h"
#include "base/clock.h"
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
/* The longest day of a zone: Antarctica/Troll puts its clock back by two hours.  The clock may be changed within an
 * hour, too. */
#define HOURS_SPAN_MAX_US (INT64_C(26) * 3600 * CLOCK_US_PER_SECOND)
#define HOURS_MAX 32

static int grouping_number(const char *name)
{
	static const char *const names[] = {
		[GROUP_DAY] = "day",       [GROUP_HOUR] = "hour",     [GROUP_MODEL] = "model",
		[GROUP_MEMBER] = "member", [GROUP_ACTION] = "action",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -1;
}

struct summary {
	struct account_key key;
	const struct zone *zone;
	struct reader_span span;
	enum reader_grouping by;
	struct reader_sum *rows;
	int count;
	int64_t now_us, total_micros;
	struct forecast forecast;
};

/* ---- the span ------------------------------------------------------------------------------------- */

/* The default is the day that the other time lies in, or today. */
static void complete_hours(struct summary *s)
{
	const int64_t last_us = s->span.to_us != 0 ? s->span.to_us - 1 : s->now_us;

	if (s->span.from_us == 0)
		s->span.from_us = zone_instant(s->zone, zone_local_day(zone_local(s->zone, last_us)));
	if (s->span.to_us == 0)
		s->span.to_us = zone_next_day(s->zone, s->span.from_us);
}

/* The default is this month up to now.  Nothing has ended later. */
static void complete_days(struct summary *s)
{
	if (s->span.from_us == 0)
		s->span.from_us = zone_instant(s->zone, zone_local_month(zone_local(s->zone, s->now_us)));
	if (s->span.to_us == 0 || s->span.to_us > s->now_us)
		s->span.to_us = s->now_us + 1;
}

/* False, rendered, when the span is wrong. */
static bool place_span(struct call *c, struct summary *s)
{
	struct parse p;

	parse_query(&p, c->request);
	span_parse_local(&p, s->zone, &s->span);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return false;
	}
	if (s->by == GROUP_HOUR)
		complete_hours(s);
	else
		complete_days(s);
	if (s->by != GROUP_HOUR || s->span.to_us - s->span.from_us <= HOURS_SPAN_MAX_US)
		return true;
	render_said(c, OUTCOME_INVALID_REQUEST, "from", SENTENCE_HOURS_TOO_MANY);
	return false;
}

/* ---- the sums ------------------------------------------------------------------------------------- */

static int read_hour_sums(struct call *c, struct db *d, struct summary *s)
{
	int64_t starts_us[HOURS_MAX];

	for (int64_t at = s->span.from_us; at < s->span.to_us; at = zone_next_hour(s->zone, at)) {
		CHECK(s->count < HOURS_MAX);
		starts_us[s->count++] = at;
	}
	return reader_hours(d, c->request->arena, &s->key, &s->span, starts_us, s->count, &s->rows, &s->total_micros);
}

static int read_forecast(struct db *d, struct summary *s)
{
	struct forecast_days days;

	forecast_days(s->zone, s->now_us, &days);
	if (insight_days(d, &s->key, s->span.member, days.starts_us, days.count, s->now_us + 1, days.cost) < 0)
		return -1;
	forecast_month(s->zone, s->now_us, &days, &s->forecast);
	return 0;
}

static int read_sums(struct call *c, struct db *d, struct summary *s)
{
	int result;

	if (s->by == GROUP_HOUR)
		result = read_hour_sums(c, d, s);
	else
		result = reader_summary(d, c->request->arena, &s->key, &s->span, s->zone, s->by, GROUPS_MAX, &s->rows,
		                        &s->count, &s->total_micros);
	return result == 0 ? read_forecast(d, s) : -1;
}

/* False, rendered, when the span is wrong, or on a fault. */
static bool read_summary(struct call *c, struct summary *s)
{
	struct reader_account account;
	struct db *d = call_reader(c);
	enum outcome outcome = OUTCOME_UNAVAILABLE;
	bool placed = true;
	int result = -1;

	if (d == NULL)
		return false;
	if (reader_account(d, c->request->arena, &s->key, &account) == 0)
		outcome = call_may_read(c, d, &s->key, &account);
	if (outcome == OUTCOME_OK) {
		outcome = OUTCOME_UNAVAILABLE;
		s->zone = options_zone_of(c->config, &account);
		s->now_us = account.now_us;
		placed = place_span(c, s);
		if (placed)
			result = read_sums(c, d, s);
	}
	pool_give(c->readers, d);
	if (placed && result < 0)
		render_outcome(c, outcome);
	return result == 0;
}

/* ---- the answer ----------------------------------------------------------------------------------- */

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
	/* The dates are placed when the account's zone is known. */
	(void)parse_time(&p, "from");
	(void)parse_time(&p, "to");
	s.by = (enum reader_grouping)parse_name(&p, "by", grouping_number, GROUP_DAY);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	if (!read_summary(c, &s))
		return;
	render_open(c, &w);
	put_summary(&w, &s);
	render_close(&w);
}
