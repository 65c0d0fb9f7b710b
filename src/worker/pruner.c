#include "worker/pruner.h"

#include "base/clock.h"

#define POOL_PATIENCE_US (5 * CLOCK_US_PER_SECOND)
#define LOOK_EVERY_US (3600 * CLOCK_US_PER_SECOND)
#define BATCHES_MAX 4 /* then others of the housekeeper's have their turn */

static int prune_batch(const struct config *c, struct pool *pool, struct pruning *place, bool *more)
{
	struct db *d = pool_take(pool, clock_monotonic_us() + POOL_PATIENCE_US);
	int deleted;

	*more = false;
	if (d == NULL)
		return -1;
	deleted = pruning_run(d, c->alerts_days, place, more);
	pool_give(pool, d);
	return deleted;
}

int pruner_due(const struct config *c, struct pool *pool, struct pruner *p)
{
	const int64_t now_us = clock_monotonic_us();
	int sum = 0, one = 0;
	bool more = true;

	if (c->alerts_days == 0 || now_us < p->looks_us)
		return 0;
	for (int i = 0; i < BATCHES_MAX && more && one >= 0; i++) {
		one = prune_batch(c, pool, &p->place, &more);
		sum += one > 0 ? one : 0;
	}
	p->looks_us = more && one >= 0 ? now_us : now_us + LOOK_EVERY_US;
	return one < 0 ? -1 : sum;
}
