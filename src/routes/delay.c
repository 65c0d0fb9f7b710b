#include "routes/delay.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/memory.h"
#include "edge/edge.h"

#define DELAY_US (500 * CLOCK_US_PER_MS)
#define STACK_BYTES ((size_t)256 * 1024)

struct delay {
	pthread_t thread;
	struct lock lock;
	struct signal_cond changed; /* signalled for each new request, and at stop */
	bool stop;
	/* A ring, ordered by due_us: all requests wait for the same time. */
	int first, count;
	struct {
		const struct request *request;
		int64_t due_us;
	} waiting[DELAY_MAX];
};

/* Takes the first waiting request, once it is due or stop is set.  NULL after stop, when none is left. */
static const struct request *take_first_due(struct delay *d)
{
	const struct request *request = NULL;

	lock_take(&d->lock);
	while (!d->stop && (d->count == 0 || clock_monotonic_us() < d->waiting[d->first].due_us))
		(void)cond_wait_until(&d->changed, &d->lock, d->count == 0 ? -1 : d->waiting[d->first].due_us);
	if (d->count > 0) {
		request = d->waiting[d->first].request;
		d->first = (d->first + 1) % DELAY_MAX;
		d->count--;
	}
	lock_give(&d->lock);
	return request;
}

static void *delay_main(void *argument)
{
	struct delay *d = argument;
	const struct request *request;

	for (request = take_first_due(d); request != NULL; request = take_first_due(d))
		edge_resume(request);
	return NULL;
}

/* 0, or the error. */
static int start_delay(struct delay *d)
{
	pthread_attr_t attributes;
	int error;

	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0);
	error = pthread_create(&d->thread, &attributes, delay_main, d);
	CHECK(pthread_attr_destroy(&attributes) == 0);
	return error;
}

struct delay *delay_new(void)
{
	struct delay *d = memory_part("delay", sizeof(*d));
	int error;

	if (d == NULL)
		return NULL;
	lock_init(&d->lock);
	cond_init(&d->changed);
	error = start_delay(d);
	if (error == 0)
		return d;
	log_event(LOG_LEVEL_ERROR, "delay_failed", LOG_TEXT("error", strerror(error)));
	cond_destroy(&d->changed);
	lock_destroy(&d->lock);
	free(d);
	return NULL;
}

void delay_free(struct delay *d)
{
	if (d == NULL)
		return;
	lock_take(&d->lock);
	d->stop = true;
	cond_broadcast(&d->changed);
	lock_give(&d->lock);
	CHECK(pthread_join(d->thread, NULL) == 0);
	CHECK(d->count == 0);
	cond_destroy(&d->changed);
	lock_destroy(&d->lock);
	free(d);
}

bool delay_answer(struct delay *d, const struct request *request)
{
	bool waits;

	lock_take(&d->lock);
	waits = d->count < DELAY_MAX && !d->stop;
	if (waits) {
		const int at = (d->first + d->count++) % DELAY_MAX;

		d->waiting[at].request = request;
		d->waiting[at].due_us = clock_monotonic_us() + DELAY_US;
		cond_signal(&d->changed);
	}
	lock_give(&d->lock);
	return waits;
}
