#include "worker/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"
#include "queries/outbox.h"
#include "queries/recharges.h"
#include "worker/recharge.h"
#include "worker/threads.h"

#define THREADS 4 /* number of rows worked on at once */
#define REVIEW_EVERY_US (5 * CLOCK_US_PER_SECOND)
#define RECHARGES_EVERY_US (60 * CLOCK_US_PER_SECOND)
#define RECHARGES_MAX 64
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
	struct threads *threads;
	/* Monotonic, of the first thread: when it reviews next, and when it looks for due recharges next. */
	int64_t review_us, recharges_us;
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
	counts->recharges = __atomic_load_n(&counted.recharges, __ATOMIC_RELAXED);
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

/* A charge that waits for Stripe is never given up: its payment may be there. */
static void handle_recharge(const struct worker_options *o, const struct outbox_claim *claim, int64_t deadline_us,
                            struct outbox_end *end, char error[OUTBOX_ERROR_MAX])
{
	struct outbox_claim patient = *claim;
	struct recharge_result r;

	recharge_charge(&o->charge, &claim->account, claim->account_id, claim->subject_seq, deadline_us, &r);
	(void)snprintf(error, OUTBOX_ERROR_MAX, "%s", r.error);
	switch (r.end) {
	case RECHARGE_END_PAID:
		count_result(&counted.recharges);
		task_done(end);
		break;
	case RECHARGE_END_OVER:
		task_done(end);
		break;
	case RECHARGE_END_WAIT:
		end->attempts = 0;
		end->wait_us = r.wait_us;
		break;
	case RECHARGE_END_LATER:
		if (patient.attempts >= ATTEMPTS_MAX)
			patient.attempts = ATTEMPTS_MAX - 1;
		again(&patient, end);
		break;
	case RECHARGE_END_PARKED:
		park_task(end);
		break;
	}
}

/* The handler of each kind of row. */
static void (*const handlers[])(const struct worker_options *o, const struct outbox_claim *claim, int64_t deadline_us,
                                struct outbox_end *end, char error[OUTBOX_ERROR_MAX]) = {
	[OUTBOX_STATEMENT] = handle_statement,
	[OUTBOX_SOFT_LIMIT] = handle_soft_limit,
	[OUTBOX_RECHARGE] = handle_recharge,
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

int worker_recharges(const struct worker_options *o, int64_t *looks_us)
{
	const int64_t now_us = clock_monotonic_us();
	struct recharges_due due[RECHARGES_MAX];
	struct db *d;
	int count;

	if (now_us < *looks_us)
		return 0;
	*looks_us = now_us + RECHARGES_EVERY_US;
	d = pool_take(o->pool, now_us + POOL_PATIENCE_US);
	if (d == NULL)
		return -1;
	count = recharges_without_task(d, due, RECHARGES_MAX);
	pool_give(o->pool, d);
	for (int i = 0; i < count; i++) {
		struct command c = {.kind = COMMAND_RECHARGE_LOOK,
		                    .account = due[i].account,
		                    .account_id = due[i].account_id,
		                    .member = ""};

		ledger_submit(o->charge.ledger, &c, clock_monotonic_us() + POOL_PATIENCE_US);
		if (c.answer.outcome == OUTCOME_UNAVAILABLE)
			return -1;
	}
	return count < 0 ? -1 : 0;
}

/* ---- threads -------------------------------------------------------------------------------------- */

/* The first thread also reviews.  A thread that finds a row wakes another thread, for there may be more. */
static int worker_step(struct threads *t, int thread, void *context)
{
	struct worker *w = context;
	int ran;

	if (thread == 0 && clock_monotonic_us() >= w->review_us) {
		(void)worker_review(&w->options);
		w->review_us = clock_monotonic_us() + REVIEW_EVERY_US;
	}
	if (thread == 0)
		(void)worker_recharges(&w->options, &w->recharges_us);
	ran = run_one(&w->options, INT64_MAX);
	if (ran > 0)
		threads_wake(t);
	return ran;
}

struct worker *worker_start(const struct worker_options *o)
{
	struct worker *w = memory_part("worker", sizeof(*w));

	if (w == NULL)
		return NULL;
	w->options = *o;
	w->threads = threads_start(
		&(struct threads_options){.part = "worker", .count = THREADS, .step = worker_step, .context = w});
	if (w->threads != NULL)
		return w;
	log_event(LOG_LEVEL_ERROR, "worker_failed", LOG_TEXT("error", "no thread could be started"));
	free(w);
	return NULL;
}

bool worker_stop(struct worker *w, int64_t deadline_us)
{
	if (w == NULL)
		return true;
	if (!threads_stop(w->threads, deadline_us))
		return false;
	free(w);
	return true;
}
