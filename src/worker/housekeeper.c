#include "worker/housekeeper.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "prices/pricestore.h"
#include "worker/prober.h"
#include "worker/pruner.h"
#include "worker/threads.h"
#include "worker/watch.h"

/* Limits of one round of telling alerts. */
#define TOLD_MAX 8
#define TELL_US (2 * CLOCK_US_PER_SECOND)
#define POOL_PATIENCE_US CLOCK_US_PER_SECOND

/* The monotonic times of the next looks. */
struct looks {
	int64_t probe_us, watch_us, recharges_us;
	struct pruner pruner;
};

struct housekeeper {
	struct housekeeper_options options;
	struct threads *threads;
	bool terms_stored;
	struct looks looks;
};

/* Reprices the database where its margin, exchange rate or value of a credit is not the configuration's.  False: to
 * be tried again. */
static bool store_terms(const struct housekeeper_options *o)
{
	struct db *d = pool_take(o->readers, clock_monotonic_us() + POOL_PATIENCE_US);
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

static void keep_house(const struct housekeeper_options *o, struct looks *looks)
{
	o->more(o->context);
	(void)prober_due(o->config, o->readers, &looks->probe_us);
	(void)watch_due(o->config, o->readers, &looks->watch_us);
	(void)pruner_due(o->config, o->readers, &looks->pruner);
	if (o->work != NULL && worker_review(o->work) == 0 && worker_recharges(o->work, &looks->recharges_us) == 0)
		(void)worker_run(o->work, 1, INT64_MAX);
	if (o->tell != NULL)
		(void)courier_run(o->tell, TOLD_MAX, clock_monotonic_us() + TELL_US);
}

static int housekeeper_step(struct threads *t, int thread, void *context)
{
	struct housekeeper *h = context;

	(void)t;
	(void)thread;
	if (!h->terms_stored)
		h->terms_stored = store_terms(&h->options);
	if (h->options.wanted(h->options.context))
		keep_house(&h->options, &h->looks);
	return 0;
}

struct housekeeper *housekeeper_start(const struct housekeeper_options *options)
{
	struct housekeeper *h = memory_part("housekeeper", sizeof(*h));

	if (h == NULL)
		return NULL;
	h->options = *options;
	h->threads = threads_start(&(struct threads_options){
		.part = "housekeeper", .count = 1, .apart = 1, .step = housekeeper_step, .context = h});
	if (h->threads != NULL)
		return h;
	log_event(LOG_LEVEL_ERROR, "housekeeper_failed", LOG_TEXT("error", "no thread could be started"));
	free(h);
	return NULL;
}

bool housekeeper_stop(struct housekeeper *h, int64_t deadline_us)
{
	if (!threads_stop(h->threads, deadline_us))
		return false;
	free(h);
	return true;
}
