#define _GNU_SOURCE
#include "edge/workers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "edge/fcgi.h"
#include "edge/frame.h"

#define STACK_BYTES ((size_t)256 * 1024)
#define SCRATCH_BYTES ((size_t)16 * 1024)
#define ARENA_MAX ((size_t)1024 * 1024)
#define ANSWER_MAX (RESPONSE_BODY_MAX + RESPONSE_HEADERS_MAX + 4096)
#define ANSWER_KEPT_BYTES ((size_t)64 * 1024)
/* Of a request that is refused, before and again after its answer; a peer with still more is cut. */
#define DISCARD_MAX ((size_t)4 * 1024 * 1024)
/* After a request's deadline its answer may still be on its way for that long. */
#define WRITE_GRACE_US CLOCK_US_PER_SECOND

struct worker {
	struct workers *all;
	pthread_t thread;
	struct fcgi *fcgi;
	struct arena *arena;
	unsigned char *scratch;
	struct response response;
	struct buf answer; /* the response as it goes out */
};

struct workers {
	/* unchanged after workers_start */
	struct edge_options options;
	struct lobby *lobby;
	struct worker *worker;
	int started;
	_Atomic int64_t served, refused;
	/* under the lock */
	struct lock lock;
	struct signal_cond ended;
	int running;
};

static void worker_clean(struct worker *w)
{
	fcgi_free(w->fcgi);
	arena_free(w->arena);
	free(w->scratch);
	response_free(&w->response);
	buf_free(&w->answer);
}

static int worker_init(struct worker *w, struct workers *W)
{
	w->all = W;
	response_init(&w->response);
	buf_init(&w->answer, ANSWER_MAX);
	w->fcgi = fcgi_new();
	w->arena = arena_new(ARENA_MAX);
	w->scratch = malloc(SCRATCH_BYTES);
	return w->fcgi != NULL && w->arena != NULL && w->scratch != NULL ? 0 : -1;
}

/* Calls the handler and writes what it answered.  0, or -1 when the connection is of no more use. */
static int worker_answer(struct worker *w, struct connection *c, const struct request *request)
{
	const struct edge_options *o = &w->all->options;

	response_reset(&w->response);
	o->handler(o->context, request, &w->response);
	buf_reset(&w->answer);
	(void)response_render(&w->response, request->id, &w->answer);
	if (!buf_ok(&w->answer) ||
	    fcgi_answer(w->fcgi, c->fd, buf_text(&w->answer), w->answer.length) < 0)
		return -1;
	atomic_fetch_add(&w->all->served, 1);
	return 0;
}

/* Builds the request from what libfcgi holds.  whole: it came to its end. */
static int worker_build(struct worker *w, struct request *request, size_t length, bool whole)
{
	/* No body is longer than the request that holds it; one byte over the cap shows that it is. */
	size_t max = length < FRAME_BODY_MAX ? length : FRAME_BODY_MAX + 1;
	char *body = arena_alloc(w->arena, max + 1);
	size_t body_length;

	if (body == NULL)
		return -1;
	body_length = fcgi_body(w->fcgi, body, max);
	return request_build(request, fcgi_parameters(w->fcgi), body,
	                     whole ? body_length : FRAME_BODY_MAX + 1);
}

/* Serves the request in the bytes.  True when the connection may carry another one. */
static bool worker_serve(struct worker *w, struct connection *c, const unsigned char *bytes,
                         size_t length, bool whole)
{
	struct request request = {.arena = w->arena, .listener = c->listener};
	bool good, keep;

	request.received_us = c->received_us;
	request.deadline_us =
		c->received_us + w->all->options.request_timeout_ms * CLOCK_US_PER_MS;
	atomic_store(&c->due_us, request.deadline_us + WRITE_GRACE_US);
	if (fcgi_begin(w->fcgi, bytes, length) < 0)
		return false;
	good = worker_build(w, &request, length, whole) == 0;
	if (!good)
		log_event(LOG_LEVEL_ERROR, "request_memory_failed", LOG_NUMBER("bytes", (int64_t)length));
	good = good && worker_answer(w, c, &request) == 0;
	keep = fcgi_end(w->fcgi);
	arena_reset(w->arena);
	if (w->answer.capacity > ANSWER_KEPT_BYTES)
		buf_free(&w->answer);
	c->served = true;
	return good && keep;
}

/* The connection was answered for the last time, but its peer may still be sending: closed at once,
 * it could lose the answer. */
static void worker_discard(struct connection *c)
{
	(void)shutdown(c->fd, SHUT_WR);
	c->discarding = true;
}

/* What to do about a request that is not simply served.  False: close the connection. */
static bool worker_refuse(struct worker *w, struct connection *c, enum frame_verdict verdict,
                          const unsigned char *bytes)
{
	unsigned char end[FRAME_END_BYTES];

	atomic_fetch_add(&w->all->refused, 1);
	log_event(LOG_LEVEL_WARNING, "connection_refused",
	          LOG_TEXT("why", verdict == FRAME_ROLE ? "role"
	                          : verdict == FRAME_BAD ? "not FastCGI"
	                                                 : "too big"));
	if (verdict != FRAME_ROLE)
		return false;
	frame_refuse_role(bytes, end);
	if (send(c->fd, end, sizeof(end), MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof(end))
		return false;
	worker_discard(c);
	return true;
}

/* The request in these bytes, which stay gathered, has more of a body than it may have. */
static bool worker_swallow_from(struct connection *c, const unsigned char *bytes, size_t length)
{
	size_t used = 0;

	memset(&c->walk, 0, sizeof(c->walk));
	c->swallowing = frame_walk(&c->walk, bytes, length, &used) == FRAME_MORE;
	c->discarded = 0;
	return c->swallowing;
}

/* Serves all requests that are whole; *eaten is how many bytes are done with.  False: close. */
static bool worker_eat(struct worker *w, struct connection *c, const unsigned char *bytes,
                       size_t length, size_t *eaten)
{
	*eaten = 0;
	while (*eaten < length) {
		const unsigned char *at = bytes + *eaten;
		size_t left = length - *eaten;
		size_t used = 0;
		enum frame_verdict verdict = frame_inspect(at, left, &used);

		if (verdict == FRAME_READY) {
			if (!worker_serve(w, c, at, used, true))
				return false;
			*eaten += used;
			c->received_us = clock_monotonic_us();
			continue;
		}
		if ((verdict == FRAME_MORE || verdict == FRAME_BODY) && left < LOBBY_GATHER_MAX)
			return true;
		if (verdict == FRAME_BODY)
			return worker_swallow_from(c, at, left);
		*eaten = length;
		return worker_refuse(w, c, verdict, at);
	}
	return true;
}

static bool worker_receive(struct worker *w, struct connection *c, size_t length);

/* The next bytes of a request whose body is too big.  At its end the answer is 413, and the connection
 * may carry another request: one that was closed instead could be given the next before its web server
 * has noticed.  A request without end is answered, and its connection closed, all the same. */
static bool worker_swallow(struct worker *w, struct connection *c, size_t length)
{
	size_t used = 0;
	enum frame_verdict verdict = frame_walk(&c->walk, w->scratch, length, &used);
	bool kept;

	c->discarded += length;
	if (verdict == FRAME_BAD)
		return worker_refuse(w, c, verdict, w->scratch);
	if (verdict == FRAME_MORE && c->discarded <= DISCARD_MAX)
		return true;
	c->swallowing = false;
	c->discarded = 0;
	kept = worker_serve(w, c, (const unsigned char *)c->pending.data, c->pending.length, false);
	lobby_ungather(w->all->lobby, c, c->pending.length);
	if (verdict == FRAME_MORE) {
		worker_discard(c);
		return true;
	}
	if (!kept || used == length)
		return kept;
	memmove(w->scratch, w->scratch + used, length - used);
	return worker_receive(w, c, length - used);
}

/* The next bytes of a connection, in scratch.  False: close. */
static bool worker_receive(struct worker *w, struct connection *c, size_t length)
{
	struct lobby *L = w->all->lobby;
	size_t eaten;

	if (c->swallowing)
		return worker_swallow(w, c, length);
	if (c->discarding) {
		c->discarded += length;
		return c->discarded <= DISCARD_MAX;
	}
	if (c->pending.length > 0) {
		if (!lobby_gather(L, c, w->scratch, length))
			return worker_refuse(w, c, FRAME_TOO_BIG, w->scratch);
		if (!worker_eat(w, c, (const unsigned char *)c->pending.data, c->pending.length, &eaten))
			return false;
		lobby_ungather(L, c, eaten);
		return true;
	}
	c->received_us = clock_monotonic_us();
	if (!worker_eat(w, c, w->scratch, length, &eaten))
		return false;
	if (eaten < length && !lobby_gather(L, c, w->scratch + eaten, length - eaten))
		return worker_refuse(w, c, FRAME_TOO_BIG, w->scratch);
	return true;
}

/* Takes in all that has come.  False: close. */
static bool worker_look(struct worker *w, struct connection *c)
{
	for (;;) {
		ssize_t length = recv(c->fd, w->scratch, SCRATCH_BYTES, MSG_DONTWAIT);

		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		if (length == 0 || !worker_receive(w, c, (size_t)length))
			return false;
		if (lobby_draining(w->all->lobby) && c->pending.length == 0 && !c->discarding)
			(void)shutdown(c->fd, SHUT_RD); /* reads on to what had come before that, then 0 */
		else if ((size_t)length < SCRATCH_BYTES && !c->thorough)
			return true; /* what comes from now on is a new event */
	}
}

/* When a connection that is released now is overdue. */
static int64_t worker_due_us(const struct edge_options *o, const struct connection *c)
{
	if (c->pending.length > 0 || c->discarding)
		return c->received_us + o->request_timeout_ms * CLOCK_US_PER_MS;
	return clock_monotonic_us() + o->idle_timeout_ms * CLOCK_US_PER_MS;
}

static void worker_attend(struct worker *w, struct connection *c)
{
	do {
		if (!worker_look(w, c)) {
			lobby_close(w->all->lobby, c);
			return;
		}
	} while (!lobby_release(c, worker_due_us(&w->all->options, c)));
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
		struct connection *c = lobby_wait(W->lobby);

		if (c == NULL)
			break;
		worker_attend(w, c);
	}
	running_add(W, -1);
	return NULL;
}

/* Signals are the main thread's; faults of the program itself stay where they happen. */
static void signals_block(sigset_t *before)
{
	static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
	sigset_t all;

	CHECK(sigfillset(&all) == 0);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		CHECK(sigdelset(&all, own[i]) == 0);
	CHECK(pthread_sigmask(SIG_SETMASK, &all, before) == 0);
}

/* 0, or the error that kept the next one from starting. */
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
		error = worker_init(w, W) < 0 ? ENOMEM
		                              : pthread_create(&w->thread, &attributes, worker_main, w);
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

struct workers *workers_start(const struct edge_options *options, struct lobby *lobby)
{
	struct workers *W = calloc(1, sizeof(*W));
	int error = ENOMEM;

	CHECK(options->threads > 0);
	if (W == NULL)
		goto fail;
	W->options = *options;
	W->lobby = lobby;
	lock_init(&W->lock);
	cond_init(&W->ended);
	W->worker = calloc((size_t)options->threads, sizeof(*W->worker));
	error = W->worker == NULL ? ENOMEM : workers_spawn(W);
	if (error == 0)
		return W;
	lobby_quit(lobby);
	CHECK(workers_join(W, -1));
	workers_free(W);
fail:
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
	return true;
}

void workers_free(struct workers *W)
{
	if (W == NULL)
		return;
	CHECK(W->started == 0);
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
