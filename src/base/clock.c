#include "base/clock.h"

#include <stdbool.h>
#include <time.h>

#include "base/check.h"

#define SECONDS_PER_DAY INT64_C(86400)
#define DAYS_PER_400_YEARS INT64_C(146097)
/* Days from 0000-03-01 to 1970-01-01; years that begin in March end with their leap day. */
#define DAYS_TO_EPOCH INT64_C(719468)
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

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0 ? 1 : 0);
}

/* Days since 1970-01-01 of a valid date of year 0 or later (H. Hinnant, "chrono-compatible
 * low-level date algorithms"). */
static int64_t days_from_civil(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = floor_div(y, 400);
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * DAYS_PER_400_YEARS + day_of_era - DAYS_TO_EPOCH;
}

static void civil_from_days(int64_t days, struct civil *c)
{
	int64_t shifted = days + DAYS_TO_EPOCH;
	int64_t era = floor_div(shifted, DAYS_PER_400_YEARS);
	int64_t day_of_era = shifted - era * DAYS_PER_400_YEARS;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
	                       day_of_era / (DAYS_PER_400_YEARS - 1)) /
	                      365;
	int64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month_from_march = (5 * day_of_year + 2) / 153;

	c->day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
	c->month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
	c->year = (int)(year_of_era + era * 400 + (c->month <= 2 ? 1 : 0));
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
	int64_t ms = floor_div(time_us, CLOCK_US_PER_MS);
	int64_t seconds = floor_div(ms, 1000);
	int64_t days = floor_div(seconds, SECONDS_PER_DAY);
	int second_of_day = (int)(seconds - days * SECONDS_PER_DAY);
	struct civil c;

	civil_from_days(days, &c);
	CHECK(c.year >= YEAR_MIN && c.year <= YEAR_MAX);
	for (size_t i = 0; i < sizeof(shape); i++)
		out[i] = shape[i];
	put_digits(out, c.year, 4);
	put_digits(out + 5, c.month, 2);
	put_digits(out + 8, c.day, 2);
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
static bool take_number(struct cursor *c, int digits, int min, int max, int *number)
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
	return take_number(c, 4, YEAR_MIN, YEAR_MAX, &t->year) && take_char(c, '-', '-') &&
	       take_number(c, 2, 1, 12, &t->month) && take_char(c, '-', '-') &&
	       take_number(c, 2, 1, days_in_month(t->year, t->month), &t->day);
}

/* One digit or more; digits finer than a microsecond are dropped. */
static bool take_fraction(struct cursor *c, int *fraction_us)
{
	int unit = 100000;
	int digit;

	if (!take_char(c, '.', '.'))
		return true; /* optional */
	if (!take_number(c, 1, 0, 9, &digit))
		return false;
	do {
		*fraction_us += digit * unit;
		unit /= 10;
	} while (take_number(c, 1, 0, 9, &digit));
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
	if (!take_number(c, 2, 0, 23, &hours) || !take_char(c, ':', ':') ||
	    !take_number(c, 2, 0, 59, &minutes))
		return false;
	*offset_minutes = sign * (hours * 60 + minutes);
	return true;
}

static bool take_time(struct cursor *c, struct civil *t)
{
	return take_char(c, 'T', 't') && take_number(c, 2, 0, 23, &t->hour) &&
	       take_char(c, ':', ':') && take_number(c, 2, 0, 59, &t->minute) &&
	       take_char(c, ':', ':') && take_number(c, 2, 0, 59, &t->second) &&
	       take_fraction(c, &t->fraction_us) && take_offset(c, &t->offset_minutes);
}

int clock_parse(const char *text, size_t length, int64_t *time_us)
{
	struct cursor c = {.at = text, .end = length > 0 ? text + length : text};
	struct civil t = {0};
	int second_of_day; /* in UTC: the day before and the day after count as well */
	int64_t seconds;
	int64_t first = days_from_civil(YEAR_MIN, 1, 1) * SECONDS_PER_DAY;
	int64_t beyond = days_from_civil(YEAR_MAX + 1, 1, 1) * SECONDS_PER_DAY;

	if (!take_date(&c, &t) || (c.at != c.end && !take_time(&c, &t)) || c.at != c.end)
		return -1;
	second_of_day = t.hour * 3600 + t.minute * 60 + t.second - t.offset_minutes * 60;
	seconds = days_from_civil(t.year, t.month, t.day) * SECONDS_PER_DAY + second_of_day;
	/* An offset may lead out of the years that clock_format can write. */
	if (seconds < first || seconds >= beyond)
		return -1;
	*time_us = seconds * CLOCK_US_PER_SECOND + t.fraction_us;
	return 0;
}
