#include "db/pool.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/memory.h"

#define POOL_SIZE_MAX 64

struct pool {
	struct lock lock;
	struct signal_cond returned; /* a connection came back */
	int size;
	/* Guarded by lock.  The connection given back last is lent first, so that the others fall idle. */
	int free_count;
	struct db *free[POOL_SIZE_MAX];
};

struct pool *pool_new(const struct db_options *options, int size)
{
	struct pool *p = memory_part("connections", sizeof(*p));

	if (p == NULL)
		return NULL;
	CHECK(size >= 1 && size <= POOL_SIZE_MAX);
	lock_init(&p->lock);
	cond_init(&p->returned);
	for (; p->size < size; p->size++) {
		p->free[p->size] = db_new(options);
		if (p->free[p->size] == NULL) {
			pool_free(p);
			return NULL;
		}
		p->free_count++;
	}
	return p;
}

void pool_free(struct pool *p)
{
	if (p == NULL)
		return;
	CHECK(p->free_count == p->size);
	for (int i = 0; i < p->size; i++)
		db_free(p->free[i]);
	cond_destroy(&p->returned);
	lock_destroy(&p->lock);
	free(p);
}

struct db *pool_take(struct pool *p, int64_t deadline_us)
{
	struct db *d = NULL;
	bool waiting = clock_monotonic_us() < deadline_us;

	if (!waiting)
		return NULL;
	lock_take(&p->lock);
	while (p->free_count == 0 && waiting)
		waiting = cond_wait_until(&p->returned, &p->lock, deadline_us);
	if (p->free_count > 0)
		d = p->free[--p->free_count];
	lock_give(&p->lock);
	return d;
}

static void put_back(struct pool *p, struct db *d, bool first_to_lend)
{
	lock_take(&p->lock);
	CHECK(p->free_count < p->size);
	for (int i = 0; i < p->free_count; i++)
		CHECK(p->free[i] != d); /* two would use it at once */
	if (first_to_lend) {
		p->free[p->free_count] = d;
	} else {
		memmove(p->free + 1, p->free, (size_t)p->free_count * sizeof(p->free[0]));
		p->free[0] = d;
	}
	p->free_count++;
	cond_signal(&p->returned);
	lock_give(&p->lock);
}

void pool_give(struct pool *p, struct db *d)
{
	/* Work that a borrower left unfinished must not pass to the next borrower. */
	if (db_finish(d) != DB_OK || db_in_transaction(d))
		db_rollback(d);
	put_back(p, d, true);
}

/* Takes out a connection that has been idle for idle_us; NULL when there is none. */
static struct db *take_idle(struct pool *p, int64_t idle_us)
{
	struct db *d = NULL;
	int at = 0;

	lock_take(&p->lock);
	while (at < p->free_count && !(db_connected(p->free[at]) && db_idle_us(p->free[at]) >= idle_us))
		at++;
	if (at < p->free_count) {
		d = p->free[at];
		p->free_count--;
		memmove(p->free + at, p->free + at + 1, (size_t)(p->free_count - at) * sizeof(p->free[0]));
	}
	lock_give(&p->lock);
	return d;
}

void pool_reap(struct pool *p, int64_t idle_ms)
{
	struct db *d;

	if (idle_ms <= 0)
		return;
	for (d = take_idle(p, idle_ms * CLOCK_US_PER_MS); d != NULL; d = take_idle(p, idle_ms * CLOCK_US_PER_MS)) {
		db_disconnect(d);
		put_back(p, d, false);
	}
}
