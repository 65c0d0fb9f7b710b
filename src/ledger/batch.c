#include "ledger/batch.h"

#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "ledger/decide/decide.h"

#define ARENA_MAX (64 * 1024 * 1024)
#define SQL_MAX (16 * 1024 * 1024) /* MariaDB's max_allowed_packet unless it was lowered */
#define ATTEMPTS_MAX 40
#define DUPLICATES_MAX 3
/* A batch that was begun in time is not given up for a moment: those who wait longest are in each while many wait. */
#define LATE_US CLOCK_US_PER_SECOND
#define NAP_MS 5
#define NAP_LOST_MS 50

/* How far an attempt came. */
enum phase { PHASE_BEGIN, PHASE_ROWS, PHASE_PERSIST };

int batch_init(struct batch *b, const struct ledger_options *options, void (*committing)(void *context), void *context)
{
	memset(b, 0, sizeof(*b));
	b->options = options;
	b->committing = committing;
	b->context = context;
	buf_init(&b->sql, SQL_MAX);
	b->arena = arena_new(ARENA_MAX);
	if (b->arena == NULL)
		return -1;
	b->rows = rows_new(b->arena);
	if (b->rows == NULL)
		return -1;
	return 0;
}

void batch_free(struct batch *b)
{
	rows_free(b->rows);
	arena_free(b->arena);
	book_release(b->book);
	buf_free(&b->sql);
}

/* In time order, so that markers are inserted side by side and pruned by range: by the database's clock, or another
 * octroi, whose machine is ahead, would prune those of this one too soon. */
static void new_id(unsigned char id[BATCH_ID_BYTES], int64_t now_us)
{
	const uint64_t ms = (uint64_t)(now_us / CLOCK_US_PER_MS);

	for (int i = 0; i < 8; i++)
		id[i] = (unsigned char)(ms >> (56 - 8 * i));
	digest_random(id + 8, BATCH_ID_BYTES - 8);
}

static void nap(int64_t ms)
{
	const struct timespec t = clock_timespec(ms * CLOCK_US_PER_MS);

	nanosleep(&t, NULL);
}

static void fail_all(struct batch *b)
{
	for (int i = 0; i < b->count; i++) {
		memset(&b->commands[i]->answer, 0, sizeof(b->commands[i]->answer));
		b->commands[i]->answer.outcome = OUTCOME_UNAVAILABLE;
	}
}

static void decide_all(struct batch *b)
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
		.billing = b->options->billing,
	};

	for (int i = 0; i < b->count; i++)
		decide(&d, rows_slot(b->rows, &b->commands[i]->account), b->commands[i]);
}

/* The deadline has passed by a second.  Nothing more is asked of the database then: each question may take a
 * db_timeout. */
static bool is_late(const struct batch *b)
{
	return clock_monotonic_us() >= b->deadline_us + LATE_US;
}

/* The three steps, once. */
static enum db_result attempt(struct batch *b, struct db *d, enum phase *phase)
{
	enum db_result result;

	*phase = PHASE_BEGIN;
	result = prefetch_begin(b, d);
	if (result != DB_OK)
		return result;
	if (!b->unknown)
		new_id(b->id, b->now_us);
	*phase = PHASE_ROWS;
	result = is_late(b) ? DB_RETRY : prefetch_rows(b, d);
	if (result != DB_OK)
		return result;
	decide_all(b);
	if (rows_failed(b->rows))
		return DB_FAULT;
	if (is_late(b))
		return DB_RETRY;
	*phase = PHASE_PERSIST;
	result = persist_rows(b, d);
	if (result == DB_OK && is_late(b))
		result = DB_RETRY;
	if (result != DB_OK)
		return result;
	b->committing(b->context);
	return persist_commit(b, d);
}

static void run(struct batch *b, struct db *d);

/* A command that the database cannot take must not fail its neighbours. */
static void split(struct batch *b, struct db *d)
{
	struct command **const commands = b->commands;
	const int count = b->count, half = count / 2;

	b->splits++;
	b->commands = commands;
	b->count = half;
	run(b, d);
	b->commands = commands + half;
	b->count = count - half;
	run(b, d);
	b->commands = commands;
	b->count = count;
}

/* After a failed attempt: whether the batch is to be tried again. */
static bool try_again(struct batch *b, struct db *d, enum db_result result, enum phase phase,
                      int attempts)
{
	const bool lost = result == DB_LOST || result == DB_BUSY;

	if (result == DB_LOST) {
		/* Whether a COMMIT that was sent took place is to be asked, never guessed. */
		if (phase == PHASE_PERSIST && rows_any_changed(b->rows)) {
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
	/* The server may be starting; a deadlock's other side needs a moment to finish. */
	nap(lost ? NAP_LOST_MS : NAP_MS * (attempts % 4));
	return true;
}

static void run(struct batch *b, struct db *d)
{
	int attempts = 0, duplicates = 0;

	if (clock_monotonic_us() >= b->deadline_us) {
		fail_all(b); /* the first half of a batch took its time */
		return;
	}
	b->unknown = false;
	for (;;) {
		enum phase phase;
		const enum db_result result = attempt(b, d, &phase);

		if (result == DB_OK)
			return;
		if (result == DB_LOST && phase == PHASE_PERSIST && !rows_any_changed(b->rows)) {
			db_disconnect(d);
			return; /* nothing was to be written: the refusals stand */
		}
		if (result == DB_DUPLICATE && phase == PHASE_BEGIN) {
			db_rollback(d);
			return; /* the marker is there: the run before was committed, its answers stand */
		}
		if (result == DB_FULL) {
			db_rollback(d);
			fail_all(b); /* no command's fault, and no attempt makes room */
			return;
		}
		/* An account that another process made first is seen by the next attempt. */
		if (result == DB_FAULT ||
		    (result == DB_DUPLICATE && ++duplicates > DUPLICATES_MAX)) {
			db_rollback(d);
			break;
		}
		if (!try_again(b, d, result, phase, ++attempts)) {
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

void batch_run(struct batch *b, struct db *d, struct command **commands, int count,
               int64_t deadline_us)
{
	CHECK(count > 0);
	b->commands = commands;
	b->count = count;
	b->deadline_us = deadline_us;
	b->retries = b->splits = b->unknowns = 0;
	run(b, d);
}
