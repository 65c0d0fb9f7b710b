#include "worker/worker.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/memory.h"
#include "queries/outbox.h"

/* Number of rows worked on at once.  The first thread looks for work, and wakes the others when there is some. */
#define THREADS 4
#define STACK_BYTES ((size_t)256 * 1024)
#define LOOK_EVERY_US CLOCK_US_PER_SECOND
#define REVIEW_EVERY_US (5 * CLOCK_US_PER_SECOND)
#define POOL_PATIENCE_US (5 * CLOCK_US_PER_SECOND)
#define ROW_US (60 * CLOCK_US_PER_SECOND)            /* for one row */
#define LEASE_US (ROW_US + 60 * CLOCK_US_PER_SECOND) /* longer, so that no other thread has the row meanwhile */
#define ATTEMPTS_MAX 16                              /* a day and a half */
#define PAUSE_FIRST_US (30 * CLOCK_US_PER_SECOND)
#define PAUSE_MAX_US (6 * 3600 * CLOCK_US_PER_SECOND)
#define DAY_US (24 * 3600 * CLOCK_US_PER_SECOND)
#define DECLINED "declined: "

/* Days after a declined charge until the next one; after the last of them the charge is left to the customer. */
static const int retry_days[] = {1, 3, 5, 7};

static struct worker_counts counted; /* every member atomic */

struct worker {
	struct worker_options options;
	pthread_t threads[THREADS];
	int started;
	struct lock lock;
	struct signal_cond changed;
	bool stop;   /* under the lock */
	int stopped; /* under the lock: number of threads that have ended */
	int wanted;  /* under the lock: number of threads that should look */
};

static void count_result(int64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

void worker_count(struct worker_counts *counts)
{
	counts->paid = __atomic_load_n(&counted.paid, __ATOMIC_RELAXED);
	counts->declined = __atomic_load_n(&counted.declined, __ATOMIC_RELAXED);
	counts->later = __atomic_load_n(&counted.later, __ATOMIC_RELAXED);
	counts->parked = __atomic_load_n(&counted.parked, __ATOMIC_RELAXED);
	counts->soft_limits = __atomic_load_n(&counted.soft_limits, __ATOMIC_RELAXED);
}

/* ---- one row -------------------------------------------------------------------------------------- */

static void task_done(struct outbox_end *end)
{
	end->state = OUTBOX_DONE;
}

static void park_task(struct outbox_end *end)
{
	count_result(&counted.parked);
	end->state = OUTBOX_PARKED;
}

/* Puts the row off.  The whole pause doubles with each attempt; the row waits half of it, and a random part of the
 * rest. */
static void again(const struct outbox_claim *claim, struct outbox_end *end)
{
	int64_t whole_us = PAUSE_FIRST_US;
	unsigned char random[4];
	int64_t part = 0;

	if (claim->attempts >= ATTEMPTS_MAX) {
		park_task(end);
		return;
	}
	for (int64_t i = 1; i < claim->attempts && whole_us < PAUSE_MAX_US; i++)
		whole_us *= 2;
	whole_us = whole_us < PAUSE_MAX_US ? whole_us : PAUSE_MAX_US;
	digest_random(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		part = part << 8 | random[i];
	count_result(&counted.later);
	end->wait_us = whole_us / 2 + part % (whole_us / 2 + 1);
}

/* A refusal is an answer: attempts count anew. */
static void declined(const struct charge_result *r, struct outbox_end *end)
{
	count_result(&counted.declined);
	end->attempts = 0;
	if (r->failures > 0 && r->failures <= (int64_t)(sizeof(retry_days) / sizeof(retry_days[0])))
		end->wait_us = retry_days[r->failures - 1] * DAY_US;
	else
		park_task(end);
}

static void handle_statement(const struct worker_options *o, const struct outbox_claim *claim, int64_t deadline_us,
                             struct outbox_end *end, char error[OUTBOX_ERROR_MAX])
{
	struct charge_result r;

	charge_statement(&o->charge, &claim->account, claim->account_id, claim->subject_seq, deadline_us, &r);
	if (r.end == CHARGE_DECLINED)
		(void)snprintf(error, OUTBOX_ERROR_MAX, DECLINED "%s", r.code);
	else
		(void)snprintf(error, OUTBOX_ERROR_MAX, "%s", r.error);
	switch (r.end) {
	case CHARGE_PAID:
		count_result(&counted.paid);
		task_done(end);
		break;
	case CHARGE_NOTHING:
		task_done(end);
		break;
	case CHARGE_DECLINED:
		declined(&r, end);
		break;
	case CHARGE_LATER:
		again(claim, end);
		break;
	case CHARGE_PARKED:
		park_task(end);
		break;
	}
}

static void handle_soft_limit(const struct worker_options *o, const struct outbox_claim *claim, int64_t deadline_us,
                              struct outbox_end *end, char error[OUTBOX_ERROR_MAX])
{
	(void)o;
	(void)deadline_us;
	(void)error;
	log_event(LOG_LEVEL_WARNING, "soft_limit_reached", LOG_TEXT("account", claim->account_id));
	count_result(&counted.soft_limits);
	task_done(end);
}

/* The handler of each kind of row. */
static void (*const handlers[])(const struct worker_options *o, const struct outbox_claim *claim, int64_t deadline_us,
                                struct outbox_end *end, char error[OUTBOX_ERROR_MAX]) = {
	[OUTBOX_STATEMENT] = handle_statement,
	[OUTBOX_SOFT_LIMIT] = handle_soft_limit,
};

static void handle(const struct worker_options *o, const struct outbox_claim *claim, int64_t deadline_us)
{
	struct outbox_end end = {.state = OUTBOX_PENDING, .attempts = claim->attempts};
	char error[OUTBOX_ERROR_MAX] = "";
	struct db *d;

	if (claim->kind >= 0 && claim->kind < (int64_t)(sizeof(handlers) / sizeof(handlers[0]))) {
		handlers[claim->kind](o, claim, deadline_us, &end, error);
	} else {
		(void)snprintf(error, sizeof(error), "of a kind that this version does not know");
		park_task(&end);
	}
	end.error = error;
	if (end.state == OUTBOX_PARKED)
		log_event(LOG_LEVEL_ERROR, "outbox_parked", LOG_TEXT("account", claim->account_id),
		          LOG_NUMBER("seq", claim->seq), LOG_TEXT("error", error));
	/* If the end cannot be written, the claim runs out, and the next attempt finds the work done. */
	d = pool_take(o->pool, clock_monotonic_us() + POOL_PATIENCE_US);
	if (d == NULL)
		return;
	(void)outbox_end(d, claim, &end);
	pool_give(o->pool, d);
}

/* Handles one row.  1 when there was one, 0 when none was due, -1 when the database failed. */
static int run_one(const struct worker_options *o, int64_t deadline_us)
{
	const int64_t now_us = clock_monotonic_us();
	struct db *d = pool_take(o->pool, now_us + POOL_PATIENCE_US);
	struct outbox_claim claim;
	int claimed;

	if (d == NULL)
		return -1;
	claimed = outbox_claim(d, o->charge.stripe != NULL, LEASE_US, &claim);
	pool_give(o->pool, d);
	if (claimed > 0)
		handle(o, &claim, deadline_us < now_us + ROW_US ? deadline_us : now_us + ROW_US);
	return claimed;
}

int worker_run(const struct worker_options *o, int max, int64_t deadline_us)
{
	int ran = 0, one = 1;

	while (one > 0 && ran < max && clock_monotonic_us() < deadline_us) {
		one = run_one(o, deadline_us);
		ran += one > 0 ? 1 : 0;
	}
	return one < 0 ? -1 : ran;
}

int worker_review(const struct worker_options *o)
{
	struct db *d = pool_take(o->pool, clock_monotonic_us() + POOL_PATIENCE_US);
	int result;

	if (d == NULL)
		return -1;
	result = outbox_review(d, DECLINED);
	pool_give(o->pool, d);
	return result;
}

/* ---- threads -------------------------------------------------------------------------------------- */

/* True if the calling thread is the leader, which looks for work without being woken. */
static bool leads(struct worker *w)
{
	return w->started > 0 && pthread_equal(pthread_self(), w->threads[0]) != 0;
}

/* Under the lock: waits until there may be work; the leader waits at most LOOK_EVERY_US. */
static void rest(struct worker *w, bool leader)
{
	const int64_t until_us = clock_monotonic_us() + LOOK_EVERY_US;

	while (!w->stop && w->wanted == 0)
		if (!cond_wait_until(&w->changed, &w->lock, leader ? until_us : -1))
			break;
	w->wanted -= w->wanted > 0 ? 1 : 0;
}

static bool stopping(struct worker *w)
{
	bool stop;

	lock_take(&w->lock);
	stop = w->stop;
	lock_give(&w->lock);
	return stop;
}

/* Handles rows one after the other.  A thread that finds one wakes another thread, for there may be more. */
static void work(struct worker *w)
{
	while (!stopping(w) && run_one(&w->options, INT64_MAX) > 0) {
		lock_take(&w->lock);
		w->wanted = w->wanted < THREADS ? w->wanted + 1 : THREADS;
		cond_signal(&w->changed);
		lock_give(&w->lock);
	}
}

static void *thread_main(void *argument)
{
	struct worker *w = argument;
	int64_t review_us = 0;
	bool leader;

	lock_take(&w->lock);
	leader = leads(w);
	while (!w->stop) {
		lock_give(&w->lock);
		if (leader && clock_monotonic_us() >= review_us) {
			(void)worker_review(&w->options);
			review_us = clock_monotonic_us() + REVIEW_EVERY_US;
		}
		work(w);
		lock_take(&w->lock);
		rest(w, leader);
	}
	w->stopped++;
	cond_broadcast(&w->changed);
	lock_give(&w->lock);
	return NULL;
}

struct worker *worker_start(const struct worker_options *o)
{
	struct worker *w = memory_part("worker", sizeof(*w));
	pthread_attr_t attributes;

	if (w == NULL)
		return NULL;
	w->options = *o;
	lock_init(&w->lock);
	cond_init(&w->changed);
	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0);
	lock_take(&w->lock); /* the threads begin once started is final */
	for (int i = 0; i < THREADS; i++) {
		if (pthread_create(&w->threads[i], &attributes, thread_main, w) != 0)
			break;
		w->started++;
	}
	lock_give(&w->lock);
	CHECK(pthread_attr_destroy(&attributes) == 0);
	if (w->started > 0)
		return w;
	log_event(LOG_LEVEL_ERROR, "worker_failed", LOG_TEXT("error", "no thread could be started"));
	(void)worker_stop(w, INT64_MAX);
	return NULL;
}

bool worker_stop(struct worker *w, int64_t deadline_us)
{
	bool stopped;

	if (w == NULL)
		return true;
	lock_take(&w->lock);
	w->stop = true;
	cond_broadcast(&w->changed);
	while (w->stopped < w->started && cond_wait_until(&w->changed, &w->lock, deadline_us))
		;
	stopped = w->stopped == w->started;
	lock_give(&w->lock);
	if (!stopped)
		return false;
	for (int i = 0; i < w->started; i++)
		CHECK(pthread_join(w->threads[i], NULL) == 0);
	cond_destroy(&w->changed);
	lock_destroy(&w->lock);
	free(w);
	return true;
}
