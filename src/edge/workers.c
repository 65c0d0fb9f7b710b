#define _GNU_SOURCE
#include "base/memory.h"
#include "edge/workers.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "edge/exchange.h"
#include "edge/frame.h"

#define STACK_BYTES ((size_t)256 * 1024)
#define SCRATCH_BYTES ((size_t)16 * 1024)
/* Limit of requests that wait for their answers without a thread; beyond it each keeps its worker. */
#define LATER_MAX 1024
/* Bytes dropped of a refused request, before its answer and again after it; a peer that sends more is cut. */
#define DISCARD_MAX ((size_t)4 * 1024 * 1024)
/* Time for an answer to be written once the handler's time is over. */
#define WRITE_GRACE_US CLOCK_US_PER_SECOND

struct worker {
	struct workers *all;
	pthread_t thread;
	struct fcgi_reqbuf *reqbuf;
	unsigned char *scratch;
};

struct workers {
	/* unchanged after workers_start */
	struct edge_options options;
	struct conn_set *set;
	struct worker *worker;
	int started;
	struct exchanges *exchanges;
	_Atomic int64_t served, refused;
	/* under the lock */
	struct lock lock;
	struct signal_cond ended;
	int running;
};

/* State of a connection whose bytes were looked at. */
enum progress {
	CLOSE,
	KEEP,
	LATER /* the connection may be another thread's by now */
};

static void worker_clean(struct worker *w)
{
	fcgi_reqbuf_free(w->reqbuf);
	free(w->scratch);
}

static int worker_init(struct worker *w, struct workers *W)
{
	w->all = W;
	w->reqbuf = fcgi_reqbuf_new();
	w->scratch = malloc(SCRATCH_BYTES);
	return w->reqbuf != NULL && w->scratch != NULL ? 0 : -1;
}

/* Lets the handler leave the request for later.  If the handler does, the worker may use neither the request nor the
 * connection any more. */
static void worker_offer(struct worker *w, struct exchange *x)
{
	if (!exchanges_leave(w->all->exchanges, x))
		return;
	conn_set_ungather(w->all->set, x->connection, x->connection->pending.length);
	x->workers = w->all;
	x->request.exchange = x;
}

/* Calls the handler and writes its answer. */
static enum progress worker_answer(struct worker *w, struct exchange *x)
{
	const struct edge_options *o = &w->all->options;
	bool good, keep;

	if (o->handler(o->context, &x->request, &x->response) == EDGE_LATER)
		return LATER;
	good = exchange_answer(x) == 0;
	if (good)
		atomic_fetch_add(&w->all->served, 1);
	keep = exchange_end(x) && good;
	exchanges_give(w->all->exchanges, x);
	return keep ? KEEP : CLOSE;
}

/* Serves the request in bytes.  whole: bytes hold its end.  last: no bytes have come behind it. */
static enum progress worker_serve(struct worker *w, struct connection *c, const unsigned char *bytes, size_t length,
                                  bool whole, bool last)
{
	struct exchange *x = exchanges_take(w->all->exchanges);
	const int64_t deadline_us = c->received_us + w->all->options.request_timeout_ms * CLOCK_US_PER_MS;

	atomic_store(&c->due_us, deadline_us + w->all->options.overrun_ms * CLOCK_US_PER_MS + WRITE_GRACE_US);
	if (exchange_begin(x, w->reqbuf, c, bytes, length, whole) < 0) {
		exchanges_give(w->all->exchanges, x);
		return CLOSE;
	}
	c->served = true;
	x->request.deadline_us = deadline_us;
	if (last)
		worker_offer(w, x);
	return worker_answer(w, x);
}

/* For a connection that was answered for the last time, but whose peer may still be sending.  If it were closed at
 * once, the peer could lose the answer. */
static void worker_discard(struct connection *c)
{
	(void)shutdown(c->fd, SHUT_WR);
	c->discarding = true;
}

/* Counts and logs a request that is not simply served.  FRAME_ROLE is answered and the rest discarded; any other
 * verdict closes the connection. */
static enum progress worker_refuse(struct worker *w, struct connection *c, enum frame_verdict verdict,
                                   const unsigned char *bytes)
{
	unsigned char end[FRAME_END_BYTES];

	atomic_fetch_add(&w->all->refused, 1);
	log_event(LOG_LEVEL_WARNING, "connection_refused",
	          LOG_TEXT("why", verdict == FRAME_ROLE  ? "role"
	                          : verdict == FRAME_BAD ? "not FastCGI"
	                                                 : "too big"));
	if (verdict != FRAME_ROLE)
		return CLOSE;
	frame_refuse_role(bytes, end);
	if (send(c->fd, end, sizeof(end), MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof(end))
		return CLOSE;
	worker_discard(c);
	return KEEP;
}

/* Begins to skip a request whose body is too big; bytes, its beginning, stay gathered.  False unless its end is
 * still to come. */
static bool worker_skip_from(struct connection *c, const unsigned char *bytes, size_t length)
{
	size_t used = 0;

	memset(&c->walk, 0, sizeof(c->walk));
	c->skipping = frame_walk(&c->walk, bytes, length, &used) == FRAME_MORE;
	c->discarded = 0;
	return c->skipping;
}

/* Serves all requests that are whole; *consumed is the number of bytes that are done with. */
static enum progress worker_serve_all(struct worker *w, struct connection *c, const unsigned char *bytes, size_t length,
                                      size_t *consumed)
{
	*consumed = 0;
	while (*consumed < length) {
		const unsigned char *at = bytes + *consumed;
		size_t left = length - *consumed;
		size_t used = 0;
		enum frame_verdict verdict = frame_inspect(at, left, &used);

		if (verdict == FRAME_READY) {
			enum progress served = worker_serve(w, c, at, used, true, used == left);

			if (served != KEEP)
				return served;
			*consumed += used;
			c->received_us = clock_monotonic_us();
			continue;
		}
		if ((verdict == FRAME_MORE || verdict == FRAME_BODY) && left < CONN_SET_GATHER_MAX)
			return KEEP;
		if (verdict == FRAME_BODY)
			return worker_skip_from(c, at, left) ? KEEP : CLOSE;
		*consumed = length;
		return worker_refuse(w, c, verdict, at);
	}
	return KEEP;
}

static enum progress worker_receive(struct worker *w, struct connection *c, size_t length);

/* Takes the next bytes of a request whose body is too big.  At its end the answer is 413, and the connection may
 * carry another request.  If it were closed instead, it could be given the next request before its web server has
 * noticed.  A request without end is answered all the same, after DISCARD_MAX, and its connection closed. */
static enum progress worker_skip(struct worker *w, struct connection *c, size_t length)
{
	size_t used = 0;
	enum frame_verdict verdict = frame_walk(&c->walk, w->scratch, length, &used);
	enum progress served;

	c->discarded += length;
	if (verdict == FRAME_BAD)
		return worker_refuse(w, c, verdict, w->scratch);
	if (verdict == FRAME_MORE && c->discarded <= DISCARD_MAX)
		return KEEP;
	c->skipping = false;
	c->discarded = 0;
	served = worker_serve(w, c, (const unsigned char *)c->pending.data, c->pending.length, false, false);
	conn_set_ungather(w->all->set, c, c->pending.length);
	if (verdict == FRAME_MORE) {
		worker_discard(c);
		return KEEP;
	}
	if (served != KEEP || used == length)
		return served;
	memmove(w->scratch, w->scratch + used, length - used);
	return worker_receive(w, c, length - used);
}

/* Takes the next bytes, in scratch, of a connection that has gathered some before. */
static enum progress worker_receive_more(struct worker *w, struct connection *c, size_t length)
{
	struct conn_set *set = w->all->set;
	enum progress progress;
	size_t consumed;

	if (!conn_set_gather(set, c, w->scratch, length))
		return worker_refuse(w, c, FRAME_TOO_BIG, w->scratch);
	progress = worker_serve_all(w, c, (const unsigned char *)c->pending.data, c->pending.length, &consumed);
	/* worker_offer may have dropped all that was gathered. */
	if (progress == KEEP && c->pending.length > 0)
		conn_set_ungather(set, c, consumed);
	return progress;
}

/* Takes the next bytes of a connection, in scratch. */
static enum progress worker_receive(struct worker *w, struct connection *c, size_t length)
{
	enum progress progress;
	size_t consumed;

	if (c->skipping)
		return worker_skip(w, c, length);
	if (c->discarding) {
		c->discarded += length;
		return c->discarded <= DISCARD_MAX ? KEEP : CLOSE;
	}
	if (c->pending.length > 0)
		return worker_receive_more(w, c, length);
	c->received_us = clock_monotonic_us();
	progress = worker_serve_all(w, c, w->scratch, length, &consumed);
	if (progress == KEEP && consumed < length &&
	    !conn_set_gather(w->all->set, c, w->scratch + consumed, length - consumed))
		return worker_refuse(w, c, FRAME_TOO_BIG, w->scratch);
	return progress;
}

/* Takes in all bytes that have come. */
static enum progress worker_look(struct worker *w, struct connection *c)
{
	for (;;) {
		ssize_t length = recv(c->fd, w->scratch, SCRATCH_BYTES, MSG_DONTWAIT);
		enum progress progress;

		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? KEEP : CLOSE;
		if (length == 0)
			return CLOSE;
		progress = worker_receive(w, c, (size_t)length);
		if (progress != KEEP)
			return progress;
		if (conn_set_draining(w->all->set) && c->pending.length == 0 && !c->discarding)
			(void)shutdown(c->fd, SHUT_RD); /* recv goes on with bytes from before that, then 0 */
		else if ((size_t)length < SCRATCH_BYTES && !c->thorough)
			return KEEP; /* later bytes are a new event */
	}
}

/* Time at which a connection that is released now is overdue. */
static int64_t worker_due_us(const struct edge_options *o, const struct connection *c)
{
	if (c->pending.length > 0 || c->discarding)
		return c->received_us + o->request_timeout_ms * CLOCK_US_PER_MS;
	return clock_monotonic_us() + o->idle_timeout_ms * CLOCK_US_PER_MS;
}

static void worker_attend(struct worker *w, struct connection *c)
{
	do {
		switch (worker_look(w, c)) {
		case CLOSE:
			conn_set_close(w->all->set, c);
			return;
		case LATER:
			return;
		case KEEP:
			break;
		}
	} while (!conn_set_release(c, worker_due_us(&w->all->options, c)));
}

/* True if an answer of usual size goes out without waiting. */
static bool takes_answers(const struct connection *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && p.revents == POLLOUT;
}

void workers_resume(struct exchange *x)
{
	struct workers *W = x->workers;
	struct connection *c = x->connection;
	bool good = takes_answers(c) && exchange_answer(x) == 0;

	if (good)
		atomic_fetch_add(&W->served, 1);
	if (exchange_end(x) && good)
		conn_set_requeue(W->set, c, worker_due_us(&W->options, c));
	else
		conn_set_close(W->set, c);
	exchanges_give(W->exchanges, x); /* W may be freed after that */
}

static void running_add(struct workers *W, int change)
{
	lock_take(&W->lock);
	W->running += change;
	if (change < 0)
		cond_broadcast(&W->ended);
	lock_give(&W->lock);
}

static void *worker_main(void *argument)
{
	struct worker *w = argument;
	struct workers *W = w->all;

	for (;;) {
		struct connection *c = conn_set_wait(W->set);

		if (c == NULL)
			break;
		worker_attend(w, c);
	}
	running_add(W, -1);
	return NULL;
}

/* Signals are for the main thread; those of the program's own faults stay where they happen. */
static void signals_block(sigset_t *before)
{
	static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
	sigset_t all;

	CHECK(sigfillset(&all) == 0);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		CHECK(sigdelset(&all, own[i]) == 0);
	CHECK(pthread_sigmask(SIG_SETMASK, &all, before) == 0);
}

/* 0, or the error that kept the next worker from starting. */
static int workers_spawn(struct workers *W)
{
	pthread_attr_t attributes;
	sigset_t before;
	int error = 0;

	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0);
	signals_block(&before);
	while (W->started < W->options.threads && error == 0) {
		struct worker *w = &W->worker[W->started];

		running_add(W, 1);
		error = worker_init(w, W) < 0 ? ENOMEM : pthread_create(&w->thread, &attributes, worker_main, w);
		if (error == 0) {
			W->started++;
			continue;
		}
		running_add(W, -1);
		worker_clean(w);
	}
	CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	CHECK(pthread_attr_destroy(&attributes) == 0);
	return error;
}

struct workers *workers_start(const struct edge_options *options, struct conn_set *set)
{
	struct workers *W = memory_part("workers", sizeof(*W));
	int error;

	CHECK(options->threads > 0);
	if (W == NULL)
		return NULL;
	W->options = *options;
	W->set = set;
	lock_init(&W->lock);
	cond_init(&W->ended);
	W->worker = calloc((size_t)options->threads, sizeof(*W->worker));
	W->exchanges = exchanges_new(options->threads, LATER_MAX);
	error = W->worker == NULL || W->exchanges == NULL ? ENOMEM : workers_spawn(W);
	if (error == 0)
		return W;
	conn_set_quit(set);
	CHECK(workers_join(W, -1));
	workers_free(W);
	log_event(LOG_LEVEL_ERROR, "workers_failed", LOG_TEXT("error", strerror(error)));
	return NULL;
}

bool workers_join(struct workers *W, int64_t deadline_us)
{
	int running;

	lock_take(&W->lock);
	while (W->running > 0 && cond_wait_until(&W->ended, &W->lock, deadline_us))
		;
	running = W->running;
	lock_give(&W->lock);
	if (running > 0)
		return false;
	for (; W->started > 0; W->started--) {
		struct worker *w = &W->worker[W->started - 1];

		CHECK(pthread_join(w->thread, NULL) == 0);
		worker_clean(w);
	}
	return W->exchanges == NULL || exchanges_back_until(W->exchanges, deadline_us);
}

void workers_free(struct workers *W)
{
	if (W == NULL)
		return;
	CHECK(W->started == 0);
	exchanges_free(W->exchanges);
	cond_destroy(&W->ended);
	lock_destroy(&W->lock);
	free(W->worker);
	free(W);
}

void workers_count(const struct workers *W, struct edge_counts *counts)
{
	counts->served = atomic_load(&W->served);
	counts->refused = atomic_load(&W->refused);
}
