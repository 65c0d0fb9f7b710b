/*
 * conn_set: the set of all connections.  One epoll set holds the listening sockets (the listeners) and every
 * connection, each registered once and edge-triggered.  The workers wait in it themselves: no thread hands work to
 * another, and an idle connection costs a descriptor and about 150 bytes.
 *
 * Only the thread that took a connection touches it: conn_set_wait takes one, conn_set_release or conn_set_close gives
 * it back.  An event that comes meanwhile is remembered: it is not lost, and not served twice.
 *
 * A connection is unproven until a whole request has come over it.  When all places are taken, or too many bytes are
 * gathered, the oldest unproven connection is cut.  So unproven connections keep no other one out, however many there
 * are.
 */
#ifndef OCTROI_EDGE_CONN_SET_H
#define OCTROI_EDGE_CONN_SET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "edge/frame.h"
#include "edge/options.h"

/* Limit of the bytes that are gathered of a request that comes in pieces: parameters, body and their framing. */
#define CONN_SET_GATHER_MAX ((size_t)256 * 1024)

struct conn_set;

struct connection {
	_Atomic int state; /* for conn_set.c */
	/* Time from which the reaper may close it (idle) or cut it (taken); set by the thread that took it. */
	_Atomic int64_t due_us;
	/* For the thread that took it. */
	int fd; /* changed under the set's lock */
	enum request_listener listener;
	bool served;      /* at least one request */
	bool thorough;    /* its peer may have closed it, so a short read does not mean that all is read */
	bool skipping;    /* its body is too big: pending is the request's beginning, walk seeks its end */
	bool discarding;  /* answered before its end: further bytes are read and dropped */
	size_t discarded; /* bytes, while skipping or discarding */
	struct frame_walk walk;
	int64_t received_us; /* first byte of the request that is coming */
	struct buf pending;  /* bytes of it so far, by conn_set_gather only */
	/* Under the set's lock. */
	struct connection *next_free;
	struct connection *older, *younger; /* among unproven connections, where unproven is set */
	bool unproven;
};

struct conn_set_options {
	int public_fd, internal_fd; /* listening sockets, or -1; made non-blocking */
	int connections_max;
	int64_t send_timeout_ms; /* of one write that the peer does not take */
	int64_t idle_timeout_ms;
};

/* NULL, logged, when something outside failed. */
struct conn_set *conn_set_new(const struct conn_set_options *options);
/* Closes the connections that are still open; no thread may be in conn_set_wait.  NULL is harmless. */
void conn_set_free(struct conn_set *set);

/* Waits until bytes have come over a connection, and takes it; accepts connections meanwhile.  NULL after
 * conn_set_quit. */
struct connection *conn_set_wait(struct conn_set *set);
/* Gives c back.  False: an event came meanwhile, so c is still the caller's, to be looked at again. */
bool conn_set_release(struct connection *c, int64_t due_us);
/* Gives c back; if an event came meanwhile, a worker looks at c. */
void conn_set_requeue(struct conn_set *set, struct connection *c, int64_t due_us);
/* Closes c; the caller no longer has it. */
void conn_set_close(struct conn_set *set, struct connection *c);

/* Keeps bytes of a request that is not whole; false when the bytes of all connections together are too many. */
bool conn_set_gather(struct conn_set *set, struct connection *c, const unsigned char *bytes, size_t length);
/* Forgets the first length bytes that were gathered. */
void conn_set_ungather(struct conn_set *set, struct connection *c, size_t length);

/* Closes idle connections that are overdue, cuts taken ones, and accepts again after a shortage of descriptors.  Any
 * thread but a worker. */
void conn_set_reap(struct conn_set *set);

/* From now on no connection is accepted, and every connection is closed as soon as it is answered. */
void conn_set_drain(struct conn_set *set);
bool conn_set_draining(const struct conn_set *set);
/* Waits for the last connection to close; false when the deadline came first. */
bool conn_set_empty_until(struct conn_set *set, int64_t deadline_us);
/* Cuts the open connections (workers that write to them fail) and lets every conn_set_wait return NULL. */
void conn_set_quit(struct conn_set *set);

void conn_set_count(struct conn_set *set, struct edge_counts *counts);

#endif
