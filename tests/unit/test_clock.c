#include "unit.h"

#include <time.h>

#include "base/clock.h"

#define FIRST_US (INT64_C(-62135596800) * CLOCK_US_PER_SECOND)  /* 0001-01-01 */
#define BEYOND_US (INT64_C(253402300800) * CLOCK_US_PER_SECOND) /* 10000-01-01 */

static void test_monotonic(void **state)
{
	int64_t before = clock_monotonic_us();

	(void)state;
	for (int i = 0; i < 1000; i++) {
		int64_t now = clock_monotonic_us();

		assert_true(now >= before);
		before = now;
	}
}

static void test_wall(void **state)
{
	int64_t seconds = (int64_t)time(NULL);
	int64_t now = clock_wall_us() / CLOCK_US_PER_SECOND;

	(void)state;
	assert_true(now >= seconds - 1 && now <= seconds + 60);
}

static void test_format(void **state)
{
	static const struct {
		int64_t time_us;
		const char *text;
	} cases[] = {
		{0, "1970-01-01T00:00:00.000Z"},
		{999, "1970-01-01T00:00:00.000Z"},
		{1000, "1970-01-01T00:00:00.001Z"},
		{-1, "1969-12-31T23:59:59.999Z"},
		{-1000, "1969-12-31T23:59:59.999Z"},
		{-1001, "1969-12-31T23:59:59.998Z"},
		{INT64_C(951782400000000), "2000-02-29T00:00:00.000Z"},
		{INT64_C(951868800000000), "2000-03-01T00:00:00.000Z"},
		{INT64_C(4107542400000000), "2100-03-01T00:00:00.000Z"},
		{INT64_C(4107456000000000), "2100-02-28T00:00:00.000Z"},
		{INT64_C(1795222020123456), "2026-11-21T00:47:00.123Z"},
		{INT64_C(1735689599999999), "2024-12-31T23:59:59.999Z"},
		{FIRST_US, "0001-01-01T00:00:00.000Z"},
		{BEYOND_US - 1, "9999-12-31T23:59:59.999Z"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[CLOCK_RFC3339_MAX];
		size_t length = clock_format(cases[i].time_us, text);

		assert_string_equal(text, cases[i].text);
		assert_int_equal(length, 24);
	}
}

static void format_too_early(void)
{
	char text[CLOCK_RFC3339_MAX];

	clock_format(FIRST_US - 1, text);
}

static void format_too_late(void)
{
	char text[CLOCK_RFC3339_MAX];

	clock_format(BEYOND_US, text);
}

static void format_extreme(void)
{
	char text[CLOCK_RFC3339_MAX];

	clock_format(INT64_MIN, text);
}

static void test_format_outside_the_years(void **state)
{
	(void)state;
	assert_true(aborts(format_too_early));
	assert_true(aborts(format_too_late));
	assert_true(aborts(format_extreme));
}

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		int64_t time_us;
	} cases[] = {
		{"1970-01-01", 0},
		{"1970-01-01T00:00:00Z", 0},
		{"1970-01-01t00:00:00z", 0},
		{"1970-01-01T00:00:00.5Z", 500000},
		{"1970-01-01T00:00:00.000001Z", 1},
		{"1970-01-01T00:00:00.0000019Z", 1},
		{"1970-01-01T00:00:00.123456789012345678901234567890Z", 123456},
		{"1969-12-31T23:59:59.999999Z", -1},
		{"1969-12-31T23:59:59.9999999Z", -1},
		{"1970-01-01T01:00:00+01:00", 0},
		{"1969-12-31T18:30:00-05:30", 0},
		{"1970-01-01T00:00:00-00:00", 0},
		{"1970-01-01T23:59:00+23:59", 0},
		{"2000-02-29", INT64_C(951782400000000)},
		{"2024-02-29T23:59:59Z", INT64_C(1709251199000000)},
		{"2026-11-21T00:47:00.123Z", INT64_C(1795222020123000)},
		{"2026-11-21T02:17:00.123+01:30", INT64_C(1795222020123000)},
		{"0001-01-01", FIRST_US},
		{"0001-01-01T01:00:00+01:00", FIRST_US},
		{"9999-12-31T23:59:59.999999Z", BEYOND_US - 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t time_us = -7;

		if (clock_parse(cases[i].text, strlen(cases[i].text), &time_us) != 0 || time_us != cases[i].time_us)
			fail_msg("%s: %lld", cases[i].text, (long long)time_us);
	}
}

static void test_parse_refuses(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"1970",
		"1970-01",
		"1970-01-01T",
		"1970-01-01T00:00Z",
		"1970-01-01T00:00:00",
		"1970-01-01 00:00:00Z",
		"1970-01-01T00:00:00 Z",
		" 1970-01-01",
		"1970-01-01 ",
		"1970-1-1",
		"70-01-01",
		"+1970-01-01",
		"-1970-01-01",
		"01970-01-01",
		"10000-01-01",
		"0000-01-01",
		"0000-12-31T23:59:59Z",
		"1970-00-01",
		"1970-13-01",
		"1970-01-00",
		"1970-01-32",
		"1970-04-31",
		"1970-02-29",
		"1900-02-29",
		"2100-02-29",
		"2000-02-30",
		"1970-01-01T24:00:00Z",
		"1970-01-01T00:60:00Z",
		"1970-01-01T00:00:60Z",
		"2016-12-31T23:59:60Z",
		"1970-01-01T-1:00:00Z",
		"1970-01-01T00:00:00.Z",
		"1970-01-01T00:00:00,5Z",
		"1970-01-01T00:00:00.5",
		"1970-01-01T00:00:00+01",
		"1970-01-01T00:00:00+0100",
		"1970-01-01T00:00:00+24:00",
		"1970-01-01T00:00:00+01:60",
		"1970-01-01T00:00:00+1:00",
		"1970-01-01T00:00:00ZZ",
		"1970-01-01T00:00:00+01:00Z",
		"1970-01-01Z",
		"1970/01/01",
		"0001-01-01T00:00:00+00:01",
		"9999-12-31T23:59:59-00:01",
		"1970-01-01T00:00:00\342\210\22201:00",
		"now",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int64_t time_us = -7;

		if (clock_parse(texts[i], strlen(texts[i]), &time_us) != -1 || time_us != -7)
			fail_msg("\"%s\" was accepted", texts[i]);
	}
}

static void test_parse_keeps_to_the_length(void **state)
{
	int64_t time_us = -7;

	(void)state;
	assert_int_equal(clock_parse(NULL, 0, &time_us), -1);
	assert_int_equal(clock_parse("1970-01-02garbage", 10, &time_us), 0);
	assert_int_equal(time_us, INT64_C(86400000000));
	assert_int_equal(clock_parse("1970-01-01T00:00:00Z\0", 21, &time_us), -1);
	assert_int_equal(clock_parse("1970-01-01T00:00:00Z", 19, &time_us), -1);
}

static int number_at(const char *text, int digits)
{
	int value = 0;

	for (int i = 0; i < digits; i++)
		value = value * 10 + (text[i] - '0');
	return value;
}

/* Every day from year 1 to 9999, counted by the calendar's own rule. */
static void test_every_day(void **state)
{
	static const int lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int64_t day = FIRST_US / CLOCK_US_PER_SECOND / 86400;

	(void)state;
	for (int year = 1; year <= 9999; year++) {
		bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

		for (int month = 1; month <= 12; month++) {
			int length = lengths[month - 1] + (month == 2 && leap ? 1 : 0);

			for (int d = 1; d <= length; d++, day++) {
				int64_t time_us = day * 86400 * CLOCK_US_PER_SECOND;
				char text[CLOCK_RFC3339_MAX];
				int64_t back;

				clock_format(time_us, text);
				if (clock_parse(text, 10, &back) != 0 || back != time_us ||
				    number_at(text, 4) != year || number_at(text + 5, 2) != month ||
				    number_at(text + 8, 2) != d)
					fail_msg("%d-%d-%d: %s", year, month, d, text);
			}
		}
	}
	assert_true(day * 86400 * CLOCK_US_PER_SECOND == BEYOND_US);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_monotonic),
		cmocka_unit_test(test_wall),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_format_outside_the_years),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_parse_keeps_to_the_length),
		cmocka_unit_test(test_every_day),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
