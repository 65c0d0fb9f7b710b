/*
 * zone: time zones of the IANA database, and the calendar in them.  A zone is read once, stays for the life
 * of the process and never changes.  So the arithmetic is pure, and any thread may use it.  Only zone_find
 * reads files (and takes a lock).
 */
#ifndef OCTROI_BASE_ZONE_H
#define OCTROI_BASE_ZONE_H

#include <stdint.h>

#define ZONE_NAME_MAX 64

struct zone;

/* "Europe/Paris"; NULL when there is none of that name. */
const struct zone *zone_find(const char *name);
/* The zone of that name; otherwise if the name is NULL, "" or that of no zone. */
const struct zone *zone_or(const char *name, const struct zone *otherwise);
const char *zone_name(const struct zone *z);

/* zone_local: the zone's local time, as microseconds since 1970-01-01 00:00 local time.  zone_instant: the instant
 * of a local time.  A local time that occurs twice has its first instant; one that never occurs, the end of the gap. */
int64_t zone_local(const struct zone *z, int64_t time_us);
int64_t zone_instant(const struct zone *z, int64_t local_us);

/* The local time months (>= 0) later: the same time of day, on the same day of the month or on that month's last. */
int64_t zone_add_months(int64_t local_us, int64_t months);
/* The local midnight of the same day, and of the first of the same month. */
int64_t zone_local_day(int64_t local_us);
int64_t zone_local_month(int64_t local_us);

/* The first instant after time_us, and before limit_us, with another offset from UTC; limit_us where there is none. */
int64_t zone_next_change(const struct zone *z, int64_t time_us, int64_t limit_us);
/* The end of the hour that time_us lies in: the clock shows a full hour then, or is changed. */
int64_t zone_next_hour(const struct zone *z, int64_t time_us);
/* The first instants after time_us of another local day, and of another local month. */
int64_t zone_next_day(const struct zone *z, int64_t time_us);
int64_t zone_next_month(const struct zone *z, int64_t time_us);

#endif
