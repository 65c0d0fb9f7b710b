#include "reports/forecast.h"

#include <string.h>

#include "base/check.h"

#define US_PER_DAY INT64_C(86400000000)
#define WEEK 7
#define WINDOW_DAYS 28
#define WHOLE_DAYS_MIN 14
/* Divisible by every number of days of one weekday that the window can hold. */
#define COMMON 60

typedef __int128 wide;

static int weekday(const struct zone *z, int64_t starts_us)
{
	const int64_t day = zone_local_day(zone_local(z, starts_us)) / US_PER_DAY;

	return (int)((day % WEEK + WEEK) % WEEK);
}

void forecast_days(const struct zone *z, int64_t now_us, struct forecast_days *days)
{
	const int64_t local_us = zone_local(z, now_us);
	const int64_t month_us = zone_local_month(local_us), today_us = zone_local_day(local_us);
	int64_t day_us = today_us - WINDOW_DAYS * US_PER_DAY;

	memset(days, 0, sizeof(*days));
	if (month_us < day_us)
		day_us = month_us;
	for (; day_us <= today_us; day_us += US_PER_DAY) {
		CHECK(days->count < FORECAST_DAYS_MAX);
		if (day_us == month_us)
			days->month = days->count;
		days->starts_us[days->count++] = zone_instant(z, day_us);
	}
	CHECK(days->count > 0 && days->starts_us[days->count - 1] <= now_us);
}

/* The end of the month. */
static int64_t end_of_month(const struct zone *z, int64_t now_us)
{
	return zone_instant(z, zone_add_months(zone_local_month(zone_local(z, now_us)), 1));
}

/* The index of the first day with a cost; days->count where there is none. */
static int first_used(const struct forecast_days *days)
{
	int i = 0;

	while (i < days->count && days->cost[i] == 0)
		i++;
	return i;
}

static micros linear(const struct zone *z, int64_t now_us, const struct forecast_days *days, micros so_far)
{
	const int first = first_used(days);
	const int begin = first > days->month ? first : days->month;
	int64_t elapsed_us;

	if (so_far == 0)
		return 0;
	CHECK(begin < days->count);
	elapsed_us = now_us - days->starts_us[begin];
	if (elapsed_us < US_PER_DAY)
		elapsed_us = US_PER_DAY;
	return money_clip(so_far + (wide)so_far * (end_of_month(z, now_us) - now_us) / elapsed_us);
}

/* COMMON times the average cost of each weekday, over the whole days from the first used one. */
static void averages(const struct zone *z, const struct forecast_days *days, int first, wide average[WEEK])
{
	int count[WEEK] = {0};

	memset(average, 0, WEEK * sizeof(average[0]));
	for (int i = first; i + 1 < days->count; i++) {
		const int w = weekday(z, days->starts_us[i]);

		if (days->starts_us[i] == days->starts_us[i + 1])
			continue; /* a date that the zone left out */
		average[w] += days->cost[i];
		count[w]++;
	}
	for (int w = 0; w < WEEK; w++) {
		CHECK(count[w] == 0 || COMMON % count[w] == 0);
		average[w] *= count[w] > 0 ? COMMON / count[w] : 0;
	}
}

static micros by_weekday(const struct zone *z, int64_t now_us, const struct forecast_days *days, micros so_far)
{
	const int64_t end_us = end_of_month(z, now_us), today_us = days->starts_us[days->count - 1];
	const int64_t tomorrow_us = zone_next_day(z, now_us);
	const wide length_us = tomorrow_us - today_us;
	wide average[WEEK], later = 0;

	averages(z, days, first_used(days), average);
	for (int64_t at_us = tomorrow_us; at_us < end_us; at_us = zone_next_day(z, at_us))
		later += average[weekday(z, at_us)];
	CHECK(length_us > 0);
	later = later * length_us + average[weekday(z, today_us)] * (tomorrow_us - now_us);
	return money_clip(so_far + later / (COMMON * length_us));
}

void forecast_month(const struct zone *z, int64_t now_us, const struct forecast_days *days, struct forecast *out)
{
	wide so_far = 0;

	for (int i = 0; i < days->count; i++) {
		CHECK(days->cost[i] >= 0);
		if (i >= days->month)
			so_far += days->cost[i];
	}
	out->so_far_micros = money_clip(so_far);
	if (days->count - 1 - first_used(days) >= WHOLE_DAYS_MIN) {
		out->method = FORECAST_WEEKDAY;
		out->month_end_micros = by_weekday(z, now_us, days, out->so_far_micros);
	} else {
		out->method = FORECAST_LINEAR;
		out->month_end_micros = linear(z, now_us, days, out->so_far_micros);
	}
}

const char *forecast_method_name(enum forecast_method method)
{
	switch (method) {
	case FORECAST_WEEKDAY:
		return "weekday";
	case FORECAST_LINEAR:
		return "linear";
	}
	UNREACHABLE("no such method");
}
