#include "ledger/ledger.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/memory.h"
#include "db/sql.h"
#include "ledger/attempt.h"
#include "ledger/batch.h"
#include "ledger/queue.h"

#define COMMANDS_MAX 1024 /* of one batch */
#define MARKER_LIFE_MS (3600 * 1000)
#define MARKER_TIME_DIGITS 16 /* hexadecimal; batch.c begins each id with its milliseconds */
_Static_assert(MARKER_TIME_DIGITS == 16 && MARKER_TIME_DIGITS / 2 < BATCH_ID_BYTES, "a marker begins with its time");
#define PRUNE_MAX 10000
#define SWEEP_MAX 256
#define SWEEP_ACCOUNTS 4096
/* A commit thread also renders answers, which needs room. */
#define COMMIT_THREAD_STACK_BYTES ((size_t)256 * 1024)

/* A batch in flight; it belongs to the thread that runs it. */
struct inflight {
	struct batch batch;
	struct command *commands[COMMANDS_MAX];
	struct ledger *ledger;
	struct waiter *taken;
	int count; /* of the commands of all taken waiters */
	bool busy; /* under the ledger's lock */
};

_Static_assert(LEDGER_COMMIT_THREADS > LEDGER_INFLIGHT_MAX, "a thread looks for late waiters while the others lead");
_Static_assert(LEDGER_CONNECTIONS > LEDGER_INFLIGHT_MAX, "a connection is left for sweeping");

struct ledger {
	struct ledger_options options;
	char currency[4]; /* as Stripe writes it; options.billing.currency points here */
	struct queue queue;
	pthread_t commit_thread[LEDGER_COMMIT_THREADS];
	int commit_threads; /* commit threads that run */
	struct inflight inflight[LEDGER_INFLIGHT_MAX];
	int inflight_max;
	/* Shared, under lock. */
	struct lock lock;
	struct book *book;
	int64_t book_at_us; /* the last time at which book was the database's; monotonic */
	bool book_asked;    /* a thread that takes an older book asks the database for it */
	struct ledger_counts counts;
};

/* Keeps the currency as long as the ledger lives: rows are written with it after their batch was decided. */
static void keep_currency(struct ledger *l, const char *currency)
{
	for (size_t i = 0; i + 1 < sizeof(l->currency) && currency[i] != '\0'; i++)
		l->currency[i] = (char)(currency[i] + (currency[i] >= 'A' && currency[i] <= 'Z' ? 'a' - 'A' : 0));
	CHECK(l->currency[2] != '\0' && l->currency[3] == '\0');
	l->options.billing.currency = l->currency;
}

static int size_class(int commands)
{
	int class = 0;

	CHECK(commands > 0 && commands <= COMMANDS_MAX);
	for (int limit = 1; limit < commands && class < 11; limit *= 2)
		class ++;
	CHECK(commands <= 1 << class);
	return class;
}

static void refuse_command(struct command *commands, int count)
{
	CHECK(count > 0 && count <= COMMANDS_MAX);
	for (int i = 0; i < count; i++) {
		memset(&commands[i].answer, 0, sizeof(commands[i].answer));
		commands[i].answer.outcome = OUTCOME_UNAVAILABLE;
	}
}

static void count_grace(struct ledger_counts *counts, const struct command *c)
{
	if (c->kind != COMMAND_AUTHORIZE || c->authorize.used.serial == 0 || c->answer.outcome != OUTCOME_OK ||
	    c->answer.replayed)
		return;
	counts->grace_uses++;
	counts->grace_micros += c->authorize.used.micros;
}

/* Makes the counts and the price book of the batch known to all threads. */
static void publish(struct ledger *l, struct inflight *f, int count)
{
	struct book *old = NULL;
	struct batch *b = &f->batch;

	lock_take(&l->lock);
	l->counts.batches++;
	l->counts.commands += count;
	l->counts.batch_size[size_class(count)]++;
	l->counts.retries += b->retries;
	l->counts.splits += b->splits;
	l->counts.unknown_commits += b->unknowns;
	for (int i = 0; i < count; i++) {
		const struct answer *a = &f->commands[i]->answer;

		CHECK((unsigned)a->outcome < OUTCOME_COUNT);
		l->counts.outcome[a->outcome]++;
		l->counts.incomplete += a->incomplete && !a->replayed;
		count_grace(&l->counts, f->commands[i]);
	}
	if (b->book != NULL && b->book != l->book) { /* a batch that failed may never have had one */
		old = l->book;
		l->book = book_hold(b->book);
	}
	lock_give(&l->lock);
	book_release(old);
}

/* Collects the commands of the waiters whose deadline has not passed, and refuses the others; returns the number
 * collected.  *deadline_us is the earliest of their deadlines, so that no waiter waits longer because of another. */
static int gather(struct inflight *f, int64_t *deadline_us)
{
	const int64_t now_us = clock_monotonic_us();
	int count = 0;

	*deadline_us = INT64_MAX;
	for (struct waiter *w = f->taken; w != NULL; w = w->next) {
		if (w->deadline_us <= now_us) {
			refuse_command(w->commands, w->count);
			continue;
		}
		if (w->deadline_us < *deadline_us)
			*deadline_us = w->deadline_us;
		CHECK(count + w->count <= COMMANDS_MAX);
		for (int i = 0; i < w->count; i++)
			f->commands[count++] = &w->commands[i];
	}
	CHECK(count <= f->count && (count == 0 || *deadline_us > now_us));
	return count;
}

/* Takes an in-flight batch that is not busy.  There is one: the queue lets no more than inflight_max leaders work. */
static struct inflight *inflight_take(struct ledger *l, struct waiter *taken, int count)
{
	struct inflight *f = l->inflight;

	CHECK(count > 0);
	lock_take(&l->lock);
	for (; f->busy; f++)
		CHECK(f + 1 < l->inflight + l->inflight_max);
	f->busy = true;
	lock_give(&l->lock);
	CHECK(f->ledger == l);
	f->taken = taken;
	f->count = count;
	return f;
}

static void inflight_give(struct ledger *l, struct inflight *f)
{
	lock_take(&l->lock);
	CHECK(f->busy && f->ledger == l);
	f->busy = false;
	lock_give(&l->lock);
}

/* Hands leadership over if the next batch would not be smaller than this one.  The cost of a round trip does not
 * depend on the number of commands that share it. */
static void hand_over(void *context)
{
	struct inflight *f = context;

	CHECK(f->taken != NULL && f->count > 0);
	queue_hand_over(&f->ledger->queue, f->taken, f->count);
}

static void inflight_run(struct ledger *l, struct inflight *f)
{
	int64_t deadline_us;
	const int count = gather(f, &deadline_us);
	struct db *d = count > 0 ? pool_take(l->options.pool, deadline_us) : NULL;

	if (d != NULL) {
		attempt_run(&f->batch, d, f->commands, count, deadline_us);
		pool_give(l->options.pool, d);
	}
	for (int i = 0; d == NULL && i < count; i++)
		refuse_command(f->commands[i], 1);
	if (count > 0)
		publish(l, f, count);
}

/* The work of a leader: everything that waits, as one transaction.  own is the caller's waiter, or NULL. */
static void lead(struct ledger *l, const struct waiter *own)
{
	int total;
	struct waiter *taken = queue_take(&l->queue, l->options.batch_max, &total);
	struct inflight *f;

	if (taken == NULL)
		return;
	CHECK(total > 0 && total <= COMMANDS_MAX);
	f = inflight_take(l, taken, total);
	if (total >= l->options.batch_max)
		hand_over(f); /* the batch is full */
	inflight_run(l, f);
	inflight_give(l, f);
	queue_finish(&l->queue, taken, own);
}

static void refuse_waiter(struct ledger *l, struct waiter *w)
{
	CHECK(w->role == QUEUE_LATE);
	refuse_command(w->commands, w->count);
	lock_take(&l->lock);
	l->counts.refused_full++;
	lock_give(&l->lock);
}

static void submit_command(struct ledger *l, struct waiter *w)
{
	switch (queue_wait(&l->queue, w)) {
	case QUEUE_LEAD:
		lead(l, w);
		break;
	case QUEUE_DONE:
		break;
	case QUEUE_FULL:
	case QUEUE_LATE:
		refuse_waiter(l, w);
		break;
	case QUEUE_QUEUED:
		UNREACHABLE("it waited");
	}
}

bool ledger_post(struct ledger *l, struct waiter *w)
{
	CHECK(w->count > 0 && w->count <= l->options.batch_max);
	for (int i = 0; i < w->count; i++)
		command_prepare(&w->commands[i]);
	if (l->commit_threads == 0) {
		w->done = NULL;
		submit_command(l, w);
		return false;
	}
	switch (queue_post(&l->queue, w)) {
	case QUEUE_QUEUED:
		return true;
	case QUEUE_LEAD:
		lead(l, w);
		return false;
	default:
		refuse_waiter(l, w);
		return false;
	}
}

void ledger_submit_many(struct ledger *l, struct command *commands, int count, int64_t deadline_us)
{
	CHECK(count >= 0 && deadline_us >= 0);
	for (int i = 0; i < count; i++)
		command_prepare(&commands[i]);
	for (int done = 0; done < count; done += l->options.batch_max) {
		const int left = count - done;
		struct waiter w = {
			.commands = commands + done,
			.count = left < l->options.batch_max ? left : l->options.batch_max,
			.deadline_us = deadline_us,
		};

		submit_command(l, &w);
	}
}

void ledger_submit(struct ledger *l, struct command *command, int64_t deadline_us)
{
	ledger_submit_many(l, command, 1, deadline_us);
}

/* ---- life ---------------------------------------------------------------------------------------- */

/* Refuses the waiters that no leader took in time.  They are told at the deadline, not once the leader is done. */
static void tell_late(struct ledger *l, struct waiter *late)
{
	struct waiter *next;

	for (struct waiter *w = late; w != NULL; w = next) {
		next = w->next;
		CHECK(w->done != NULL); /* a thread that waits leaves by itself */
		refuse_waiter(l, w);
		w->done(w);
	}
}

static void *commit_thread_main(void *argument)
{
	struct ledger *l = argument;
	struct waiter *late;

	while (queue_lead(&l->queue, &late)) {
		if (late != NULL)
			tell_late(l, late);
		else
			lead(l, NULL);
	}
	return NULL;
}

/* 0, or the error that kept the next commit thread from starting.  The caller has blocked signals. */
static int commit_threads_start(struct ledger *l)
{
	pthread_attr_t attributes;
	int error = 0;

	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_setstacksize(&attributes, COMMIT_THREAD_STACK_BYTES) == 0);
	while (l->options.commit_threads && l->commit_threads < LEDGER_COMMIT_THREADS && error == 0) {
		error = pthread_create(&l->commit_thread[l->commit_threads], &attributes, commit_thread_main, l);
		l->commit_threads += error == 0 ? 1 : 0;
	}
	CHECK(pthread_attr_destroy(&attributes) == 0);
	CHECK(error != 0 || l->commit_threads == (l->options.commit_threads ? LEDGER_COMMIT_THREADS : 0));
	if (error != 0)
		log_event(LOG_LEVEL_ERROR, "ledger_commit_threads_failed", LOG_TEXT("error", strerror(error)));
	return error;
}

static int inflight_init(struct ledger *l)
{
	int result = 0;

	CHECK(l->inflight_max > 0 && l->inflight_max <= LEDGER_INFLIGHT_MAX);
	for (int i = 0; i < l->inflight_max && result == 0; i++) {
		l->inflight[i].ledger = l;
		result = batch_init(&l->inflight[i].batch, &l->options, hand_over, &l->inflight[i]);
	}
	if (result != 0)
		memory_missing("batch");
	return result;
}

struct ledger *ledger_new(const struct ledger_options *options)
{
	struct ledger *l = memory_part("ledger", sizeof(*l));

	if (l == NULL)
		return NULL;
	l->options = *options;
	keep_currency(l, options->billing.currency);
	CHECK(options->batch_max > 0 && options->batch_max <= COMMANDS_MAX);
	CHECK(options->queue_max > 0 && options->holds_max > 0 && options->orders_open_max > 0);
	CHECK(options->action_price_micros >= 0 && options->terms.credit_value_ppm > 0);
	CHECK(options->billing.grace_us >= 0 && options->billing.statement_min_minor >= 0);
	l->inflight_max = options->commit_threads ? LEDGER_INFLIGHT_MAX : 1;
	queue_init(&l->queue, options->queue_max, l->inflight_max, options->commit_threads);
	lock_init(&l->lock);
	l->counts.open_holds = -1;
	if (inflight_init(l) == 0 && commit_threads_start(l) == 0)
		return l;
	ledger_free(l);
	return NULL;
}

void ledger_free(struct ledger *l)
{
	if (l == NULL)
		return;
	queue_close(&l->queue);
	for (; l->commit_threads > 0; l->commit_threads--)
		CHECK(pthread_join(l->commit_thread[l->commit_threads - 1], NULL) == 0);
	for (int i = 0; i < l->inflight_max; i++) {
		CHECK(!l->inflight[i].busy);
		batch_free(&l->inflight[i].batch);
	}
	book_release(l->book);
	queue_destroy(&l->queue);
	lock_destroy(&l->lock);
	free(l);
}

/* Adds the ids of accounts that the current result names to ids, behind count others; returns the new count. */
static int take_due(struct db *d, struct arena *arena, const char **ids, int count, int max)
{
	struct db_row row;

	while (count < max && db_row(d, &row) == 1) {
		ids[count] = arena_copy(arena, row.field[0], row.length[0]);
		if (ids[count] == NULL)
			break;
		count++;
	}
	return count;
}

/* Adds "FROM accounts …" for the accounts that this sweep looks at. */
static void add_accounts_behind(struct buf *sql, const struct sweep_place *place)
{
	sql_literal(sql, " FROM accounts FORCE INDEX (PRIMARY) WHERE id>");
	sql_bytes(sql, place->account.bytes, sizeof(place->account.bytes));
	sql_literal(sql, " ORDER BY id LIMIT ");
	sql_int(sql, SWEEP_ACCOUNTS);
}

/* Events other than the expiry of a hold have an index.  For the expiry the accounts are read in parts, since an index
 * would cost each guard call more than this costs. */
static void add_due(struct buf *sql, const struct sweep_place *place, int max)
{
	sql_literal(sql, "SELECT external_id FROM accounts WHERE due_at_us<=" SQL_NOW_US " ORDER BY due_at_us LIMIT ");
	sql_int(sql, max);
	sql_literal(sql, ";SELECT external_id FROM (SELECT external_id,open_holds,holds_due_at_us");
	add_accounts_behind(sql, place);
	sql_literal(sql, ") AS some WHERE open_holds>0 AND holds_due_at_us<=" SQL_NOW_US " LIMIT ");
	sql_int(sql, max);
	sql_literal(sql, ";SELECT COUNT(*),MAX(id),COALESCE(SUM(open_holds),0) FROM (SELECT id,open_holds");
	add_accounts_behind(sql, place);
	sql_literal(sql, ") AS some");
}

/* Moves the place behind the accounts that were read, or to the beginning when none are left. */
static void move_place(struct ledger *l, struct db *d, struct sweep_place *place)
{
	struct db_row row;

	if (db_row(d, &row) != 1)
		return;
	place->open_holds += db_int(&row, 2);
	if (db_int(&row, 0) < SWEEP_ACCOUNTS) {
		lock_take(&l->lock);
		l->counts.open_holds = place->open_holds;
		lock_give(&l->lock);
		memset(place, 0, sizeof(*place));
		return;
	}
	CHECK(row.length[1] == sizeof(place->account.bytes));
	memcpy(place->account.bytes, row.field[1], sizeof(place->account.bytes));
	place->begun = true;
}

/* Puts the ids of accounts that are due into the arena, and moves the place once all those before it were found.
 * Returns their number, or -1 on a fault. */
static int find_due(struct ledger *l, struct sweep_place *place, struct arena *arena, int max, int64_t deadline_us,
                    const char **ids)
{
	struct db *d = pool_take(l->options.pool, deadline_us);
	struct buf sql;
	bool more = true;
	int count = -1;

	CHECK(max > 0 && max <= SWEEP_MAX);
	if (d == NULL)
		return -1;
	buf_init(&sql, 1024);
	add_due(&sql, place, max);
	if (!buf_ok(&sql) || db_query(d, &sql) != DB_OK)
		goto done;
	count = take_due(d, arena, ids, 0, max);
	if (db_next(d, &more) == DB_OK && more)
		count = take_due(d, arena, ids, count, max);
	if (count < max && db_next(d, &more) == DB_OK && more)
		move_place(l, d, place);
	if (db_finish(d) != DB_OK)
		count = -1;
done:
	buf_free(&sql);
	pool_give(l->options.pool, d);
	CHECK(count >= -1 && count <= max);
	return count;
}

int ledger_sweep(struct ledger *l, struct sweep_place *place, int max, int64_t deadline_us)
{
	struct arena *arena = arena_new(1024 * 1024);
	const char *ids[SWEEP_MAX];
	struct command *commands;
	int count;

	if (arena == NULL)
		return -1;
	count = find_due(l, place, arena, max < SWEEP_MAX ? max : SWEEP_MAX, deadline_us, ids);
	commands = count > 0 ? arena_alloc(arena, (size_t)count * sizeof(*commands)) : NULL;
	if (commands == NULL) {
		arena_free(arena);
		return count > 0 ? -1 : count;
	}
	for (int i = 0; i < count; i++) {
		commands[i].kind = COMMAND_TOUCH;
		commands[i].account = id_account_key(ids[i], strlen(ids[i]));
		commands[i].account_id = ids[i];
	}
	ledger_submit_many(l, commands, count, deadline_us);
	for (int i = 0; i < count; i++)
		if (commands[i].answer.outcome == OUTCOME_UNAVAILABLE) {
			count = -1;
			break;
		}
	arena_free(arena);
	return count;
}

int ledger_prune(struct ledger *l, int64_t deadline_us)
{
	struct db *d = pool_take(l->options.pool, deadline_us);
	struct buf sql;
	int removed = -1;

	if (d == NULL)
		return -1;
	buf_init(&sql, 256);
	sql_literal(&sql, "DELETE FROM batches WHERE id<UNHEX(LPAD(HEX(CAST(UNIX_TIMESTAMP(NOW(6))*1000 AS UNSIGNED)-");
	sql_int(&sql, MARKER_LIFE_MS);
	sql_literal(&sql, "),");
	sql_int(&sql, MARKER_TIME_DIGITS);
	sql_literal(&sql, ",'0')) LIMIT ");
	sql_int(&sql, PRUNE_MAX);
	sql_literal(&sql, ";COMMIT");
	if (db_query(d, &sql) == DB_OK) {
		removed = (int)db_affected(d);
		if (db_finish(d) != DB_OK)
			removed = -1;
	}
	buf_free(&sql);
	pool_give(l->options.pool, d);
	return removed;
}

/* Reads the book again unless the database's version is that of known; NULL on a fault. */
static struct book *fresh_book(struct db *d, struct book *known)
{
	int64_t version;
	struct buf sql;
	int result;

	buf_init(&sql, 128);
	sql_literal(&sql, "SELECT COALESCE(MAX(id),0) FROM price_versions;COMMIT");
	result = db_read_int(d, &sql, &version);
	buf_free(&sql);
	if (result != 0)
		return NULL;
	if (known != NULL && book_version(known) == version)
		return book_hold(known);
	return book_load(d);
}

/* The known book, held, or NULL; *young: the database need not be asked.  Of the callers that take an older book, one
 * asks, and the others go on with the known book.  So a database that does not answer keeps only one waiting. */
static struct book *known_book(struct ledger *l, int64_t age_us, int64_t now_us, bool *young)
{
	struct book *known;

	CHECK(age_us >= 0);
	lock_take(&l->lock);
	known = l->book != NULL ? book_hold(l->book) : NULL;
	*young = known != NULL && age_us > 0 && (l->book_asked || now_us - l->book_at_us < age_us);
	if (age_us > 0 && !*young)
		l->book_asked = true;
	lock_give(&l->lock);
	return known;
}

struct book *ledger_book(struct ledger *l, int64_t age_us, int64_t deadline_us)
{
	const int64_t now_us = clock_monotonic_us();
	struct book *known, *fresh = NULL, *old = NULL;
	struct db *d;
	bool young;

	CHECK(deadline_us >= 0);
	known = known_book(l, age_us, now_us, &young);
	if (young)
		return known;
	d = pool_take(l->options.pool, deadline_us);
	if (d != NULL) {
		fresh = fresh_book(d, known);
		pool_give(l->options.pool, d);
	}
	lock_take(&l->lock);
	if (fresh != NULL && fresh != l->book) {
		old = l->book;
		l->book = book_hold(fresh);
	}
	if (fresh != NULL)
		l->book_at_us = now_us;
	if (age_us > 0)
		l->book_asked = false;
	lock_give(&l->lock);
	book_release(old);
	book_release(known);
	return fresh;
}

void ledger_count(struct ledger *l, struct ledger_counts *counts)
{
	lock_take(&l->lock);
	*counts = l->counts;
	lock_give(&l->lock);
	counts->queued = queue_waiting(&l->queue);
	/* A batch has at least one command. */
	CHECK(counts->batches <= counts->commands);
}
