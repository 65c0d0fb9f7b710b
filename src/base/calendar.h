/*
 * calendar: dates of the proleptic Gregorian calendar as days since 1970-01-01 (H. Hinnant, "chrono-compatible
 * low-level date algorithms").  Pure.
 */
#ifndef OCTROI_BASE_CALENDAR_H
#define OCTROI_BASE_CALENDAR_H

#include <stdint.h>

struct calendar_date {
	int64_t year, month, day; /* month 1 to 12, day 1 to 31 */
};

int64_t calendar_days(const struct calendar_date *date); /* of a valid date */
struct calendar_date calendar_date(int64_t days);
/* The date so many months later, or earlier; its day is not looked at. */
struct calendar_date calendar_add_months(struct calendar_date date, int64_t months);

/* a / b rounded down, b > 0. */
int64_t calendar_floor_div(int64_t a, int64_t b);

#endif
