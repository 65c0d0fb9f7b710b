#include "ledger/attempt.h"

#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "ledger/decide/decide.h"
#include "ledger/persist.h"
#include "ledger/prefetch.h"

#define ATTEMPTS_MAX 40
#define DUPLICATES_MAX 3
#define NAP_MS 5
#define NAP_LOST_MS 50

static void nap(int64_t ms)
{
	const struct timespec t = clock_timespec(ms * CLOCK_US_PER_MS);

	CHECK(ms >= 0 && ms <= NAP_LOST_MS);
	nanosleep(&t, NULL);
}

static void fail_all(struct batch *b)
{
	CHECK(b->count > 0);
	for (int i = 0; i < b->count; i++) {
		memset(&b->commands[i]->answer, 0, sizeof(b->commands[i]->answer));
		b->commands[i]->answer.outcome = OUTCOME_UNAVAILABLE;
	}
}

/* False if the rows of an account contradict each other: another program has changed them, so nothing is decided. */
static bool slots_agree(const struct batch *b)
{
	for (int i = 0; i < rows_slot_count(b->rows); i++) {
		const struct slot *s = rows_slot_at(b->rows, i);
		const char *wrong = slot_check(s);

		if (wrong == NULL)
			continue;
		log_event(LOG_LEVEL_ERROR, "account_inconsistent", LOG_TEXT("account", s->account->external_id),
		          LOG_TEXT("why", wrong));
		return false;
	}
	return true;
}

/* False when memory was short, or an account's rows contradict each other.  The rows are thrown away then. */
static bool decide_all(struct batch *b)
{
	struct decide d = {
		.rows = b->rows,
		.book = b->book,
		.now_us = b->now_us,
		.holds_max = b->options->holds_max,
		.orders_open_max = b->options->orders_open_max,
		.capture_expired = b->options->capture_expired,
		.action_price_micros = b->options->action_price_micros,
		.terms = b->options->terms,
		.use = b->options->use,
		.billing = b->options->billing,
		.grace = b->options->grace,
	};

	CHECK(b->phase == BATCH_ROWS && !rows_any_changed(b->rows));
	if (!slots_agree(b))
		return false;
	for (int i = 0; i < b->count; i++) {
		decide(&d, rows_slot_known(b->rows, &b->commands[i]->account), b->commands[i]);
		/* A row that was lent would serve the next command, too. */
		if (rows_failed(b->rows))
			return false;
	}
	for (int i = 0; i < rows_slot_count(b->rows); i++)
		CHECK(slot_check(rows_slot_at(b->rows, i)) == NULL);
	return true;
}

/* The three steps, once. */
static enum db_result attempt(struct batch *b, struct db *d)
{
	enum db_result result = prefetch(b, d);

	if (result == DB_OK)
		result = decide_all(b) ? persist(b, d) : DB_FAULT;
	/* No answer stands that was not written. */
	CHECK(result != DB_OK || b->phase == BATCH_PERSIST);
	return result;
}

static void run_steps(struct batch *b, struct db *d);

/* Runs the halves of the batch on their own: a command that the database cannot take must not fail the others. */
static void split(struct batch *b, struct db *d)
{
	struct command **const commands = b->commands;
	const int count = b->count, half = count / 2;

	CHECK(half > 0 && half < count);
	b->splits++;
	b->commands = commands;
	b->count = half;
	run_steps(b, d);
	b->commands = commands + half;
	b->count = count - half;
	run_steps(b, d);
	b->commands = commands;
	b->count = count;
}

/* True if the batch is to be tried again after a failed attempt. */
static bool try_again(struct batch *b, struct db *d, enum db_result result, int attempts)
{
	const bool lost = result == DB_LOST || result == DB_BUSY;

	CHECK(result == DB_RETRY || result == DB_DUPLICATE || lost);
	CHECK(attempts > 0 && attempts <= ATTEMPTS_MAX);
	if (result == DB_LOST || (b->phase == BATCH_PERSIST && db_cluster(d))) {
		/* The marker answers whether a COMMIT that was sent took place; that is never guessed.  A node of a
		 * cluster may refuse a COMMIT that the others took. */
		if (b->phase == BATCH_PERSIST && rows_any_changed(b->rows)) {
			b->unknown = true;
			b->unknowns++;
		}
		db_disconnect(d);
	} else {
		db_rollback(d);
	}
	if (attempts >= ATTEMPTS_MAX || clock_monotonic_us() >= b->deadline_us)
		return false;
	b->retries++;
	/* The server may be starting.  The other side of a deadlock needs a moment to finish. */
	nap(lost ? NAP_LOST_MS : NAP_MS * (attempts % 4));
	return true;
}

static void run_steps(struct batch *b, struct db *d)
{
	int attempts = 0, duplicates = 0;

	CHECK(b->count > 0);
	if (clock_monotonic_us() >= b->deadline_us) {
		fail_all(b); /* the first half of a batch took all the time */
		return;
	}
	b->unknown = false;
	for (;;) {
		const enum db_result result = attempt(b, d);

		if (result == DB_OK)
			return;
		if (result == DB_LOST && b->phase == BATCH_PERSIST && !rows_any_changed(b->rows) && !b->unknown) {
			db_disconnect(d);
			return; /* nothing was to be written: the answers, refusals, stand */
		}
		if (result == DB_DUPLICATE && b->phase == BATCH_BEGIN) {
			CHECK(b->unknown); /* else there was no marker to find */
			db_rollback(d);
			return; /* the marker is there: the earlier attempt was committed, its answers stand */
		}
		if (result == DB_FULL) {
			db_rollback(d);
			fail_all(b); /* no command's fault, and no attempt makes room */
			return;
		}
		/* An account that another process made first is seen by the next attempt. */
		if (result == DB_FAULT || (result == DB_DUPLICATE && ++duplicates > DUPLICATES_MAX)) {
			db_rollback(d);
			break;
		}
		if (!try_again(b, d, result, ++attempts)) {
			fail_all(b);
			return;
		}
	}
	if (b->count > 1) {
		split(b, d);
		return;
	}
	log_event(LOG_LEVEL_ERROR, "command_failed", LOG_NUMBER("kind", b->commands[0]->kind));
	fail_all(b);
}

void attempt_run(struct batch *b, struct db *d, struct command **commands, int count, int64_t deadline_us)
{
	CHECK(count > 0 && deadline_us >= 0);
	b->commands = commands;
	b->count = count;
	b->deadline_us = deadline_us;
	b->retries = b->splits = b->unknowns = 0;
	run_steps(b, d);
}
