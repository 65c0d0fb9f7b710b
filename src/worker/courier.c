#include "worker/courier.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/memory.h"
#include "ledger/command.h"
#include "queries/endpoints.h"
#include "worker/post.h"
#include "worker/threads.h"

#define THREADS 11 /* the first hands on, the next ones mail, the others post */
#define MAILERS 2
#define SHARE 2  /* threads that one endpoint has at most */
#define AILING 2 /* threads that all endpoints have together whose last attempt failed */
#define POOL_PATIENCE_US (5 * CLOCK_US_PER_SECOND)
#define LEASE_US (4 * WEBHOOK_PATIENCE_US)

#define MAIL_REST_FIRST_US (10 * CLOCK_US_PER_SECOND)
#define MAIL_REST_MAX_US (5 * 60 * CLOCK_US_PER_SECOND)
#define MAIL_LEASE_US (MAILS_ADDRESSES_MAX * SMTP_PATIENCE_US + 60 * CLOCK_US_PER_SECOND)

static struct courier_counts counted; /* every member atomic */

/* A delivery that a thread posts. */
struct errand {
	int64_t endpoint_id; /* 0: none */
	bool ailing;
};

struct courier {
	struct courier_options options;
	struct threads *threads;
	struct lock lock;
	struct errand errands[THREADS]; /* under the lock */
	int64_t mail_rest_us; /* under the lock: the last pause, because the mail server was away; 0: it is there */
	int64_t mail_rests_until_us; /* under the lock, monotonic */
	struct lock claiming;        /* taken before lock: one thread claims at a time, so that the shares hold */
};

static void count_message(int64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

void courier_count(struct courier_counts *counts)
{
	counts->posted = __atomic_load_n(&counted.posted, __ATOMIC_RELAXED);
	counts->failed = __atomic_load_n(&counted.failed, __ATOMIC_RELAXED);
	counts->given_up = __atomic_load_n(&counted.given_up, __ATOMIC_RELAXED);
	counts->switched_off = __atomic_load_n(&counted.switched_off, __ATOMIC_RELAXED);
	counts->mails_sent = __atomic_load_n(&counted.mails_sent, __ATOMIC_RELAXED);
	counts->mails_refused = __atomic_load_n(&counted.mails_refused, __ATOMIC_RELAXED);
	counts->mails_failed = __atomic_load_n(&counted.mails_failed, __ATOMIC_RELAXED);
}

/* ---- pieces of work ------------------------------------------------------------------------------ */

static int hand_on(const struct courier_options *o)
{
	const bool mail = o->mail.server.url[0] != '\0';
	struct db *d = pool_take(o->pool, clock_monotonic_us() + POOL_PATIENCE_US);
	int count;

	if (d == NULL)
		return -1;
	count = endpoints_hand_on(d, mail);
	if (count >= 0) {
		const int more = endpoints_hand_on_operators(d, mail && o->mail.operators[0] != '\0');

		count = more < 0 ? -1 : count + more;
	}
	pool_give(o->pool, d);
	return count;
}

static int claim_delivery(const struct courier_options *o, const struct endpoints_busy *busy,
                          struct endpoint_claim *claim)
{
	struct db *d = pool_take(o->pool, clock_monotonic_us() + POOL_PATIENCE_US);
	int claimed;

	if (d == NULL)
		return -1;
	claimed = endpoints_claim(d, busy, LEASE_US, claim);
	pool_give(o->pool, d);
	return claimed;
}

static void note_end(const struct endpoint_claim *claim, const struct endpoint_end *end)
{
	count_message(end->error[0] == '\0' ? &counted.posted : &counted.failed);
	if (end->state == DELIVERY_FAILED)
		count_message(&counted.given_up);
	if (end->off == NULL)
		return;
	count_message(&counted.switched_off);
	log_event(LOG_LEVEL_ERROR, "endpoint_disabled", LOG_NUMBER("endpoint", claim->endpoint_id),
	          LOG_NUMBER("delivery", claim->id), LOG_TEXT("reason", end->off));
}

/* If the end cannot be written, the claim runs out, and the message is posted again under the same id. */
static void deliver(const struct courier_options *o, const struct endpoint_claim *claim)
{
	struct webhook_result result;
	struct endpoint_end end;
	struct db *d;

	post_delivery(claim, o->ca_file, &result, &end);
	d = pool_take(o->pool, clock_monotonic_us() + POOL_PATIENCE_US);
	if (d == NULL)
		return;
	if (endpoints_end(d, claim, &end) > 0)
		note_end(claim, &end);
	pool_give(o->pool, d);
}

static int post_one(const struct courier_options *o)
{
	const struct endpoints_busy busy = {.count = 0};
	struct endpoint_claim claim;
	const int claimed = claim_delivery(o, &busy, &claim);

	if (claimed > 0)
		deliver(o, &claim);
	return claimed;
}

/* Sends one mail.  1 when there was one, 0 when none was due, -1 when the database failed; *up false: the mail server
 * takes none now. */
static int mail_one(const struct courier_options *o, bool *up)
{
	struct db *d = pool_take(o->pool, clock_monotonic_us() + POOL_PATIENCE_US);
	char error[SMTP_ERROR_MAX];
	struct mailer_counts counts;
	struct mail_claim claim;
	struct mail_end end;
	int claimed;

	*up = true;
	if (d == NULL)
		return -1;
	claimed = mails_claim(d, MAIL_LEASE_US, o->mail.operators, &claim);
	pool_give(o->pool, d);
	if (claimed <= 0)
		return claimed;
	*up = mailer_send(&o->mail, &claim, &end, error, &counts);
	__atomic_fetch_add(&counted.mails_sent, counts.sent, __ATOMIC_RELAXED);
	__atomic_fetch_add(&counted.mails_refused, counts.refused, __ATOMIC_RELAXED);
	__atomic_fetch_add(&counted.mails_failed, counts.failed, __ATOMIC_RELAXED);
	if (error[0] != '\0')
		log_event(end.state == DELIVERY_FAILED ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "mail_failed",
		          LOG_TEXT("account", claim.of_operator ? "operator" : claim.account_id),
		          LOG_NUMBER("attempts", claim.attempts), LOG_TEXT("error", error));
	d = pool_take(o->pool, clock_monotonic_us() + POOL_PATIENCE_US);
	if (d == NULL)
		return claimed;
	(void)mails_end(d, &claim, &end);
	pool_give(o->pool, d);
	return claimed;
}

int courier_run(const struct courier_options *o, int max, int64_t deadline_us)
{
	bool up = o->mail.server.url[0] != '\0';
	int ran = 0, one = 1;

	while (one > 0 && ran < max && clock_monotonic_us() < deadline_us) {
		one = hand_on(o);
		if (one == 0)
			one = post_one(o);
		if (one == 0 && up)
			one = mail_one(o, &up);
		ran += one > 0 ? 1 : 0;
	}
	return one < 0 ? -1 : ran;
}

/* ---- shares -------------------------------------------------------------------------------------- */

/* Endpoints that have their share of the threads. */
static void find_busy(struct courier *c, struct endpoints_busy *busy)
{
	int ailing = 0;

	*busy = (struct endpoints_busy){.count = 0};
	lock_take(&c->lock);
	for (int i = 0; i < THREADS; i++) {
		int share = 0;

		for (int k = 0; k < THREADS; k++)
			share += c->errands[k].endpoint_id == c->errands[i].endpoint_id ? 1 : 0;
		if (c->errands[i].endpoint_id != 0 && share >= SHARE)
			busy->ids[busy->count++] = c->errands[i].endpoint_id;
		ailing += c->errands[i].endpoint_id != 0 && c->errands[i].ailing ? 1 : 0;
	}
	lock_give(&c->lock);
	busy->healthy_only = ailing >= AILING;
}

static void note_errand(struct courier *c, int thread, struct errand errand)
{
	lock_take(&c->lock);
	c->errands[thread] = errand;
	lock_give(&c->lock);
}

static int post_share(struct courier *c, struct threads *t, int thread)
{
	struct endpoints_busy busy;
	struct endpoint_claim claim;
	int claimed;

	lock_take(&c->claiming);
	find_busy(c, &busy);
	claimed = claim_delivery(&c->options, &busy, &claim);
	if (claimed > 0)
		note_errand(c, thread, (struct errand){claim.endpoint_id, claim.failures > 0});
	lock_give(&c->claiming);
	if (claimed <= 0)
		return claimed;
	threads_wake(t); /* for there may be more */
	deliver(&c->options, &claim);
	note_errand(c, thread, (struct errand){0});
	return claimed;
}

/* While the mail server is away, its threads rest, longer each time. */
static int mail_share(struct courier *c)
{
	const int64_t now_us = clock_monotonic_us();
	bool resting, up;
	int sent;

	lock_take(&c->lock);
	resting = now_us < c->mail_rests_until_us;
	lock_give(&c->lock);
	if (resting)
		return 0;
	sent = mail_one(&c->options, &up);
	lock_take(&c->lock);
	if (up && sent > 0)
		c->mail_rest_us = 0;
	else if (!up)
		c->mail_rest_us = c->mail_rest_us == 0                     ? MAIL_REST_FIRST_US
		                  : c->mail_rest_us < MAIL_REST_MAX_US / 2 ? c->mail_rest_us * 2
		                                                           : MAIL_REST_MAX_US;
	if (!up)
		c->mail_rests_until_us = clock_monotonic_us() + c->mail_rest_us;
	lock_give(&c->lock);
	return sent;
}

/* ---- threads ------------------------------------------------------------------------------------- */

/* A piece of a thread's work; as courier_run. */
static int courier_step(struct threads *t, int thread, void *context)
{
	struct courier *c = context;
	int done;

	if (thread > MAILERS)
		return post_share(c, t, thread);
	if (thread > 0)
		return c->options.mail.server.url[0] != '\0' ? mail_share(c) : 0;
	done = hand_on(&c->options);
	if (done > 0)
		threads_wake(t);
	return done;
}

static void free_courier(struct courier *c)
{
	lock_destroy(&c->claiming);
	lock_destroy(&c->lock);
	free(c);
}

struct courier *courier_start(const struct courier_options *o)
{
	struct courier *c = memory_part("courier", sizeof(*c));

	if (c == NULL)
		return NULL;
	c->options = *o;
	lock_init(&c->lock);
	lock_init(&c->claiming);
	c->threads = threads_start(&(struct threads_options){
		.part = "courier", .count = THREADS, .apart = 1 + MAILERS, .step = courier_step, .context = c});
	if (threads_count(c->threads) < THREADS)
		log_event(LOG_LEVEL_ERROR, "courier_failed", LOG_TEXT("error", "not all threads could be started"));
	if (c->threads != NULL)
		return c;
	free_courier(c);
	return NULL;
}

bool courier_stop(struct courier *c, int64_t deadline_us)
{
	if (c == NULL)
		return true;
	if (!threads_stop(c->threads, deadline_us))
		return false;
	free_courier(c);
	return true;
}
