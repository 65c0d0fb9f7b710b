#include "base/calendar.h"

#define DAYS_PER_400_YEARS INT64_C(146097)
#define DAYS_TO_EPOCH INT64_C(719468) /* from 0000-03-01: years begin in March, so that a leap day is the last */

int64_t calendar_floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

int64_t calendar_days(const struct calendar_date *date)
{
	const int64_t year = date->month <= 2 ? date->year - 1 : date->year;
	const int64_t era = calendar_floor_div(year, 400), of_era = year - era * 400;
	const int64_t of_year = (153 * ((date->month + 9) % 12) + 2) / 5 + date->day - 1;

	return era * DAYS_PER_400_YEARS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_TO_EPOCH;
}

struct calendar_date calendar_date(int64_t days)
{
	const int64_t shifted = days + DAYS_TO_EPOCH;
	const int64_t era = calendar_floor_div(shifted, DAYS_PER_400_YEARS),
		      of_era = shifted - era * DAYS_PER_400_YEARS;
	const int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / (DAYS_PER_400_YEARS - 1)) / 365;
	const int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	const int64_t from_march = (5 * of_year + 2) / 153;

	return (struct calendar_date){.year = year + era * 400 + (from_march >= 10),
	                              .month = (from_march + 2) % 12 + 1,
	                              .day = of_year - (153 * from_march + 2) / 5 + 1};
}

struct calendar_date calendar_add_months(struct calendar_date date, int64_t months)
{
	const int64_t month = date.year * 12 + date.month - 1 + months;

	date.year = calendar_floor_div(month, 12);
	date.month = month - date.year * 12 + 1;
	return date;
}
