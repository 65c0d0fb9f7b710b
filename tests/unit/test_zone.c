#include "unit.h"

#include "base/clock.h"
#include "base/zone.h"

/* Wall clocks are written like times of UTC.  The figures are those of Python's zoneinfo, which
 * tests/model/test_zone.py asks about many more. */

static int64_t at(const char *text)
{
	int64_t time_us = 0;

	assert_int_equal(clock_parse(text, strlen(text), &time_us), 0);
	return time_us;
}

static const struct zone *find(const char *name)
{
	const struct zone *z = zone_find(name);

	assert_non_null(z);
	return z;
}

static void expect(const char *what, const char *of, int64_t found, const char *expected)
{
	char text[CLOCK_RFC3339_MAX];

	clock_format(found, text);
	if (found != at(expected))
		fail_msg("%s of %s: expected %s, found %s", what, of, expected, text);
}

static void test_names(void **state)
{
	static const char *const no_zones[] = {
		"",
		"+02:00",
		"CET-1CEST",
		"UTC0",
		"Mars/Base",
		"Europe",
		"Europe/",
		"/Europe/Paris",
		"europe/paris",
		"Europe/Paris ",
		"Europe/../Europe/Paris",
		"posix/UTC",
		"right/UTC",
		"localtime",
		"leapseconds",
		"Europe/Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};

	(void)state;
	assert_string_equal(zone_name(find("Europe/Paris")), "Europe/Paris");
	assert_ptr_equal(find("Europe/Paris"), find("Europe/Paris"));
	assert_ptr_not_equal(find("Europe/Paris"), find("UTC"));
	find("America/Argentina/Buenos_Aires");
	find("Etc/GMT+5");
	for (size_t i = 0; i < sizeof(no_zones) / sizeof(no_zones[0]); i++)
		if (zone_find(no_zones[i]) != NULL)
			fail_msg("%s is no time zone", no_zones[i]);
}

static void test_wall_clock(void **state)
{
	static const struct {
		const char *zone, *instant, *local;
	} cases[] = {
		{"UTC", "2026-11-21T04:20:25.123Z", "2026-11-21T04:20:25.123Z"},
		{"Europe/Paris", "2026-03-29T00:59:59.999Z", "2026-03-29T01:59:59.999Z"},
		{"Europe/Paris", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z"},
		{"Europe/Paris", "2026-10-25T00:59:59Z", "2026-10-25T02:59:59Z"},
		{"America/New_York", "2026-03-08T07:00:00Z", "2026-03-08T03:00:00Z"},
		{"Asia/Kathmandu", "2026-06-01T00:00:00Z", "2026-06-01T05:45:00Z"},
		{"Australia/Lord_Howe", "2026-04-04T14:59:59Z", "2026-04-05T01:59:59Z"},
		{"Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29T23:59:59Z"},
		{"Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31T00:00:00Z"},
		{"Africa/Cairo", "2026-04-23T22:00:00Z", "2026-04-24T01:00:00Z"},
		{"America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-04T01:00:00Z"},
		{"America/Sao_Paulo", "2026-11-04T03:00:00Z", "2026-11-04T00:00:00Z"},
		{"Europe/Paris", "2061-07-01T00:00:00Z", "2061-07-01T02:00:00Z"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct zone *z = find(cases[i].zone);

		expect(cases[i].zone, cases[i].instant, zone_local(z, at(cases[i].instant)), cases[i].local);
		expect(cases[i].zone, cases[i].local, zone_instant(z, at(cases[i].local)), cases[i].instant);
	}
}

/* Shown twice: the first.  Never shown: the end of the gap. */
static void test_odd_instants(void **state)
{
	static const struct {
		const char *zone, *local, *instant;
	} cases[] = {
		{"Europe/Paris", "2026-10-25T02:30:00Z", "2026-10-25T00:30:00Z"},
		{"Europe/Paris", "2026-03-29T02:00:00Z", "2026-03-29T01:00:00Z"},
		{"Europe/Paris", "2026-03-29T02:59:59.999Z", "2026-03-29T01:00:00Z"},
		{"America/New_York", "2026-11-01T01:30:00Z", "2026-11-01T05:30:00Z"},
		{"Australia/Lord_Howe", "2026-04-05T01:45:00Z", "2026-04-04T14:45:00Z"},
		{"Australia/Lord_Howe", "2026-10-04T02:15:00Z", "2026-10-03T15:30:00Z"},
		{"Pacific/Apia", "2011-12-30T12:00:00Z", "2011-12-30T10:00:00Z"},
		{"Africa/Cairo", "2026-04-24T00:30:00Z", "2026-04-23T22:00:00Z"},
		{"Asia/Beirut", "2026-03-29T00:00:00Z", "2026-03-28T22:00:00Z"},
		{"Asia/Beirut", "2026-10-24T23:30:00Z", "2026-10-24T20:30:00Z"},
		{"America/Sao_Paulo", "2018-11-04T00:00:00Z", "2018-11-04T03:00:00Z"},
		{"America/Sao_Paulo", "2018-02-17T23:00:00Z", "2018-02-18T01:00:00Z"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(cases[i].zone, cases[i].local, zone_instant(find(cases[i].zone), at(cases[i].local)),
		       cases[i].instant);
}

static void test_hours(void **state)
{
	static const struct {
		const char *zone, *instant, *hour;
	} cases[] = {
		{"UTC", "2026-12-31T23:00:00Z", "2027-01-01T00:00:00Z"},
		{"UTC", "2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00Z"},
		{"Asia/Kathmandu", "2026-12-31T18:14:59Z", "2026-12-31T18:15:00Z"},
		{"Europe/Paris", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"},
		{"Europe/Paris", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"},
		/* The clock is put back from two to half past one, and forward from two to half past two. */
		{"Australia/Lord_Howe", "2026-04-04T14:00:00Z", "2026-04-04T15:00:00Z"},
		{"Australia/Lord_Howe", "2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z"},
		{"Australia/Lord_Howe", "2026-10-03T15:30:00Z", "2026-10-03T16:00:00Z"},
		{"America/St_Johns", "2010-11-07T02:30:30Z", "2010-11-07T02:31:00Z"},
		{"America/St_Johns", "2010-11-07T02:31:00Z", "2010-11-07T03:30:00Z"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(cases[i].zone, cases[i].instant, zone_next_hour(find(cases[i].zone), at(cases[i].instant)),
		       cases[i].hour);
}

static void test_changes(void **state)
{
	const struct zone *z = find("Europe/Paris");
	const int64_t change = at("2026-10-25T01:00:00Z");

	(void)state;
	assert_int_equal(zone_next_change(z, at("2026-06-01T00:00:00Z"), at("2026-12-01T00:00:00Z")), change);
	assert_int_equal(zone_next_change(z, change - 1, change + 1), change);
	assert_int_equal(zone_next_change(z, change - 1, change), change);
	assert_int_equal(zone_next_change(z, change, change + 5), change + 5);
	assert_int_equal(zone_next_change(find("UTC"), 1, change), change);
}

static void test_days_and_months(void **state)
{
	static const struct {
		const char *zone, *instant, *day, *month;
	} cases[] = {
		{"UTC", "2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z"},
		{"UTC", "2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"Europe/Paris", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "2026-10-31T23:00:00Z"},
		{"Europe/Paris", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-03-31T22:00:00Z"},
		{"America/New_York", "2026-03-01T05:00:00Z", "2026-03-02T05:00:00Z", "2026-04-01T04:00:00Z"},
		{"Pacific/Apia", "2011-12-29T20:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"},
		{"Africa/Cairo", "2026-04-23T12:00:00Z", "2026-04-23T22:00:00Z", "2026-04-30T21:00:00Z"},
		{"Asia/Beirut", "2026-10-24T20:30:00Z", "2026-10-24T22:00:00Z", "2026-10-31T22:00:00Z"},
		{"America/St_Johns", "2010-11-07T02:30:30Z", "2010-11-07T02:31:00Z", "2010-12-01T03:30:00Z"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct zone *z = find(cases[i].zone);

		expect(cases[i].zone, cases[i].instant, zone_next_day(z, at(cases[i].instant)), cases[i].day);
		expect(cases[i].zone, cases[i].instant, zone_next_month(z, at(cases[i].instant)), cases[i].month);
	}
}

static void test_calendar(void **state)
{
	static const struct {
		const char *local;
		int64_t months;
		const char *later;
	} cases[] = {
		{"2026-01-31T08:00:00Z", 0, "2026-01-31T08:00:00Z"},
		{"2026-01-31T08:00:00Z", 1, "2026-02-28T08:00:00Z"},
		{"2026-01-31T08:00:00Z", 2, "2026-03-31T08:00:00Z"},
		{"2026-01-31T08:00:00Z", 25, "2028-02-29T08:00:00Z"},
		{"2028-02-29T23:59:59.999Z", 12, "2029-02-28T23:59:59.999Z"},
		{"2028-02-29T23:59:59.999Z", 48, "2032-02-29T23:59:59.999Z"},
		{"2026-12-30T00:00:00Z", 2, "2027-02-28T00:00:00Z"},
		{"1999-12-31T00:00:00Z", 2, "2000-02-29T00:00:00Z"},
		{"2099-12-31T00:00:00Z", 2, "2100-02-28T00:00:00Z"},
		{"1960-05-31T01:00:00Z", 1, "1960-06-30T01:00:00Z"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect("months", cases[i].local, zone_add_months(at(cases[i].local), cases[i].months), cases[i].later);
	expect("day", "", zone_local_day(at("2026-11-21T04:20:25Z")), "2026-11-21T00:00:00Z");
	expect("day", "", zone_local_day(at("1969-12-31T23:59:59Z")), "1969-12-31T00:00:00Z");
	expect("month", "", zone_local_month(at("2026-11-21T04:20:25Z")), "2026-11-01T00:00:00Z");
	expect("month", "", zone_local_month(at("1969-02-28T00:00:00Z")), "1969-02-01T00:00:00Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),        cmocka_unit_test(test_wall_clock),
		cmocka_unit_test(test_odd_instants), cmocka_unit_test(test_changes),
		cmocka_unit_test(test_hours),        cmocka_unit_test(test_days_and_months),
		cmocka_unit_test(test_calendar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
