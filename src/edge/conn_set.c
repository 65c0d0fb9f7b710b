#define _GNU_SOURCE
#include "base/memory.h"
#include "edge/conn_set.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "edge/concurrency_gate.h"

/* Limit of all gathered bytes together: a flood of half requests must not take the machine's memory. */
#define GATHERED_MAX ((size_t)64 * 1024 * 1024)
/* While draining, a connection that was just accepted has that long to send its request. */
#define FIRST_REQUEST_US (500 * CLOCK_US_PER_MS)
#define SWEEP_US (50 * CLOCK_US_PER_MS)
/* Limit of unproven connections that are skipped because bytes of theirs are still unread. */
#define SKIPPED_MAX 32
/* A web server connects first and writes then: an unproven connection has that long to write before it is cut to make
 * room. */
#define HEARING_MS 20
/* Limits of the threads that wait for events at once.  No more can run than there are processors.  But while one
 * waits for an unproven connection's bytes, another has to be there. */
#define WAITING_MIN 2
#define WAITING_MAX 16

/*
 * FREE  -> BUSY        accepted;
 * IDLE  -> BUSY        taken for an event, by the reaper or by the sweep;
 * BUSY  -> BUSY_AGAIN  an event came while it was taken;
 * BUSY  -> IDLE        released;
 * BUSY* -> FREE        closed.
 * A late event of a closed connection finds FREE, or another connection in the same place.  That one is then looked at
 * once, in vain.
 */
enum state { FREE, IDLE, BUSY, BUSY_AGAIN };

struct listener {
	int fd; /* -1: not there */
	enum request_listener kind;
};

struct conn_set {
	/* unchanged after conn_set_new */
	int epoll;
	int wake; /* eventfd, readable once the set quits */
	struct listener listeners[2];
	int connections_max;
	int64_t send_timeout_ms;
	int64_t idle_timeout_ms;
	struct connection *connections; /* connections_max places, touched in order */
	atomic_bool draining;
	atomic_bool hearing; /* a worker waits for an unproven connection's bytes */
	_Atomic int64_t accepted, timed_out;
	_Atomic size_t gathered;
	_Atomic int64_t complained_us; /* accept's last error; another within a second is not logged */
	struct concurrency_gate gate;
	/* under the lock */
	struct lock lock;
	struct signal_cond empty;
	struct connection *free;
	/* Unproven connections, in the order in which they came.  A served connection leaves when it closes or
	 * unproven_take finds it. */
	struct connection *oldest, *youngest;
	int touched; /* places ever used */
	int open;
	bool paused; /* none is accepted: full, or out of descriptors */
};

static int listener_watch(struct conn_set *set, struct listener *listener, int operation)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = listener};

	if (listener->fd < 0)
		return 0;
	return epoll_ctl(set->epoll, operation, listener->fd, &event);
}

/* Edge-triggered sockets report again after this, if a connection still waits to be accepted. */
static void listeners_resume(struct conn_set *set)
{
	if (atomic_load(&set->draining))
		return;
	for (int i = 0; i < 2; i++)
		(void)listener_watch(set, &set->listeners[i], EPOLL_CTL_MOD);
}

static int listeners_init(struct conn_set *set, const struct conn_set_options *options)
{
	set->listeners[0] = (struct listener){options->public_fd, LISTENER_PUBLIC};
	set->listeners[1] = (struct listener){options->internal_fd, LISTENER_INTERNAL};
	for (int i = 0; i < 2; i++) {
		int flags = set->listeners[i].fd >= 0 ? fcntl(set->listeners[i].fd, F_GETFL) : 0;

		if (set->listeners[i].fd < 0)
			continue;
		if (flags < 0 || fcntl(set->listeners[i].fd, F_SETFL, flags | O_NONBLOCK) < 0)
			return -1;
		if (listener_watch(set, &set->listeners[i], EPOLL_CTL_ADD) < 0)
			return -1;
	}
	return 0;
}

static int conn_set_init(struct conn_set *set, const struct conn_set_options *options)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = &set->wake};

	set->connections = calloc((size_t)options->connections_max, sizeof(*set->connections));
	if (set->connections == NULL)
		return -1;
	set->epoll = epoll_create1(EPOLL_CLOEXEC);
	set->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (set->epoll < 0 || set->wake < 0)
		return -1;
	if (epoll_ctl(set->epoll, EPOLL_CTL_ADD, set->wake, &event) < 0)
		return -1;
	return listeners_init(set, options);
}

static int waiting_max(void)
{
	const long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (processors < WAITING_MIN)
		return WAITING_MIN;
	return processors < WAITING_MAX ? (int)processors : WAITING_MAX;
}

struct conn_set *conn_set_new(const struct conn_set_options *options)
{
	struct conn_set *set = memory_part("connections", sizeof(*set));

	CHECK(options->connections_max > 0);
	if (set == NULL)
		return NULL;
	set->epoll = set->wake = -1;
	set->connections_max = options->connections_max;
	set->send_timeout_ms = options->send_timeout_ms;
	set->idle_timeout_ms = options->idle_timeout_ms;
	lock_init(&set->lock);
	cond_init(&set->empty);
	concurrency_gate_init(&set->gate, waiting_max());
	if (conn_set_init(set, options) == 0)
		return set;
	log_event(LOG_LEVEL_ERROR, "conn_set_failed", LOG_TEXT("error", strerror(errno)));
	conn_set_free(set);
	return NULL;
}

void conn_set_free(struct conn_set *set)
{
	if (set == NULL)
		return;
	for (int i = 0; i < set->touched; i++) {
		struct connection *c = &set->connections[i];

		if (atomic_load(&c->state) == FREE)
			continue;
		close(c->fd);
		buf_free(&c->pending);
	}
	/* The listening sockets stay open for their owner; the epoll set must not outlive them. */
	if (set->epoll >= 0)
		close(set->epoll);
	if (set->wake >= 0)
		close(set->wake);
	free(set->connections);
	concurrency_gate_destroy(&set->gate);
	cond_destroy(&set->empty);
	lock_destroy(&set->lock);
	free(set);
}

static void unproven_add(struct conn_set *set, struct connection *c)
{
	lock_assert_held(&set->lock);
	c->unproven = true;
	c->younger = NULL;
	c->older = set->youngest;
	*(set->youngest != NULL ? &set->youngest->younger : &set->oldest) = c;
	set->youngest = c;
}

static void unproven_remove(struct conn_set *set, struct connection *c)
{
	lock_assert_held(&set->lock);
	if (!c->unproven)
		return;
	c->unproven = false;
	*(c->older != NULL ? &c->older->younger : &set->oldest) = c->younger;
	*(c->younger != NULL ? &c->younger->older : &set->youngest) = c->older;
}

/* Takes a place, BUSY.  NULL when all are taken: none is accepted then until one is free. */
static struct connection *place_take(struct conn_set *set)
{
	struct connection *c;

	lock_take(&set->lock);
	c = set->free;
	if (c != NULL)
		set->free = c->next_free;
	else if (set->touched < set->connections_max)
		c = &set->connections[set->touched++];
	else
		set->paused = true;
	if (c != NULL) {
		c->fd = -1;
		set->open++;
		atomic_store(&c->due_us, INT64_MAX); /* not yet for the reaper */
		atomic_store(&c->state, BUSY);
	}
	lock_give(&set->lock);
	return c;
}

/* Gives a place back.  Closes its descriptor under the lock: c->fd, read under the lock, thus never names another
 * file. */
static void place_give(struct conn_set *set, struct connection *c)
{
	bool resume;

	lock_take(&set->lock);
	CHECK(set->open > 0 && atomic_load(&c->state) >= BUSY);
	unproven_remove(set, c);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	atomic_store(&c->state, FREE);
	c->next_free = set->free;
	set->free = c;
	set->open--;
	resume = set->paused;
	set->paused = false;
	if (set->open == 0)
		cond_broadcast(&set->empty);
	lock_give(&set->lock);
	if (resume)
		listeners_resume(set);
}

static bool connection_take(struct connection *c, uint32_t events)
{
	int state = atomic_load(&c->state);

	for (;;) {
		int next = state == IDLE ? BUSY : BUSY_AGAIN;

		if (state == FREE || state == BUSY_AGAIN)
			return false;
		if (!atomic_compare_exchange_weak(&c->state, &state, next))
			continue;
		if (next == BUSY)
			c->thorough = (events & ~(uint32_t)EPOLLIN) != 0;
		return next == BUSY;
	}
}

bool conn_set_release(struct connection *c, int64_t due_us)
{
	int state = BUSY;

	atomic_store(&c->due_us, due_us);
	if (atomic_compare_exchange_strong(&c->state, &state, IDLE))
		return true;
	CHECK(state == BUSY_AGAIN);
	atomic_store(&c->state, BUSY);
	c->thorough = true; /* the flags of the event are not remembered */
	return false;
}

static int connection_watch(struct conn_set *set, struct connection *c, int operation)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = c};

	return epoll_ctl(set->epoll, operation, c->fd, &event);
}

/* Releases c; events that came meanwhile are reported again. */
void conn_set_requeue(struct conn_set *set, struct connection *c, int64_t due_us)
{
	while (!conn_set_release(c, due_us))
		CHECK(connection_watch(set, c, EPOLL_CTL_MOD) == 0);
}

void conn_set_close(struct conn_set *set, struct connection *c)
{
	conn_set_ungather(set, c, c->pending.length);
	place_give(set, c);
}

/* True if the socket has no unread bytes: if it has some, octroi is slow, not the peer.  Unless bytes are gathered
 * already, waits for some until hearing_ms after received_us, so that the peer has time to write. */
static bool heard_out(const struct connection *c, int64_t hearing_ms)
{
	const int64_t left_ms = hearing_ms - (clock_monotonic_us() - c->received_us) / CLOCK_US_PER_MS;
	struct pollfd p = {.fd = c->fd, .events = POLLIN};

	return poll(&p, 1, c->pending.length == 0 && left_ms > 0 ? (int)left_ms : 0) == 0;
}

/* Takes the oldest unproven connection that no thread has taken and that was heard out.  After SKIPPED_MAX that were
 * not, takes the next one all the same, to end the search.  NULL when there is none. */
static struct connection *unproven_take(struct conn_set *set, int64_t hearing_ms)
{
	struct connection *c, *next;
	int skipped = 0;

	lock_take(&set->lock);
	for (c = set->oldest; c != NULL; c = next) {
		int state = IDLE;

		next = c->younger;
		if (!atomic_compare_exchange_strong(&c->state, &state, BUSY))
			continue;
		if (c->served) {
			unproven_remove(set, c);
		} else {
			bool cut;

			lock_give(&set->lock);
			cut = skipped++ >= SKIPPED_MAX || heard_out(c, hearing_ms);
			lock_take(&set->lock);
			if (cut)
				break;
			next = c->younger; /* c is still listed, and no other thread's */
		}
		conn_set_requeue(set, c, atomic_load(&c->due_us));
	}
	if (c != NULL)
		unproven_remove(set, c);
	lock_give(&set->lock);
	return c;
}

/* Closes the connection that unproven_take finds; false when there is none. */
static bool unproven_cut(struct conn_set *set, int64_t hearing_ms)
{
	struct connection *c = unproven_take(set, hearing_ms);

	if (c == NULL)
		return false;
	atomic_fetch_add(&set->timed_out, 1);
	conn_set_close(set, c);
	return true;
}

bool conn_set_gather(struct conn_set *set, struct connection *c, const unsigned char *bytes, size_t length)
{
	size_t before = c->pending.capacity;

	buf_add(&c->pending, bytes, length);
	atomic_fetch_add(&set->gathered, c->pending.capacity - before);
	while (atomic_load(&set->gathered) > GATHERED_MAX && unproven_cut(set, 0))
		;
	return buf_ok(&c->pending) && atomic_load(&set->gathered) <= GATHERED_MAX;
}

void conn_set_ungather(struct conn_set *set, struct connection *c, size_t length)
{
	struct buf *p = &c->pending;

	CHECK(length <= p->length);
	if (length < p->length) {
		memmove(p->data, p->data + length, p->length - length);
		p->length -= length;
		return;
	}
	atomic_fetch_sub(&set->gathered, p->capacity);
	buf_free(p);
}

static void accept_complain(struct conn_set *set, int error)
{
	const int64_t now_us = clock_monotonic_us();
	int64_t last_us = atomic_load(&set->complained_us);

	if (now_us - last_us >= CLOCK_US_PER_SECOND &&
	    atomic_compare_exchange_strong(&set->complained_us, &last_us, now_us))
		log_event(LOG_LEVEL_ERROR, "accept_failed", LOG_TEXT("error", strerror(error)));
}

static void connection_begin(struct conn_set *set, struct connection *c, int fd, const struct listener *listener)
{
	struct timeval timeout = {.tv_sec = set->send_timeout_ms / 1000, .tv_usec = set->send_timeout_ms % 1000 * 1000};
	int on = 1;

	lock_take(&set->lock);
	c->fd = fd;
	unproven_add(set, c);
	lock_give(&set->lock);
	c->listener = listener->kind;
	c->served = false;
	c->skipping = false;
	c->discarding = false;
	c->discarded = 0;
	c->received_us = clock_monotonic_us();
	buf_init(&c->pending, CONN_SET_GATHER_MAX * 2);
	/* Reading never blocks (MSG_DONTWAIT).  libfcgi needs writes that block; the timeout bounds them. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* fails on unix sockets */
	if (connection_watch(set, c, EPOLL_CTL_ADD) < 0) {
		accept_complain(set, errno);
		conn_set_close(set, c);
		return;
	}
	atomic_fetch_add(&set->accepted, 1);
	conn_set_requeue(set, c, c->received_us + set->idle_timeout_ms * CLOCK_US_PER_MS);
}

/* True if accept may simply be tried again. */
static bool accept_passing(int error)
{
	return error == EINTR || error == ECONNABORTED || error == EPROTO;
}

static void accept_failed(struct conn_set *set, int error)
{
	accept_complain(set, error);
	lock_take(&set->lock);
	set->paused = true; /* until a descriptor is free, or the reaper tries again */
	lock_give(&set->lock);
}

/* True if a connection waits to be accepted.  Without one, no unproven connection is cut. */
static bool listener_waiting(const struct listener *listener)
{
	struct pollfd p = {.fd = listener->fd, .events = POLLIN};

	return poll(&p, 1, 0) > 0;
}

/* Makes room by cutting an unproven connection.  False when there is none, or when another worker does so already;
 * that worker goes on accepting. */
static bool unproven_make_room(struct conn_set *set)
{
	bool cut;

	if (atomic_exchange(&set->hearing, true))
		return false;
	cut = unproven_cut(set, HEARING_MS);
	atomic_store(&set->hearing, false);
	return cut;
}

static void listener_accept(struct conn_set *set, const struct listener *listener)
{
	while (!atomic_load(&set->draining)) {
		struct connection *c = place_take(set);
		int fd = c != NULL ? accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC) : -1;
		int error = errno;

		if (c == NULL && listener_waiting(listener) && unproven_make_room(set))
			continue;
		if (c == NULL)
			return;
		if (fd >= 0) {
			connection_begin(set, c, fd, listener);
			continue;
		}
		place_give(set, c);
		if (accept_passing(error))
			continue;
		if (error != EAGAIN && error != EWOULDBLOCK)
			accept_failed(set, error);
		return;
	}
}

/* Waits for a connection's event and takes the connection; accepts connections meanwhile.  NULL after conn_set_quit. */
static struct connection *wait_inside(struct conn_set *set)
{
	for (;;) {
		struct epoll_event event;
		int count = epoll_wait(set->epoll, &event, 1, -1);

		if (count <= 0) {
			CHECK(count == 0 || errno == EINTR);
			continue;
		}
		if (event.data.ptr == &set->wake)
			return NULL;
		if (event.data.ptr == &set->listeners[0] || event.data.ptr == &set->listeners[1]) {
			listener_accept(set, event.data.ptr);
			continue;
		}
		if (connection_take(event.data.ptr, event.events))
			return event.data.ptr;
	}
}

struct connection *conn_set_wait(struct conn_set *set)
{
	struct connection *c;

	concurrency_gate_enter(&set->gate);
	c = wait_inside(set);
	if (c == NULL)
		concurrency_gate_open(&set->gate);
	concurrency_gate_leave(&set->gate);
	return c;
}

/* Closes an overdue connection that is idle.  Cuts one that is taken: its worker is stuck in a write. */
static void reap_one(struct conn_set *set, struct connection *c, int64_t now_us)
{
	int64_t due_us = atomic_load(&c->due_us);
	int state = IDLE;

	if (due_us > now_us)
		return;
	if (atomic_compare_exchange_strong(&c->state, &state, BUSY)) {
		due_us = atomic_load(&c->due_us);
		if (due_us > now_us) {
			conn_set_requeue(set, c, due_us);
			return;
		}
		if (c->pending.length > 0)
			atomic_fetch_add(&set->timed_out, 1);
		conn_set_close(set, c);
		return;
	}
	if (state == FREE || !atomic_compare_exchange_strong(&c->due_us, &due_us, INT64_MAX))
		return;
	atomic_fetch_add(&set->timed_out, 1);
	lock_take(&set->lock);
	if (c->fd >= 0)
		(void)shutdown(c->fd, SHUT_RDWR);
	lock_give(&set->lock);
}

static int places_touched(struct conn_set *set)
{
	int touched;

	lock_take(&set->lock);
	touched = set->touched;
	lock_give(&set->lock);
	return touched;
}

void conn_set_reap(struct conn_set *set)
{
	int64_t now_us = clock_monotonic_us();
	int touched = places_touched(set);
	bool resume;

	for (int i = 0; i < touched; i++)
		reap_one(set, &set->connections[i], now_us);
	lock_take(&set->lock);
	resume = set->paused && set->open < set->connections_max;
	if (resume)
		set->paused = false;
	lock_give(&set->lock);
	if (resume)
		listeners_resume(set);
}

void conn_set_drain(struct conn_set *set)
{
	atomic_store(&set->draining, true);
	for (int i = 0; i < 2; i++)
		(void)listener_watch(set, &set->listeners[i], EPOLL_CTL_DEL);
}

bool conn_set_draining(const struct conn_set *set)
{
	return atomic_load(&set->draining);
}

/* Closes an idle connection for reading only.  Bytes that its peer has sent by now are still answered.  Bytes sent
 * later fail at the peer, which then knows that they were not received. */
static void sweep_one(struct conn_set *set, struct connection *c, int64_t now_us)
{
	int state = IDLE;

	if (!atomic_compare_exchange_strong(&c->state, &state, BUSY))
		return;
	if (c->pending.length == 0 && (c->served || now_us - c->received_us >= FIRST_REQUEST_US))
		(void)shutdown(c->fd, SHUT_RD); /* wakes a worker, which reads to the end */
	conn_set_requeue(set, c, atomic_load(&c->due_us));
}

bool conn_set_empty_until(struct conn_set *set, int64_t deadline_us)
{
	for (;;) {
		int64_t now_us = clock_monotonic_us();
		int64_t next_us = now_us + SWEEP_US < deadline_us ? now_us + SWEEP_US : deadline_us;
		int touched = places_touched(set);
		bool empty;

		for (int i = 0; i < touched; i++)
			sweep_one(set, &set->connections[i], now_us);
		lock_take(&set->lock);
		while (set->open > 0 && cond_wait_until(&set->empty, &set->lock, next_us))
			;
		empty = set->open == 0;
		lock_give(&set->lock);
		if (empty || now_us >= deadline_us)
			return empty;
	}
}

void conn_set_quit(struct conn_set *set)
{
	uint64_t one = 1;
	int touched = places_touched(set);

	lock_take(&set->lock);
	for (int i = 0; i < touched; i++)
		if (set->connections[i].fd >= 0)
			(void)shutdown(set->connections[i].fd, SHUT_RDWR);
	lock_give(&set->lock);
	CHECK(write(set->wake, &one, sizeof(one)) == (ssize_t)sizeof(one));
}

void conn_set_count(struct conn_set *set, struct edge_counts *counts)
{
	lock_take(&set->lock);
	counts->connections = set->open;
	lock_give(&set->lock);
	counts->accepted = atomic_load(&set->accepted);
	counts->timed_out = atomic_load(&set->timed_out);
}
