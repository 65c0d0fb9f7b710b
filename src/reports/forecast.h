/*
 * forecast: the use of a month by its end, in the account's time zone.  Pure, in whole numbers.
 *
 * weekday: the use so far, plus the average cost of the weekday for the rest of today and for each day after it.  The
 * averages begin four weeks ago, or on the first of the month where that is earlier.  This method needs two weeks of
 * whole days since the first day with a cost among them.
 * linear: used otherwise.  The use so far, plus the rest of the month at the pace so far.  The pace is that since the
 * month's beginning, or since the first day with a cost where that is later, but at least since a day ago.
 * Both are exact fractions, rounded down once, to a micro.
 */
#ifndef OCTROI_REPORTS_FORECAST_H
#define OCTROI_REPORTS_FORECAST_H

#include <stdint.h>

#include "base/money.h"
#include "base/zone.h"

#define FORECAST_DAYS_MAX 32

enum forecast_method { FORECAST_WEEKDAY, FORECAST_LINEAR };

/* The days of a forecast, each from a local midnight to the next, the last one up to now. */
struct forecast_days {
	int count, month; /* days[month] is the first of the month */
	int64_t starts_us[FORECAST_DAYS_MAX];
	micros cost[FORECAST_DAYS_MAX]; /* filled in by the caller, none of them negative */
};
void forecast_days(const struct zone *z, int64_t now_us, struct forecast_days *days);

struct forecast {
	enum forecast_method method;
	micros so_far_micros, month_end_micros; /* cut to the largest micros */
};
void forecast_month(const struct zone *z, int64_t now_us, const struct forecast_days *days, struct forecast *out);

const char *forecast_method_name(enum forecast_method method);

#endif
