/*
 * watch: looks at each hour once it is over, and tells the operator when too many holds have expired, too many
 * settlements are estimates, or the cost is far above the mean of the weekday.
 */
#ifndef OCTROI_WORKER_WATCH_H
#define OCTROI_WORKER_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/zone.h"
#include "config.h"
#include "db/pool.h"
#include "queries/hours.h"

/* Looks at the hours that are over, if the last look was a minute ago (*looks_us, monotonic).  Returns their number, or
 * -1: the database failed. */
int watch_due(const struct config *c, struct pool *pool, int64_t *looks_us);

/* The next hour to look at, after the newest that was; 0: none is over yet.  At most a day is caught up.  Pure. */
int64_t watch_next_hour(int64_t now_us, int64_t newest_us);
/* True if part is more than percent of a whole that is not too small to tell.  Pure. */
bool watch_is_much(int64_t part, int64_t whole, int64_t percent);
/* The mean hour of the weekday on which from_us is, of the hours before; -1 without two weeks of hours since the first
 * with a cost.  Pure. */
micros watch_mean(const struct zone *z, int64_t from_us, const struct hours_row *before, int count);

#endif
