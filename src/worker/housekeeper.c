#include "worker/housekeeper.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/memory.h"
#include "prices/pricestore.h"
#include "worker/prober.h"

/* Limits of one round of telling alerts. */
#define TOLD_MAX 8
#define TELL_US (2 * CLOCK_US_PER_SECOND)
#define TICK_US CLOCK_US_PER_SECOND
#define STACK_BYTES ((size_t)256 * 1024)

struct housekeeper {
	struct housekeeper_options options;
	pthread_t thread;
	struct lock lock;
	struct signal_cond changed;
	bool stop;    /* under the lock */
	bool stopped; /* under the lock */
};

/* Reprices the database where its margin, exchange rate or value of a credit is not the configuration's.  False: to
 * be tried again. */
static bool store_terms(const struct housekeeper_options *o)
{
	struct db *d = pool_take(o->readers, clock_monotonic_us() + TICK_US);
	struct pricestore_report report;
	enum pricestore_result result;

	if (d == NULL)
		return false;
	result = pricestore_reprice(d, &o->terms, &report);
	pool_give(o->readers, d);
	if (result == PRICESTORE_STORED)
		log_event(LOG_LEVEL_INFO, "price_terms_changed", LOG_NUMBER("version", report.version),
		          LOG_NUMBER("prices", report.stored));
	return result != PRICESTORE_FAULT;
}

static void keep_house(const struct housekeeper_options *o, int64_t *looks_us)
{
	o->more(o->context);
	(void)prober_due(o->config, o->readers, looks_us);
	if (o->work != NULL && worker_review(o->work) == 0)
		(void)worker_run(o->work, 1, INT64_MAX);
	if (o->tell != NULL)
		(void)courier_run(o->tell, TOLD_MAX, clock_monotonic_us() + TELL_US);
}

static void *housekeeper_main(void *argument)
{
	struct housekeeper *h = argument;
	bool terms_stored = false;
	int64_t looks_us = 0;

	lock_take(&h->lock);
	while (!h->stop) {
		const int64_t next_us = clock_monotonic_us() + TICK_US;

		lock_give(&h->lock);
		if (!terms_stored)
			terms_stored = store_terms(&h->options);
		if (h->options.wanted(h->options.context))
			keep_house(&h->options, &looks_us);
		lock_take(&h->lock);
		while (!h->stop && cond_wait_until(&h->changed, &h->lock, next_us))
			;
	}
	h->stopped = true;
	cond_broadcast(&h->changed);
	lock_give(&h->lock);
	return NULL;
}

static void free_all(struct housekeeper *h)
{
	cond_destroy(&h->changed);
	lock_destroy(&h->lock);
	free(h);
}

struct housekeeper *housekeeper_start(const struct housekeeper_options *options)
{
	struct housekeeper *h = memory_part("housekeeper", sizeof(*h));
	pthread_attr_t attributes;
	int error;

	if (h == NULL)
		return NULL;
	h->options = *options;
	lock_init(&h->lock);
	cond_init(&h->changed);
	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0);
	error = pthread_create(&h->thread, &attributes, housekeeper_main, h);
	CHECK(pthread_attr_destroy(&attributes) == 0);
	if (error == 0)
		return h;
	log_event(LOG_LEVEL_ERROR, "housekeeper_failed", LOG_TEXT("error", strerror(error)));
	free_all(h);
	return NULL;
}

bool housekeeper_stop(struct housekeeper *h, int64_t deadline_us)
{
	bool stopped;

	lock_take(&h->lock);
	h->stop = true;
	cond_broadcast(&h->changed);
	while (!h->stopped && cond_wait_until(&h->changed, &h->lock, deadline_us))
		;
	stopped = h->stopped;
	lock_give(&h->lock);
	if (!stopped)
		return false;
	CHECK(pthread_join(h->thread, NULL) == 0);
	free_all(h);
	return true;
}
