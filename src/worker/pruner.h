/*
 * pruner: deletes alerts that are older than alerts_days, once an hour, in rounds of small batches.
 */
#ifndef OCTROI_WORKER_PRUNER_H
#define OCTROI_WORKER_PRUNER_H

#include <stdint.h>

#include "config.h"
#include "db/pool.h"
#include "queries/pruning.h"

struct pruner {
	int64_t looks_us; /* monotonic: the next look; 0 at first */
	struct pruning place;
};
/* Looks at a few batches, if it is time.  Cheap to call often.  Returns the number of rows that were deleted, or -1:
 * the database failed. */
int pruner_due(const struct config *c, struct pool *pool, struct pruner *p);

#endif
