#define _GNU_SOURCE
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
#define NEWCOMER_US (500 * CLOCK_US_PER_MS)
#define SWEEP_US (50 * CLOCK_US_PER_MS)
/* Limit of strangers that are passed over because bytes of theirs are still unread. */
#define PASSED_MAX 32
/* A web server connects first and writes then: a stranger has that long to write before it is cut to make room. */
#define HEARING_MS 20
/* Limits of the threads that wait for events at once.  No more can run than there are processors.  But while one
 * waits for a stranger to write, another has to be there. */
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

struct door {
	int fd; /* -1: not there */
	enum request_listener listener;
};

struct lobby {
	/* unchanged after lobby_new */
	int epoll;
	int wake; /* eventfd, readable once the lobby quits */
	struct door doors[2];
	int connections_max;
	int64_t send_timeout_ms;
	int64_t idle_timeout_ms;
	struct connection *connections; /* connections_max places, touched in order */
	atomic_bool draining;
	atomic_bool hearing; /* a worker waits for a stranger to write */
	_Atomic int64_t accepted, timed_out;
	_Atomic size_t gathered;
	_Atomic int64_t complained_us; /* accept's last error; another within a second is not logged */
	struct turnstile turnstile;
	/* under the lock */
	struct lock lock;
	struct signal_cond empty;
	struct connection *free;
	/* Strangers, in the order in which they came.  A served connection leaves when it closes or stranger_take
	 * finds it. */
	struct connection *oldest, *youngest;
	int touched; /* places ever used */
	int open;
	bool closed_doors; /* full, or out of descriptors */
};

static int door_watch(struct lobby *L, struct door *door, int operation)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = door};

	if (door->fd < 0)
		return 0;
	return epoll_ctl(L->epoll, operation, door->fd, &event);
}

/* Edge-triggered sockets report again after this, if a connection still waits to be accepted. */
static void doors_open(struct lobby *L)
{
	if (atomic_load(&L->draining))
		return;
	for (int i = 0; i < 2; i++)
		(void)door_watch(L, &L->doors[i], EPOLL_CTL_MOD);
}

static int doors_init(struct lobby *L, const struct lobby_options *options)
{
	L->doors[0] = (struct door){options->public_fd, LISTENER_PUBLIC};
	L->doors[1] = (struct door){options->internal_fd, LISTENER_INTERNAL};
	for (int i = 0; i < 2; i++) {
		int flags = L->doors[i].fd >= 0 ? fcntl(L->doors[i].fd, F_GETFL) : 0;

		if (L->doors[i].fd < 0)
			continue;
		if (flags < 0 || fcntl(L->doors[i].fd, F_SETFL, flags | O_NONBLOCK) < 0)
			return -1;
		if (door_watch(L, &L->doors[i], EPOLL_CTL_ADD) < 0)
			return -1;
	}
	return 0;
}

static int lobby_init(struct lobby *L, const struct lobby_options *options)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = &L->wake};

	L->connections = calloc((size_t)options->connections_max, sizeof(*L->connections));
	if (L->connections == NULL)
		return -1;
	L->epoll = epoll_create1(EPOLL_CLOEXEC);
	L->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (L->epoll < 0 || L->wake < 0)
		return -1;
	if (epoll_ctl(L->epoll, EPOLL_CTL_ADD, L->wake, &event) < 0)
		return -1;
	return doors_init(L, options);
}

static int waiting_max(void)
{
	const long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (processors < WAITING_MIN)
		return WAITING_MIN;
	return processors < WAITING_MAX ? (int)processors : WAITING_MAX;
}

struct lobby *lobby_new(const struct lobby_options *options)
{
	struct lobby *L = calloc(1, sizeof(*L));

	CHECK(options->connections_max > 0);
	if (L == NULL)
		goto fail;
	L->epoll = L->wake = -1;
	L->connections_max = options->connections_max;
	L->send_timeout_ms = options->send_timeout_ms;
	L->idle_timeout_ms = options->idle_timeout_ms;
	lock_init(&L->lock);
	cond_init(&L->empty);
	turnstile_init(&L->turnstile, waiting_max());
	if (lobby_init(L, options) == 0)
		return L;
fail:
	log_event(LOG_LEVEL_ERROR, "lobby_failed", LOG_TEXT("error", strerror(errno)));
	lobby_free(L);
	return NULL;
}

void lobby_free(struct lobby *L)
{
	if (L == NULL)
		return;
	for (int i = 0; i < L->touched; i++) {
		struct connection *c = &L->connections[i];

		if (atomic_load(&c->state) == FREE)
			continue;
		close(c->fd);
		buf_free(&c->pending);
	}
	/* The doors stay open for their owner; the epoll set must not outlive them. */
	if (L->epoll >= 0)
		close(L->epoll);
	if (L->wake >= 0)
		close(L->wake);
	free(L->connections);
	turnstile_destroy(&L->turnstile);
	cond_destroy(&L->empty);
	lock_destroy(&L->lock);
	free(L);
}

static void stranger_add(struct lobby *L, struct connection *c)
{
	lock_assert_held(&L->lock);
	c->stranger = true;
	c->younger = NULL;
	c->older = L->youngest;
	*(L->youngest != NULL ? &L->youngest->younger : &L->oldest) = c;
	L->youngest = c;
}

static void stranger_remove(struct lobby *L, struct connection *c)
{
	lock_assert_held(&L->lock);
	if (!c->stranger)
		return;
	c->stranger = false;
	*(c->older != NULL ? &c->older->younger : &L->oldest) = c->younger;
	*(c->younger != NULL ? &c->younger->older : &L->youngest) = c->older;
}

/* Takes a place, BUSY.  NULL when all are taken: the doors then stay closed until one is free. */
static struct connection *place_take(struct lobby *L)
{
	struct connection *c;

	lock_take(&L->lock);
	c = L->free;
	if (c != NULL)
		L->free = c->next_free;
	else if (L->touched < L->connections_max)
		c = &L->connections[L->touched++];
	else
		L->closed_doors = true;
	if (c != NULL) {
		c->fd = -1;
		L->open++;
		atomic_store(&c->due_us, INT64_MAX); /* not yet for the reaper */
		atomic_store(&c->state, BUSY);
	}
	lock_give(&L->lock);
	return c;
}

/* Gives a place back.  Closes its descriptor under the lock: c->fd, read under the lock, thus never names another
 * file. */
static void place_give(struct lobby *L, struct connection *c)
{
	bool open_doors;

	lock_take(&L->lock);
	CHECK(L->open > 0 && atomic_load(&c->state) >= BUSY);
	stranger_remove(L, c);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	atomic_store(&c->state, FREE);
	c->next_free = L->free;
	L->free = c;
	L->open--;
	open_doors = L->closed_doors;
	L->closed_doors = false;
	if (L->open == 0)
		cond_broadcast(&L->empty);
	lock_give(&L->lock);
	if (open_doors)
		doors_open(L);
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

bool lobby_release(struct connection *c, int64_t due_us)
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

static int connection_watch(struct lobby *L, struct connection *c, int operation)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = c};

	return epoll_ctl(L->epoll, operation, c->fd, &event);
}

/* Releases c; events that came meanwhile are reported again. */
void lobby_requeue(struct lobby *L, struct connection *c, int64_t due_us)
{
	while (!lobby_release(c, due_us))
		CHECK(connection_watch(L, c, EPOLL_CTL_MOD) == 0);
}

void lobby_close(struct lobby *L, struct connection *c)
{
	lobby_ungather(L, c, c->pending.length);
	place_give(L, c);
}

/* True if the socket has no unread bytes: if it has some, octroi is slow, not the peer.  Unless bytes are gathered
 * already, waits for some until hearing_ms after received_us, so that the peer has time to write. */
static bool heard_out(const struct connection *c, int64_t hearing_ms)
{
	const int64_t left_ms = hearing_ms - (clock_monotonic_us() - c->received_us) / CLOCK_US_PER_MS;
	struct pollfd p = {.fd = c->fd, .events = POLLIN};

	return poll(&p, 1, c->pending.length == 0 && left_ms > 0 ? (int)left_ms : 0) == 0;
}

/* Takes the oldest stranger that no thread has taken and that was heard out.  After PASSED_MAX strangers that were
 * not, takes the next one all the same, to end the search.  NULL when there is none. */
static struct connection *stranger_take(struct lobby *L, int64_t hearing_ms)
{
	struct connection *c, *next;
	int passed = 0;

	lock_take(&L->lock);
	for (c = L->oldest; c != NULL; c = next) {
		int state = IDLE;

		next = c->younger;
		if (!atomic_compare_exchange_strong(&c->state, &state, BUSY))
			continue;
		if (c->served) {
			stranger_remove(L, c);
		} else {
			bool cut;

			lock_give(&L->lock);
			cut = passed++ >= PASSED_MAX || heard_out(c, hearing_ms);
			lock_take(&L->lock);
			if (cut)
				break;
			next = c->younger; /* c is still listed, and no other thread's */
		}
		lobby_requeue(L, c, atomic_load(&c->due_us));
	}
	if (c != NULL)
		stranger_remove(L, c);
	lock_give(&L->lock);
	return c;
}

/* Closes the stranger that stranger_take finds; false when there is none. */
static bool stranger_cut(struct lobby *L, int64_t hearing_ms)
{
	struct connection *c = stranger_take(L, hearing_ms);

	if (c == NULL)
		return false;
	atomic_fetch_add(&L->timed_out, 1);
	lobby_close(L, c);
	return true;
}

bool lobby_gather(struct lobby *L, struct connection *c, const unsigned char *bytes, size_t length)
{
	size_t before = c->pending.capacity;

	buf_add(&c->pending, bytes, length);
	atomic_fetch_add(&L->gathered, c->pending.capacity - before);
	while (atomic_load(&L->gathered) > GATHERED_MAX && stranger_cut(L, 0))
		;
	return buf_ok(&c->pending) && atomic_load(&L->gathered) <= GATHERED_MAX;
}

void lobby_ungather(struct lobby *L, struct connection *c, size_t length)
{
	struct buf *p = &c->pending;

	CHECK(length <= p->length);
	if (length < p->length) {
		memmove(p->data, p->data + length, p->length - length);
		p->length -= length;
		return;
	}
	atomic_fetch_sub(&L->gathered, p->capacity);
	buf_free(p);
}

static void accept_complain(struct lobby *L, int error)
{
	const int64_t now_us = clock_monotonic_us();
	int64_t last_us = atomic_load(&L->complained_us);

	if (now_us - last_us >= CLOCK_US_PER_SECOND &&
	    atomic_compare_exchange_strong(&L->complained_us, &last_us, now_us))
		log_event(LOG_LEVEL_ERROR, "accept_failed", LOG_TEXT("error", strerror(error)));
}

static void connection_begin(struct lobby *L, struct connection *c, int fd, const struct door *door)
{
	struct timeval timeout = {.tv_sec = L->send_timeout_ms / 1000,
	                          .tv_usec = L->send_timeout_ms % 1000 * 1000};
	int on = 1;

	lock_take(&L->lock);
	c->fd = fd;
	stranger_add(L, c);
	lock_give(&L->lock);
	c->listener = door->listener;
	c->served = false;
	c->swallowing = false;
	c->discarding = false;
	c->discarded = 0;
	c->received_us = clock_monotonic_us();
	buf_init(&c->pending, LOBBY_GATHER_MAX * 2);
	/* Reading never blocks (MSG_DONTWAIT).  libfcgi needs writes that block; the timeout bounds them. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* fails on unix sockets */
	if (connection_watch(L, c, EPOLL_CTL_ADD) < 0) {
		accept_complain(L, errno);
		lobby_close(L, c);
		return;
	}
	atomic_fetch_add(&L->accepted, 1);
	lobby_requeue(L, c, c->received_us + L->idle_timeout_ms * CLOCK_US_PER_MS);
}

/* True if accept may simply be tried again. */
static bool accept_passing(int error)
{
	return error == EINTR || error == ECONNABORTED || error == EPROTO;
}

static void accept_failed(struct lobby *L, int error)
{
	accept_complain(L, error);
	lock_take(&L->lock);
	L->closed_doors = true; /* until a descriptor is free, or the reaper tries again */
	lock_give(&L->lock);
}

/* True if a connection waits to be accepted.  Without one, no stranger is cut. */
static bool door_waiting(const struct door *door)
{
	struct pollfd p = {.fd = door->fd, .events = POLLIN};

	return poll(&p, 1, 0) > 0;
}

/* Makes room by cutting a stranger.  False when there is none, or when another worker does so already; that worker
 * goes on accepting. */
static bool door_clear(struct lobby *L)
{
	bool cut;

	if (atomic_exchange(&L->hearing, true))
		return false;
	cut = stranger_cut(L, HEARING_MS);
	atomic_store(&L->hearing, false);
	return cut;
}

static void door_accept(struct lobby *L, const struct door *door)
{
	while (!atomic_load(&L->draining)) {
		struct connection *c = place_take(L);
		int fd = c != NULL ? accept4(door->fd, NULL, NULL, SOCK_CLOEXEC) : -1;
		int error = errno;

		if (c == NULL && door_waiting(door) && door_clear(L))
			continue;
		if (c == NULL)
			return;
		if (fd >= 0) {
			connection_begin(L, c, fd, door);
			continue;
		}
		place_give(L, c);
		if (accept_passing(error))
			continue;
		if (error != EAGAIN && error != EWOULDBLOCK)
			accept_failed(L, error);
		return;
	}
}

/* Waits for a connection's event and takes the connection; accepts connections meanwhile.  NULL after lobby_quit. */
static struct connection *wait_inside(struct lobby *L)
{
	for (;;) {
		struct epoll_event event;
		int count = epoll_wait(L->epoll, &event, 1, -1);

		if (count <= 0) {
			CHECK(count == 0 || errno == EINTR);
			continue;
		}
		if (event.data.ptr == &L->wake)
			return NULL;
		if (event.data.ptr == &L->doors[0] || event.data.ptr == &L->doors[1]) {
			door_accept(L, event.data.ptr);
			continue;
		}
		if (connection_take(event.data.ptr, event.events))
			return event.data.ptr;
	}
}

struct connection *lobby_wait(struct lobby *L)
{
	struct connection *c;

	turnstile_enter(&L->turnstile);
	c = wait_inside(L);
	if (c == NULL)
		turnstile_open(&L->turnstile);
	turnstile_leave(&L->turnstile);
	return c;
}

/* Closes an overdue connection that is idle.  Cuts one that is taken: its worker is stuck in a write. */
static void reap_one(struct lobby *L, struct connection *c, int64_t now_us)
{
	int64_t due_us = atomic_load(&c->due_us);
	int state = IDLE;

	if (due_us > now_us)
		return;
	if (atomic_compare_exchange_strong(&c->state, &state, BUSY)) {
		due_us = atomic_load(&c->due_us);
		if (due_us > now_us) {
			lobby_requeue(L, c, due_us);
			return;
		}
		if (c->pending.length > 0)
			atomic_fetch_add(&L->timed_out, 1);
		lobby_close(L, c);
		return;
	}
	if (state == FREE || !atomic_compare_exchange_strong(&c->due_us, &due_us, INT64_MAX))
		return;
	atomic_fetch_add(&L->timed_out, 1);
	lock_take(&L->lock);
	if (c->fd >= 0)
		(void)shutdown(c->fd, SHUT_RDWR);
	lock_give(&L->lock);
}

static int places_touched(struct lobby *L)
{
	int touched;

	lock_take(&L->lock);
	touched = L->touched;
	lock_give(&L->lock);
	return touched;
}

void lobby_reap(struct lobby *L)
{
	int64_t now_us = clock_monotonic_us();
	int touched = places_touched(L);
	bool open_doors;

	for (int i = 0; i < touched; i++)
		reap_one(L, &L->connections[i], now_us);
	lock_take(&L->lock);
	open_doors = L->closed_doors && L->open < L->connections_max;
	if (open_doors)
		L->closed_doors = false;
	lock_give(&L->lock);
	if (open_doors)
		doors_open(L);
}

void lobby_drain(struct lobby *L)
{
	atomic_store(&L->draining, true);
	for (int i = 0; i < 2; i++)
		(void)door_watch(L, &L->doors[i], EPOLL_CTL_DEL);
}

bool lobby_draining(const struct lobby *L)
{
	return atomic_load(&L->draining);
}

/* Closes an idle connection for reading only.  Bytes that its peer has sent by now are still answered.  Bytes sent
 * later fail at the peer, which then knows that they were not received. */
static void sweep_one(struct lobby *L, struct connection *c, int64_t now_us)
{
	int state = IDLE;

	if (!atomic_compare_exchange_strong(&c->state, &state, BUSY))
		return;
	if (c->pending.length == 0 && (c->served || now_us - c->received_us >= NEWCOMER_US))
		(void)shutdown(c->fd, SHUT_RD); /* wakes a worker, which reads to the end */
	lobby_requeue(L, c, atomic_load(&c->due_us));
}

bool lobby_empty_until(struct lobby *L, int64_t deadline_us)
{
	for (;;) {
		int64_t now_us = clock_monotonic_us();
		int64_t next_us = now_us + SWEEP_US < deadline_us ? now_us + SWEEP_US : deadline_us;
		int touched = places_touched(L);
		bool empty;

		for (int i = 0; i < touched; i++)
			sweep_one(L, &L->connections[i], now_us);
		lock_take(&L->lock);
		while (L->open > 0 && cond_wait_until(&L->empty, &L->lock, next_us))
			;
		empty = L->open == 0;
		lock_give(&L->lock);
		if (empty || now_us >= deadline_us)
			return empty;
	}
}

void lobby_quit(struct lobby *L)
{
	uint64_t one = 1;
	int touched = places_touched(L);

	lock_take(&L->lock);
	for (int i = 0; i < touched; i++)
		if (L->connections[i].fd >= 0)
			(void)shutdown(L->connections[i].fd, SHUT_RDWR);
	lock_give(&L->lock);
	CHECK(write(L->wake, &one, sizeof(one)) == (ssize_t)sizeof(one));
}

void lobby_count(struct lobby *L, struct edge_counts *counts)
{
	lock_take(&L->lock);
	counts->connections = L->open;
	lock_give(&L->lock);
	counts->accepted = atomic_load(&L->accepted);
	counts->timed_out = atomic_load(&L->timed_out);
}
