#include "routes/overviews.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "ledger/queue.h"

#define WAITING_MAX 4096
#define INFLIGHT_MAX 2 /* questions at once: one answer may be slow */

struct overviews {
	struct pool *readers;
	atomic_int waiting;
	struct queue queue;
};

struct overviews *overviews_new(struct pool *readers)
{
	struct overviews *o = memory_part("overviews", sizeof(*o));

	if (o == NULL)
		return NULL;
	o->readers = readers;
	queue_init(&o->queue, WAITING_MAX, INFLIGHT_MAX, false);
	return o;
}

void overviews_free(struct overviews *o)
{
	if (o == NULL)
		return;
	queue_destroy(&o->queue);
	free(o);
}

/* Reads the overviews of all taken waiters.  The wait for a connection ends at the earliest of their deadlines. */
static void read_overviews(struct overviews *o, const struct waiter *taken)
{
	struct overview *wanted[OVERVIEW_ASKERS_MAX];
	int64_t deadline_us = INT64_MAX;
	struct db *d;
	int count = 0;

	for (const struct waiter *w = taken; w != NULL; w = w->next) {
		wanted[count++] = w->context;
		if (w->deadline_us < deadline_us)
			deadline_us = w->deadline_us;
	}
	d = pool_take(o->readers, deadline_us);
	for (int i = 0; d == NULL && i < count; i++)
		wanted[i]->failed = true;
	if (d == NULL)
		return;
	overview_read(d, wanted, count);
	pool_give(o->readers, d);
}

static void lead_reads(struct overviews *o, const struct waiter *own)
{
	int count;
	struct waiter *taken = queue_take(&o->queue, OVERVIEW_ASKERS_MAX, &count);

	CHECK(taken == own); /* the leader is the first waiter */
	queue_hand_over(&o->queue, taken, 0);
	read_overviews(o, taken);
	queue_finish(&o->queue, taken, own);
}

int overviews_read(struct overviews *o, struct overview *wanted, int64_t deadline_us)
{
	struct waiter w = {.count = 1, .deadline_us = deadline_us, .context = wanted};

	atomic_fetch_add(&o->waiting, 1);
	switch (queue_wait(&o->queue, &w)) {
	case QUEUE_LEAD:
		lead_reads(o, &w);
		break;
	case QUEUE_DONE:
		break;
	default:
		wanted->failed = true;
	}
	atomic_fetch_sub(&o->waiting, 1);
	return wanted->failed ? -1 : 0;
}

int overviews_waiting(struct overviews *o)
{
	return atomic_load(&o->waiting);
}
