/*
 * prober: keeps up what is known of the platform's keys at its providers: probes those that are due and stores what
 * it found, one process at a time.  Waits for the providers, with no connection taken from the pool meanwhile.
 */
#ifndef OCTROI_WORKER_PROBER_H
#define OCTROI_WORKER_PROBER_H

#include "clients/probe.h"
#include "config.h"
#include "db/pool.h"

/* What is configured; false when the provider has no key. */
bool prober_target(const struct config *c, enum probe_provider provider, struct probe_target *target);

enum prober_end {
	PROBER_NOTED,   /* probed, and stored */
	PROBER_NOT_DUE, /* checked less than every_us ago, or being checked by somebody else */
	PROBER_FAILED   /* the database failed; logged there */
};
/* A change of state is logged, once. */
enum prober_end prober_check(struct pool *pool, const struct probe_target *target, int64_t every_us,
                             struct probe_result *result);

/* Those that are configured and due by probe_minutes; nothing when that is 0.  Cheap to call often: looks_us (0 at
 * first) is when to look into the database again.  How many were probed. */
int prober_due(const struct config *c, struct pool *pool, int64_t *looks_us);

/* How long a probe may take. */
#define PROBER_PATIENCE_US INT64_C(10000000)

#endif
