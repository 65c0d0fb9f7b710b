#include "base/zone.h"

#include <ctype.h>
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/calendar.h"
#include "base/check.h"
#include "base/lock.h"

#define US INT64_C(1000000)
#define HOUR_US (3600 * US)
#define DAY_S INT64_C(86400)
#define DAY_US (DAY_S * US)
/* No local time is further from UTC. */
#define OFFSET_MAX_S (27 * INT64_C(3600))

#define DATABASE "/usr/share/zoneinfo" /* unless TZDIR names another, as for GLib */
#define PATH_BYTES_MAX 512
#define ZONES_MAX 1024         /* the database has some 600 names */
#define PLACES (2 * ZONES_MAX) /* a power of two */

struct zone {
	char name[ZONE_NAME_MAX];
	GTimeZone *times; /* immutable, and so are the functions used of it */
};

static struct {
	struct lock lock;
	struct zone *place[PLACES]; /* open hash table; nothing is ever taken out */
	struct zone zone[ZONES_MAX];
	int count;
} known = {.lock = {.mutex = PTHREAD_MUTEX_INITIALIZER}};

/* ---- names ---------------------------------------------------------------------------------------- */

/* "America/Port-au-Prince", "Etc/GMT+5": every part of a name of the database begins with a capital.  The other
 * files of its folder do not (posix/, right/, localtime, leapseconds, zone.tab). */
static bool plausible(const char *name)
{
	bool begins = true;
	size_t length = 0;

	for (; name[length] != '\0'; length++) {
		const unsigned char c = (unsigned char)name[length];

		if (length + 1 >= ZONE_NAME_MAX)
			return false;
		if (begins ? !(c >= 'A' && c <= 'Z') : !(isalnum(c) || (c < 0x80 && strchr("/_+-", c) != NULL)))
			return false;
		begins = c == '/';
	}
	return !begins;
}

/* GLib would also take a rule ("CET-1CEST") for a name; only a file of the database is a name here. */
static bool exists(const char *name)
{
	const char *directory = getenv("TZDIR");
	char path[PATH_BYTES_MAX];
	struct stat found;
	int length;

	if (directory == NULL || directory[0] == '\0')
		directory = DATABASE;
	length = snprintf(path, sizeof(path), "%s/%s", directory, name);
	return length > 0 && length < (int)sizeof(path) && stat(path, &found) == 0 && S_ISREG(found.st_mode);
}

/* The place where the name is, or belongs (FNV-1a). */
static struct zone **place_of(const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	size_t at;

	for (const char *c = name; *c != '\0'; c++)
		hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
	at = hash & (PLACES - 1);
	while (known.place[at] != NULL && strcmp(known.place[at]->name, name) != 0)
		at = (at + 1) & (PLACES - 1);
	return &known.place[at];
}

/* Loads the zone into the next place of known.zone, which has room for it; NULL when there is none of that name. */
static struct zone *load_zone(const char *name)
{
	struct zone *z = &known.zone[known.count];
	GTimeZone *times = exists(name) ? g_time_zone_new_identifier(name) : NULL;

	if (times == NULL)
		return NULL;
	known.count++;
	strncat(z->name, name, sizeof(z->name) - 1);
	z->times = times;
	return z;
}

const struct zone *zone_find(const char *name)
{
	struct zone **place, *z;

	if (!plausible(name))
		return NULL;
	lock_take(&known.lock);
	place = place_of(name);
	if (*place == NULL && known.count < ZONES_MAX)
		*place = load_zone(name);
	z = *place;
	lock_give(&known.lock);
	return z;
}

const struct zone *zone_or(const char *name, const struct zone *otherwise)
{
	const struct zone *z = name != NULL && name[0] != '\0' ? zone_find(name) : NULL;

	return z != NULL ? z : otherwise;
}

const char *zone_name(const struct zone *z)
{
	return z->name;
}

/* ---- instants and the clock on the wall --------------------------------------------------------------- */

/* The number of the stretch of time that the instant is in.  Within a stretch the offset does not change; stretches are
 * numbered in order. */
static int stretch(const struct zone *z, int64_t s)
{
	return g_time_zone_find_interval(z->times, G_TIME_TYPE_UNIVERSAL, s);
}

static int64_t offset(const struct zone *z, int64_t s)
{
	return g_time_zone_get_offset(z->times, stretch(z, s));
}

/* The first second after from that is in another stretch; limit when there is none before it. */
static int64_t next_change(const struct zone *z, int64_t from, int64_t limit)
{
	const int now = stretch(z, from);
	int64_t low = from, high = limit;

	if (from >= limit || stretch(z, limit) == now)
		return limit;
	while (high - low > 1) {
		const int64_t middle = low + (high - low) / 2;

		if (stretch(z, middle) == now)
			low = middle;
		else
			high = middle;
	}
	return high;
}

int64_t zone_local(const struct zone *z, int64_t time_us)
{
	return time_us + offset(z, calendar_floor_div(time_us, US)) * US;
}

int64_t zone_instant(const struct zone *z, int64_t local_us)
{
	const int64_t local_s = calendar_floor_div(local_us, US);
	const int64_t end = local_s + OFFSET_MAX_S;

	for (int64_t start = local_s - OFFSET_MAX_S; start < end;) {
		const int64_t change = next_change(z, start, end);
		const int64_t at = local_s - offset(z, start);

		if (at < start)
			return start * US; /* the clock was put forward over it */
		if (at < change)
			return local_us - offset(z, start) * US;
		start = change;
	}
	UNREACHABLE("some offset holds at the end");
}

int64_t zone_next_change(const struct zone *z, int64_t time_us, int64_t limit_us)
{
	const int64_t limit = calendar_floor_div(limit_us + US - 1, US);
	int64_t at = calendar_floor_div(time_us, US);
	const int64_t before = offset(z, at);

	do
		at = next_change(z, at, limit);
	while (at < limit && offset(z, at) == before);
	return at < limit ? at * US : limit_us;
}

/* ---- months and days on the wall --------------------------------------------------------------------- */

int64_t zone_add_months(int64_t local_us, int64_t months)
{
	const int64_t days = calendar_floor_div(local_us, DAY_US);
	const struct calendar_date date = calendar_add_months(calendar_date(days), months);
	struct calendar_date first = {date.year, date.month, 1};
	int64_t last;

	first = calendar_add_months(first, 1);
	last = calendar_days(&first) - 1;
	return (calendar_days(&date) < last ? calendar_days(&date) : last) * DAY_US + (local_us - days * DAY_US);
}

int64_t zone_local_day(int64_t local_us)
{
	return calendar_floor_div(local_us, DAY_US) * DAY_US;
}

int64_t zone_local_month(int64_t local_us)
{
	struct calendar_date date = calendar_date(calendar_floor_div(local_us, DAY_US));

	date.day = 1;
	return calendar_days(&date) * DAY_US;
}

/* ---- hours, days and months of a zone --------------------------------------------------------------------- */

int64_t zone_next_hour(const struct zone *z, int64_t time_us)
{
	const int64_t local_us = zone_local(z, time_us);
	const int64_t left_us = (calendar_floor_div(local_us, HOUR_US) + 1) * HOUR_US - local_us;

	return zone_next_change(z, time_us, time_us + left_us);
}

static int64_t next_local_day(int64_t local_us)
{
	return zone_local_day(local_us) + DAY_US;
}

static int64_t next_local_month(int64_t local_us)
{
	return zone_add_months(zone_local_month(local_us), 1);
}

/* The first instant after time_us whose local time is in another unit (day, month).  from gives a unit's beginning,
 * next its end.  That instant is the unit's end if the offset holds until then, or else a change of the offset. */
static int64_t next_unit(const struct zone *z, int64_t time_us, int64_t (*from)(int64_t local_us),
                         int64_t (*next)(int64_t local_us))
{
	const int64_t local = zone_local(z, time_us), unit = from(local), end = next(local);
	const int64_t limit = calendar_floor_div(time_us + (end - local), US) + 2 * OFFSET_MAX_S;

	for (int64_t start = calendar_floor_div(time_us, US);;) {
		const int64_t change = next_change(z, start, limit), at = end - offset(z, start) * US;

		if (at < change * US)
			return at;
		CHECK(change < limit);
		if (from(zone_local(z, change * US)) != unit)
			return change * US;
		start = change;
	}
}

int64_t zone_next_day(const struct zone *z, int64_t time_us)
{
	return next_unit(z, time_us, zone_local_day, next_local_day);
}

int64_t zone_next_month(const struct zone *z, int64_t time_us)
{
	return next_unit(z, time_us, zone_local_month, next_local_month);
}
