/*
 * prober: keeps the state of the platform's keys at their providers up to date.  Probes the keys that are due and
 * stores the results, one process at a time.  Waits for the providers, with no connection taken from the pool
 * meanwhile.
 */
#ifndef OCTROI_WORKER_PROBER_H
#define OCTROI_WORKER_PROBER_H

#include "clients/probe.h"
#include "config.h"
#include "db/pool.h"

/* Fills in target from the configuration; false when the provider has no key. */
bool prober_target(const struct config *c, enum probe_provider provider, struct probe_target *target);

enum prober_end {
	PROBER_NOTED,   /* probed, and stored */
	PROBER_NOT_DUE, /* checked less than every_us ago, or claimed by another prober */
	PROBER_FAILED   /* the database failed; logged there */
};
/* Probes the target if it is due, and stores the result.  A change of state is logged, once. */
enum prober_end prober_check(struct pool *pool, const struct probe_target *target, int64_t every_us,
                             struct probe_result *result);

/* Checks the providers that are configured and due by probe_minutes; none when that is 0.  Cheap to call often:
 * looks_us (0 at first) is the time of the next look into the database.  Returns how many were probed. */
int prober_due(const struct config *c, struct pool *pool, int64_t *looks_us);

/* Time that a probe may take. */
#define PROBER_PATIENCE_US INT64_C(10000000)

#endif
