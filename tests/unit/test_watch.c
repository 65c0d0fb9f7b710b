/*
 * The watch over hours: the hours that are looked at, shares, and the mean hour of a weekday.
 */
#include "unit.h"

#include "base/clock.h"
#include "worker/watch.h"

#define MINUTE_US INT64_C(60000000)

static int64_t at(const char *text)
{
	int64_t time_us = 0;

	assert_int_equal(clock_parse(text, strlen(text), &time_us), 0);
	return time_us;
}

static void test_next_hour(void **state)
{
	const int64_t now_us = at("2026-11-24T10:04:59Z");

	(void)state;
	/* An hour is looked at five minutes after its end. */
	assert_int_equal(watch_next_hour(now_us, 0), at("2026-11-24T08:00:00Z"));
	assert_int_equal(watch_next_hour(now_us + CLOCK_US_PER_SECOND, 0), at("2026-11-24T09:00:00Z"));
	assert_int_equal(watch_next_hour(now_us, at("2026-11-24T08:00:00Z")), 0);
	assert_int_equal(watch_next_hour(now_us, at("2026-11-24T07:00:00Z")), at("2026-11-24T08:00:00Z"));
	/* A day is caught up, and no more; a clock that steps back looks at nothing twice. */
	assert_int_equal(watch_next_hour(now_us, at("2026-11-20T00:00:00Z")), at("2026-11-23T09:00:00Z"));
	assert_int_equal(watch_next_hour(now_us, at("2026-11-25T00:00:00Z")), 0);
}

static void test_shares(void **state)
{
	(void)state;
	assert_false(watch_is_much(19, 19, 10));
	assert_false(watch_is_much(2, 20, 10));
	assert_true(watch_is_much(3, 20, 10));
	assert_false(watch_is_much(20, 20, 100));
	assert_true(watch_is_much(INT64_MAX, INT64_MAX, 99));
}

static micros mean_of(const char *zone, const char *from, int hours, int first_used)
{
	static struct hours_row rows[HOURS_WINDOW];
	const struct zone *z = zone_find(zone);
	const int64_t from_us = at(from);

	assert_non_null(z);
	for (int i = 0; i < hours; i++) {
		const int64_t hour_us = from_us - (hours - i) * HOURS_US;
		const int64_t day = zone_local_day(zone_local(z, hour_us)) / (24 * HOURS_US);

		/* Each weekday has a cost of its own. */
		rows[i] = (struct hours_row){.from_us = hour_us, .cost_micros = i < first_used ? 0 : 100 + day % 7};
	}
	return watch_mean(z, from_us, rows, hours);
}

static void test_mean(void **state)
{
	const int64_t day = at("2026-11-24T00:00:00Z") / (24 * HOURS_US);

	(void)state;
	assert_int_equal(mean_of("UTC", "2026-11-24T10:00:00Z", HOURS_WINDOW, 0), 100 + day % 7);
	/* In Tokyo, Wednesday has begun. */
	assert_int_equal(mean_of("Asia/Tokyo", "2026-11-24T16:00:00Z", HOURS_WINDOW, 0), 100 + (day + 1) % 7);
	/* Two weeks since the first hour with a cost. */
	assert_int_equal(mean_of("UTC", "2026-11-24T10:00:00Z", 335, 0), -1);
	assert_true(mean_of("UTC", "2026-11-24T10:00:00Z", 336, 0) > 0);
	assert_int_equal(mean_of("UTC", "2026-11-24T10:00:00Z", 400, 65), -1);
	assert_true(mean_of("UTC", "2026-11-24T10:00:00Z", 400, 64) > 0);
	assert_int_equal(watch_mean(zone_find("UTC"), at("2026-11-24T10:00:00Z"), NULL, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_next_hour),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_mean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
