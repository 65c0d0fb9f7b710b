#include "unit.h"

#include "base/clock.h"
#include "reports/forecast.h"

static const struct zone *zone(const char *name)
{
	const struct zone *z = zone_find(name);

	assert_non_null(z);
	return z;
}

static int64_t at(const char *text)
{
	int64_t time_us = 0;

	assert_int_equal(clock_parse(text, strlen(text), &time_us), 0);
	return time_us;
}

static void test_days(void **state)
{
	static const struct {
		const char *zone, *now, *first, *last;
		int count, month;
	} cases[] = {
		{"UTC", "2026-11-21T12:00:00Z", "2026-10-24T00:00:00Z", "2026-11-21T00:00:00Z", 29, 8},
		{"UTC", "2026-11-01T00:00:00Z", "2026-10-04T00:00:00Z", "2026-11-01T00:00:00Z", 29, 28},
		{"UTC", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2026-12-31T00:00:00Z", 31, 0},
		{"UTC", "2027-02-28T23:59:59Z", "2027-01-31T00:00:00Z", "2027-02-28T00:00:00Z", 29, 1},
		/* Already Sunday, and still Friday. */
		{"Pacific/Auckland", "2026-11-21T12:00:00Z", "2026-10-24T11:00:00Z", "2026-11-21T11:00:00Z", 29, 7},
		{"America/Los_Angeles", "2026-11-21T05:00:00Z", "2026-10-23T07:00:00Z", "2026-11-20T08:00:00Z", 29, 9},
	};
	struct forecast_days days;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		forecast_days(zone(cases[i].zone), at(cases[i].now), &days);
		assert_int_equal(days.count, cases[i].count);
		assert_int_equal(days.month, cases[i].month);
		assert_int_equal(days.starts_us[0], at(cases[i].first));
		assert_int_equal(days.starts_us[days.count - 1], at(cases[i].last));
	}
}

static struct forecast forecast(const char *name, const char *now, micros (*cost)(int day, int count))
{
	struct forecast_days days;
	struct forecast out;

	forecast_days(zone(name), at(now), &days);
	for (int i = 0; i < days.count; i++)
		days.cost[i] = cost(i, days.count);
	forecast_month(zone(name), at(now), &days, &out);
	return out;
}

static micros nothing(int day, int count)
{
	(void)day;
	(void)count;
	return 0;
}

static micros seven(int day, int count)
{
	(void)day;
	(void)count;
	return 7;
}

static micros only_today(int day, int count)
{
	return day + 1 == count ? 1000 : 0;
}

/* 2026-11-21 is a Saturday, and so is 2026-10-24, the first day. */
static micros not_at_weekends(int day, int count)
{
	(void)count;
	return day % 7 < 2 ? 0 : 700;
}

static micros last_days(int day, int count)
{
	return day >= count - 14 ? 10 : 0; /* 13 whole ones and today */
}

static micros two_weeks(int day, int count)
{
	return day >= count - 15 ? 10 : 0;
}

static micros largest(int day, int count)
{
	(void)day;
	(void)count;
	return INT64_MAX;
}

static void test_month(void **state)
{
	static const struct {
		const char *zone, *now;
		micros (*cost)(int day, int count);
		enum forecast_method method;
		micros so_far, month_end;
	} cases[] = {
		{"UTC", "2026-11-21T12:00:00Z", nothing, FORECAST_LINEAR, 0, 0},
		/* 21 days of 7, half a day more, 9 days. */
		{"UTC", "2026-11-21T12:00:00Z", seven, FORECAST_WEEKDAY, 147, 147 + 3 + 63},
		/* Over in a second. */
		{"UTC", "2026-11-30T23:59:59Z", seven, FORECAST_WEEKDAY, 210, 210},
		/* Weekdays of 700 since the 2nd: 15 of them; Monday to Friday, and Monday, are to come. */
		{"UTC", "2026-11-21T12:00:00Z", not_at_weekends, FORECAST_WEEKDAY, 15 * 700, 21 * 700},
		/* Of today alone, half a day old: at the pace of a day, 9.5 days more. */
		{"UTC", "2026-11-21T12:00:00Z", only_today, FORECAST_LINEAR, 1000, 10500},
		/* Since the 8th: 140 in 13.5 days, 9.5 more. */
		{"UTC", "2026-11-21T12:00:00Z", last_days, FORECAST_LINEAR, 140, 238},
		/* Since the 7th: today half again, 9 days. */
		{"UTC", "2026-11-21T12:00:00Z", two_weeks, FORECAST_WEEKDAY, 150, 150 + 5 + 90},
		/* On the 3rd, of use since the 21st of the month before, the pace of this month's days counts. */
		{"UTC", "2026-11-03T00:00:00Z", last_days, FORECAST_LINEAR, 30, 30 + 30 * 28 / 2},
		/* The clocks went back in this month: 31 days and an hour. */
		{"Europe/Paris", "2026-10-25T22:59:59.999999Z", seven, FORECAST_WEEKDAY, 175, 175 + 42},
		{"UTC", "2026-11-21T12:00:00Z", largest, FORECAST_WEEKDAY, INT64_MAX, INT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct forecast f = forecast(cases[i].zone, cases[i].now, cases[i].cost);

		if (f.method != cases[i].method || f.so_far_micros != cases[i].so_far ||
		    f.month_end_micros != cases[i].month_end)
			fail_msg("case %zu: %s %lld %lld", i, forecast_method_name(f.method),
			         (long long)f.so_far_micros, (long long)f.month_end_micros);
	}
}

static struct forecast_days negative_days;

static void forecast_negative(void)
{
	struct forecast out;

	forecast_days(zone("UTC"), at("2026-11-21T12:00:00Z"), &negative_days);
	negative_days.cost[3] = -1;
	forecast_month(zone("UTC"), at("2026-11-21T12:00:00Z"), &negative_days, &out);
}

static void test_negative(void **state)
{
	(void)state;
	assert_true(aborts(forecast_negative));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_month),
		cmocka_unit_test(test_negative),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
