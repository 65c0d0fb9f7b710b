/*
 * worker: does the ledger's work outside, row by row of the outbox: claims a row that is due, does its work, notes the
 * result.  A row that failed comes again, later each time.  A row that failed too often, or does not fit, is parked
 * for a person.
 */
#ifndef OCTROI_WORKER_WORKER_H
#define OCTROI_WORKER_WORKER_H

#include <stdbool.h>

#include "worker/charge.h"

struct worker;

struct worker_options {
	struct charge_options charge; /* charge.stripe NULL: payments are not set up, and tasks that need them wait */
	struct pool *pool;            /* where rows are claimed */
};

/* Handles rows that are due, at most max, until the monotonic deadline.  Returns how many, or -1 when the database
 * failed. */
int worker_run(const struct worker_options *o, int max, int64_t deadline_us);
/* Ends rows whose statement others have settled, and makes declined rows due at once if less is owed.  -1: the
 * database failed. */
int worker_review(const struct worker_options *o);

/* Makes a task for each due recharge that has none.  Cheap to call often: looks_us (0 at first) is the monotonic time
 * of the next look into the database.  -1: the database failed. */
int worker_recharges(const struct worker_options *o, int64_t *looks_us);

/* Starts threads that do all three until worker_stop; NULL when none can be started. */
struct worker *worker_start(const struct worker_options *o);
/* False when a thread still waits for another server at the deadline: the objects that it uses must then stay.
 * Harmless with NULL. */
bool worker_stop(struct worker *w, int64_t deadline_us);

/* Counts since the start of the process. */
struct worker_counts {
	int64_t paid, declined, later, parked, soft_limits, recharges;
};
void worker_count(struct worker_counts *counts);

#endif
