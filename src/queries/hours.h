/*
 * hours: what ended in an hour, in each unit (table hours).  One process writes an hour, in a transaction of its own or
 * its caller's.  One connection, on its thread.
 */
#ifndef OCTROI_QUERIES_HOURS_H
#define OCTROI_QUERIES_HOURS_H

#include <stdint.h>

#include "base/money.h"
#include "db/db.h"

#define HOURS_UNITS 2 /* enum account_unit */
#define HOURS_US INT64_C(3600000000)
#define HOURS_WINDOW (28 * 24) /* hours that are looked back */

struct hours_row {
	int64_t from_us, unit;
	int64_t ended, expired; /* requests that ended; those of them whose hold expired */
	int64_t settled, estimated;
	micros cost_micros;
};

/* Reads the database's clock, and the newest hour that is there; 0: none.  0 or -1. */
int hours_newest(struct db *d, int64_t *now_us, int64_t *from_us);
/* Counts the hour from then on, in each unit.  A range of the index for each account: no scan of usages.  0 or -1. */
int hours_count(struct db *d, int64_t from_us, struct hours_row rows[HOURS_UNITS]);
/* Writes the hour.  1: written; 0: it is there; -1: the database failed. */
int hours_add(struct db *d, const struct hours_row rows[HOURS_UNITS]);
/* Reads the hours of the unit of the 28 days before from_us, the oldest first.  Their number, or -1. */
int hours_before(struct db *d, int64_t from_us, int64_t unit, struct hours_row rows[HOURS_WINDOW]);

#endif
