#include "base/lock.h"

#include <errno.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"

/*
 * owner and held are accessed atomically, because a thread that does not hold the lock may read them
 * (and is then aborted).  owner is stored before held, and read after held.  So a thread that reads
 * held as true never reads an older owner.
 */
static void lock_mark(struct lock *l)
{
	__atomic_store_n(&l->owner, pthread_self(), __ATOMIC_RELAXED);
	__atomic_store_n(&l->held, true, __ATOMIC_RELEASE);
}

static void lock_unmark(struct lock *l)
{
	lock_assert_held(l);
	__atomic_store_n(&l->held, false, __ATOMIC_RELEASE);
}

static bool lock_is_mine(const struct lock *l)
{
	return __atomic_load_n(&l->held, __ATOMIC_ACQUIRE) &&
	       pthread_equal(__atomic_load_n(&l->owner, __ATOMIC_RELAXED), pthread_self());
}

void lock_init(struct lock *l)
{
	CHECK(pthread_mutex_init(&l->mutex, NULL) == 0);
	l->owner = pthread_self();
	l->held = false;
}

void lock_destroy(struct lock *l)
{
	CHECK(!__atomic_load_n(&l->held, __ATOMIC_ACQUIRE));
	CHECK(pthread_mutex_destroy(&l->mutex) == 0);
}

void lock_take(struct lock *l)
{
	CHECK(!lock_is_mine(l)); /* or this thread would wait for itself */
	CHECK(pthread_mutex_lock(&l->mutex) == 0);
	lock_mark(l);
}

void lock_give(struct lock *l)
{
	lock_unmark(l);
	CHECK(pthread_mutex_unlock(&l->mutex) == 0);
}

void lock_assert_held(const struct lock *l)
{
	CHECK(lock_is_mine(l));
}

void cond_init(struct signal_cond *c)
{
	pthread_condattr_t attributes;

	CHECK(pthread_condattr_init(&attributes) == 0);
	CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
	CHECK(pthread_cond_init(&c->cond, &attributes) == 0);
	CHECK(pthread_condattr_destroy(&attributes) == 0);
}

void cond_destroy(struct signal_cond *c)
{
	CHECK(pthread_cond_destroy(&c->cond) == 0);
}

void cond_signal(struct signal_cond *c)
{
	CHECK(pthread_cond_signal(&c->cond) == 0);
}

void cond_broadcast(struct signal_cond *c)
{
	CHECK(pthread_cond_broadcast(&c->cond) == 0);
}

bool cond_wait_until(struct signal_cond *c, struct lock *l, int64_t deadline_us)
{
	const struct timespec deadline = clock_timespec(deadline_us);
	int result;

	lock_unmark(l);
	if (deadline_us < 0)
		result = pthread_cond_wait(&c->cond, &l->mutex);
	else
		result = pthread_cond_timedwait(&c->cond, &l->mutex, &deadline);
	CHECK(result == 0 || (result == ETIMEDOUT && deadline_us >= 0));
	lock_mark(l);
	return result == 0;
}
