#include "worker/threads.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/memory.h"

#define STACK_BYTES ((size_t)256 * 1024)
#define LOOK_EVERY_US CLOCK_US_PER_SECOND

struct thread {
	struct threads *all;
	int number;
	pthread_t id;
};

struct threads {
	struct threads_options options;
	struct thread each[THREADS_MAX];
	int started; /* used by the thread that starts and stops them */
	struct lock lock;
	struct signal_cond changed;
	bool stop;   /* under the lock */
	int stopped; /* under the lock: number of threads that have ended */
	int wanted;  /* under the lock: number of threads that should look */
};

/* All wake up, because a signal could wake a thread that shares no work. */
void threads_wake(struct threads *t)
{
	lock_take(&t->lock);
	t->wanted = t->wanted < t->options.count ? t->wanted + 1 : t->options.count;
	cond_broadcast(&t->changed);
	lock_give(&t->lock);
}

static bool told_to_stop(struct threads *t)
{
	bool stop;

	lock_take(&t->lock);
	stop = t->stop;
	lock_give(&t->lock);
	return stop;
}

/* Waits until there may be work, or until next_us for the threads that look without being woken. */
static void rest(struct threads *t, int thread, int64_t next_us)
{
	const bool shares = thread >= t->options.apart;

	lock_assert_held(&t->lock);
	while (!t->stop && (!shares || t->wanted == 0))
		if (!cond_wait_until(&t->changed, &t->lock, thread <= t->options.apart ? next_us : -1))
			break;
	if (shares)
		t->wanted -= t->wanted > 0 ? 1 : 0;
}

static void *thread_main(void *argument)
{
	const struct thread *self = argument;
	struct threads *t = self->all;

	lock_take(&t->lock);
	while (!t->stop) {
		const int64_t next_us = clock_monotonic_us() + LOOK_EVERY_US;

		lock_give(&t->lock);
		while (!told_to_stop(t) && t->options.step(t, self->number, t->options.context) > 0)
			;
		lock_take(&t->lock);
		rest(t, self->number, next_us);
	}
	t->stopped++;
	cond_broadcast(&t->changed);
	lock_give(&t->lock);
	return NULL;
}

struct threads *threads_start(const struct threads_options *options)
{
	struct threads *t = memory_part(options->part, sizeof(*t));
	pthread_attr_t attributes;

	CHECK(options->count > 0 && options->count <= THREADS_MAX && options->apart <= options->count);
	if (t == NULL)
		return NULL;
	t->options = *options;
	lock_init(&t->lock);
	cond_init(&t->changed);
	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0);
	for (; t->started < options->count; t->started++) {
		struct thread *thread = &t->each[t->started];

		thread->all = t;
		thread->number = t->started;
		if (pthread_create(&thread->id, &attributes, thread_main, thread) != 0)
			break;
	}
	CHECK(pthread_attr_destroy(&attributes) == 0);
	if (t->started > 0)
		return t;
	(void)threads_stop(t, INT64_MAX);
	return NULL;
}

int threads_count(const struct threads *t)
{
	return t == NULL ? 0 : t->started;
}

bool threads_stop(struct threads *t, int64_t deadline_us)
{
	bool stopped;

	if (t == NULL)
		return true;
	lock_take(&t->lock);
	t->stop = true;
	cond_broadcast(&t->changed);
	while (t->stopped < t->started && cond_wait_until(&t->changed, &t->lock, deadline_us))
		;
	stopped = t->stopped == t->started;
	lock_give(&t->lock);
	if (!stopped)
		return false;
	for (int i = 0; i < t->started; i++)
		CHECK(pthread_join(t->each[i].id, NULL) == 0);
	cond_destroy(&t->changed);
	lock_destroy(&t->lock);
	free(t);
	return true;
}
