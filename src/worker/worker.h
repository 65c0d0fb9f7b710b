/*
 * worker: does what the ledger wants done outside, row by row of the outbox: claims one that is due, does it, says how
 * it went.  What failed comes again, later each time; what failed too often, or does not fit, is parked for a person.
 */
#ifndef OCTROI_WORKER_WORKER_H
#define OCTROI_WORKER_WORKER_H

#include <stdbool.h>

#include "worker/charge.h"

struct worker;

struct worker_options {
	struct charge_options charge; /* charge.stripe NULL: payments are not set up, and statements wait */
	struct pool *pool;            /* where rows are claimed */
};

/* Does what is due, at most max rows, until the monotonic deadline; how many rows, or -1 when the database failed. */
int worker_run(const struct worker_options *o, int max, int64_t deadline_us);
/* Rows that others have settled are done, and those are due again of which less is owed; -1: the database failed. */
int worker_review(const struct worker_options *o);

/* Threads that do both for ever; NULL when they cannot be started. */
struct worker *worker_start(const struct worker_options *o);
/* False when one is still waiting for somebody else's server at the deadline: what it uses must stay then.  Harmless
 * with NULL. */
bool worker_stop(struct worker *w, int64_t deadline_us);

/* Since the start of the process. */
struct worker_counts {
	int64_t paid, declined, later, parked, soft_limits;
};
void worker_count(struct worker_counts *counts);

#endif
