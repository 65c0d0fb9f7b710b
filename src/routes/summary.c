/*
 * summary: sums of an account's use, and what this month will cost.
 */
#include "base/check.h"
#include "base/clock.h"
#include "db/reader.h"
#include "routes/call.h"
#include "routes/parse.h"
#include "routes/people.h"
#include "routes/render.h"

#include <stdio.h>
#include <string.h>

#define GROUPS_MAX 1000
#define FORECAST_METHOD "linear"

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

/* Midnight UTC of the first of this month, or of a later one. */
static int64_t month_start(int64_t now_us, int months_later)
{
	char text[CLOCK_RFC3339_MAX];
	int64_t start_us = 0;
	int year;
	int month;

	clock_format(now_us, text);
	year = (text[0] - '0') * 1000 + (text[1] - '0') * 100 + (text[2] - '0') * 10 +
	       (text[3] - '0');
	month = (text[5] - '0') * 10 + (text[6] - '0') - 1 + months_later;
	snprintf(text, sizeof(text), "%04d-%02d-01", (year + month / 12) % 10000, month % 12 + 1);
	CHECK(clock_parse(text, strlen(text), &start_us) == 0);
	return start_us;
}

/* This month's cost at the pace it had so far. */
static int64_t forecast(int64_t cost_micros, int64_t now_us)
{
	int64_t start_us = month_start(now_us, 0);
	int64_t elapsed_ms = (now_us - start_us) / CLOCK_US_PER_MS;
	int64_t whole_ms = (month_start(now_us, 1) - start_us) / CLOCK_US_PER_MS;
	__int128 projected;

	if (elapsed_ms < 1)
		return cost_micros;
	projected = (__int128)cost_micros * whole_ms / elapsed_ms;
	return projected > INT64_MAX ? INT64_MAX : (int64_t)projected;
}

struct summary {
	struct account_key key;
	struct reader_span span;
	enum reader_grouping by;
	struct reader_sum *rows;
	int count;
	int64_t now_us, total_micros, month_micros;
};

static int read_summary(struct call *c, struct summary *s)
{
	struct reader_account account;
	struct reader_span month = s->span;
	struct reader_sum *days;
	struct db *d = call_reader(c);
	int day_count;
	int result = -1;

	if (d == NULL)
		return -1;
	if (reader_account(d, c->request->arena, &s->key, &account) < 0)
		goto done;
	s->now_us = account.now_us;
	month.from_us = month_start(s->now_us, 0);
	month.to_us = s->now_us + 1;
	if (s->span.from_us == 0)
		s->span.from_us = month.from_us;
	if (s->span.to_us == 0)
		s->span.to_us = month.to_us;
	if (reader_summary(d, c->request->arena, &s->key, &s->span, s->by, GROUPS_MAX, &s->rows,
	                   &s->count, &s->total_micros) < 0 ||
	    reader_summary(d, c->request->arena, &s->key, &month, GROUP_DAY, 31, &days, &day_count,
	                   &s->month_micros) < 0)
		goto done;
	result = 0;
done:
	pool_give(c->readers, d);
	if (result < 0)
		render_outcome(c, OUTCOME_UNAVAILABLE);
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
	json_put_int(w, "monthEndMicros", forecast(s->month_micros, s->now_us));
	json_put_text(w, "method", FORECAST_METHOD);
	json_close_record(w);
}

void summary_show(struct call *c)
{
	struct summary s = {.key = id_account_key(c->account, strlen(c->account))};
	struct json_writer w;
	struct parse p;

	parse_query(&p, c->request);
	if (!people_parse_member(&p, c, &s.span.member))
		return;
	s.span.from_us = parse_time(&p, "from");
	s.span.to_us = parse_time(&p, "to");
	s.by = (enum reader_grouping)parse_name(&p, "by", grouping_number, GROUP_DAY);
	if (s.span.from_us != 0 && s.span.to_us != 0 && s.span.to_us <= s.span.from_us)
		parse_wrong(&p, "to", PARSE_ORDER);
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
