/*
 * lobby: where connections wait.  One epoll set holds the listening sockets (the doors) and every connection, each
 * registered once and edge-triggered.  The workers wait in it themselves: no thread hands work to another, and an idle
 * connection costs a descriptor and about 150 bytes.
 *
 * Only the thread that took a connection touches it: lobby_wait takes one, lobby_release or lobby_close gives it back.
 * An event that comes meanwhile is remembered: it is not lost, and not served twice.
 *
 * A connection over which no whole request has come is a stranger.  When all places are taken, or too many bytes are
 * gathered, the oldest stranger is cut.  So strangers keep no other connection out, however many there are.
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
#define LOBBY_GATHER_MAX ((size_t)256 * 1024)

struct lobby;

struct connection {
	_Atomic int state; /* the lobby's */
	/* Time from which the reaper may close it (idle) or cut it (taken); set by the thread that took it. */
	_Atomic int64_t due_us;
	/* For the thread that took it. */
	int fd; /* changed under the lobby's lock */
	enum request_listener listener;
	bool served;     /* at least one request */
	bool thorough;   /* its peer may have closed it, so a short read does not mean that all is read */
	bool swallowing; /* its body is too big: pending is the request's beginning, walk seeks its end */
	bool discarding; /* answered before its end: further bytes are read and dropped */
	size_t discarded; /* bytes, while swallowing or discarding */
	struct frame_walk walk;
	int64_t received_us; /* first byte of the request that is coming */
	struct buf pending;  /* bytes of it so far, by lobby_gather only */
	/* The lobby's lock. */
	struct connection *next_free;
	struct connection *older, *younger; /* among strangers, where stranger is set */
	bool stranger;
};

struct lobby_options {
	int public_fd, internal_fd; /* listening sockets, or -1; made non-blocking */
	int connections_max;
	int64_t send_timeout_ms; /* of one write that the peer does not take */
	int64_t idle_timeout_ms;
};

/* NULL, logged, when something outside failed. */
struct lobby *lobby_new(const struct lobby_options *options);
/* Closes the connections that are still open; no thread may be in the lobby.  NULL is harmless. */
void lobby_free(struct lobby *L);

/* Waits until bytes have come over a connection, and takes it; accepts connections meanwhile.  NULL after
 * lobby_quit. */
struct connection *lobby_wait(struct lobby *L);
/* Gives c back.  False: an event came meanwhile, so c is still the caller's, to be looked at again. */
bool lobby_release(struct connection *c, int64_t due_us);
/* Gives c back; if an event came meanwhile, a worker looks at c. */
void lobby_requeue(struct lobby *L, struct connection *c, int64_t due_us);
/* Closes c; the caller no longer has it. */
void lobby_close(struct lobby *L, struct connection *c);

/* Keeps bytes of a request that is not whole; false when the bytes of all connections together are too many. */
bool lobby_gather(struct lobby *L, struct connection *c, const unsigned char *bytes, size_t length);
/* Forgets the first length bytes that were gathered. */
void lobby_ungather(struct lobby *L, struct connection *c, size_t length);

/* Closes idle connections that are overdue, cuts taken ones, and opens the doors again after a
 * shortage of descriptors.  Any thread but a worker. */
void lobby_reap(struct lobby *L);

/* From now on no connection is accepted, and every connection is closed as soon as it is answered. */
void lobby_drain(struct lobby *L);
bool lobby_draining(const struct lobby *L);
/* Waits for the last connection to close; false when the deadline came first. */
bool lobby_empty_until(struct lobby *L, int64_t deadline_us);
/* Cuts the open connections (workers that write to them fail) and lets every lobby_wait return NULL. */
void lobby_quit(struct lobby *L);

void lobby_count(struct lobby *L, struct edge_counts *counts);

#endif
