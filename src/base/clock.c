#include "base/clock.h"

#include <stdbool.h>
#include <time.h>

#include "base/calendar.h"
#include "base/check.h"

#define SECONDS_PER_DAY INT64_C(86400)
#define YEAR_MIN 1
#define YEAR_MAX 9999

/* A date and time of day as RFC 3339 writes them. */
struct civil {
	int year;
	int month;
	int day;
	int hour;
	int minute;
	int second;
	int fraction_us;
	int offset_minutes; /* east of UTC */
};

/* The unread rest of a text. */
struct cursor {
	const char *at;
	const char *end;
};

static int64_t read_clock(clockid_t id)
{
	struct timespec now;

	CHECK(clock_gettime(id, &now) == 0);
	return (int64_t)now.tv_sec * CLOCK_US_PER_SECOND + now.tv_nsec / 1000;
}

struct timespec clock_timespec(int64_t time_us)
{
	return (struct timespec){.tv_sec = (time_t)(time_us / CLOCK_US_PER_SECOND),
	                         .tv_nsec = (long)(time_us % CLOCK_US_PER_SECOND * 1000)};
}

int64_t clock_monotonic_us(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall_us(void)
{
	return read_clock(CLOCK_REALTIME);
}

static void put_digits(char *out, int value, int digits)
{
	for (int i = digits - 1; i >= 0; i--) {
		out[i] = (char)('0' + value % 10);
		value /= 10;
	}
}

size_t clock_format(int64_t time_us, char out[CLOCK_RFC3339_MAX])
{
	static const char shape[] = "0000-00-00T00:00:00.000Z";
	int64_t ms = calendar_floor_div(time_us, CLOCK_US_PER_MS);
	int64_t seconds = calendar_floor_div(ms, 1000);
	int64_t days = calendar_floor_div(seconds, SECONDS_PER_DAY);
	int second_of_day = (int)(seconds - days * SECONDS_PER_DAY);
	const struct calendar_date date = calendar_date(days);

	CHECK(date.year >= YEAR_MIN && date.year <= YEAR_MAX);
	for (size_t i = 0; i < sizeof(shape); i++)
		out[i] = shape[i];
	put_digits(out, (int)date.year, 4);
	put_digits(out + 5, (int)date.month, 2);
	put_digits(out + 8, (int)date.day, 2);
	put_digits(out + 11, second_of_day / 3600, 2);
	put_digits(out + 14, second_of_day / 60 % 60, 2);
	put_digits(out + 17, second_of_day % 60, 2);
	put_digits(out + 20, (int)(ms - seconds * 1000), 3);
	return sizeof(shape) - 1;
}

static bool take_char(struct cursor *c, char upper, char lower)
{
	if (c->at == c->end || (*c->at != upper && *c->at != lower))
		return false;
	c->at++;
	return true;
}

/* Exactly so many digits, for a number between min and max. */
static bool take_decimal_digits(struct cursor *c, int digits, int min, int max, int *number)
{
	int value = 0;

	for (; digits > 0; digits--) {
		if (c->at == c->end || *c->at < '0' || *c->at > '9')
			return false;
		value = value * 10 + (*c->at++ - '0');
	}
	*number = value;
	return value >= min && value <= max;
}

static int days_in_month(int year, int month)
{
	static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static bool take_date(struct cursor *c, struct civil *t)
{
	return take_decimal_digits(c, 4, YEAR_MIN, YEAR_MAX, &t->year) && take_char(c, '-', '-') &&
	       take_decimal_digits(c, 2, 1, 12, &t->month) && take_char(c, '-', '-') &&
	       take_decimal_digits(c, 2, 1, days_in_month(t->year, t->month), &t->day);
}

/* One digit or more; digits finer than a microsecond are dropped. */
static bool take_fraction(struct cursor *c, int *fraction_us)
{
	int unit = 100000;
	int digit;

	if (!take_char(c, '.', '.'))
		return true; /* optional */
	if (!take_decimal_digits(c, 1, 0, 9, &digit))
		return false;
	do {
		*fraction_us += digit * unit;
		unit /= 10;
	} while (take_decimal_digits(c, 1, 0, 9, &digit));
	return true;
}

static bool take_offset(struct cursor *c, int *offset_minutes)
{
	int sign = 1;
	int hours;
	int minutes;

	if (take_char(c, 'Z', 'z'))
		return true;
	if (take_char(c, '-', '-'))
		sign = -1;
	else if (!take_char(c, '+', '+'))
		return false;
	if (!take_decimal_digits(c, 2, 0, 23, &hours) || !take_char(c, ':', ':') ||
	    !take_decimal_digits(c, 2, 0, 59, &minutes))
		return false;
	*offset_minutes = sign * (hours * 60 + minutes);
	return true;
}

static bool take_time(struct cursor *c, struct civil *t)
{
	return take_char(c, 'T', 't') && take_decimal_digits(c, 2, 0, 23, &t->hour) && take_char(c, ':', ':') &&
	       take_decimal_digits(c, 2, 0, 59, &t->minute) && take_char(c, ':', ':') &&
	       take_decimal_digits(c, 2, 0, 59, &t->second) && take_fraction(c, &t->fraction_us) &&
	       take_offset(c, &t->offset_minutes);
}

int clock_parse(const char *text, size_t length, int64_t *time_us)
{
	struct cursor c = {.at = text, .end = length > 0 ? text + length : text};
	struct civil t = {0};
	int second_of_day; /* in UTC: the day before and the day after count as well */
	int64_t seconds;
	const int64_t first = calendar_days(&(struct calendar_date){YEAR_MIN, 1, 1}) * SECONDS_PER_DAY;
	const int64_t beyond = calendar_days(&(struct calendar_date){YEAR_MAX + 1, 1, 1}) * SECONDS_PER_DAY;

	if (!take_date(&c, &t) || (c.at != c.end && !take_time(&c, &t)) || c.at != c.end)
		return -1;
	second_of_day = t.hour * 3600 + t.minute * 60 + t.second - t.offset_minutes * 60;
	seconds = calendar_days(&(struct calendar_date){t.year, t.month, t.day}) * SECONDS_PER_DAY + second_of_day;
	/* An offset may lead out of the years that clock_format can write. */
	if (seconds < first || seconds >= beyond)
		return -1;
	*time_us = seconds * CLOCK_US_PER_SECOND + t.fraction_us;
	return 0;
}
