/*
 * lobby: where connections wait.  One epoll set holds the listening sockets (the doors) and every
 * connection, each registered once and edge-triggered, and the workers wait in it themselves: no
 * thread hands work to another, and an idle connection costs a descriptor and 100 bytes.
 *
 * Nobody touches a connection but who took it: lobby_wait takes one, lobby_release or lobby_close
 * gives it back.  What happens to it meanwhile is remembered, not lost and not served twice.
 *
 * A connection over which no whole request has come is a stranger.  When all places are taken, or too much
 * is gathered, the oldest stranger is cut: however many there are, they keep nobody out.
 */
#ifndef OCTROI_EDGE_LOBBY_H
#define OCTROI_EDGE_LOBBY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "edge/frame.h"
#include "edge/options.h"

/* A request that comes in pieces is gathered up to that: parameters, body and their framing. */
#define LOBBY_GATHER_MAX ((size_t)256 * 1024)

struct lobby;

struct connection {
	_Atomic int state; /* the lobby's */
	/* When the reaper may close it (idle) or cut it (taken); set by who took it. */
	_Atomic int64_t due_us;
	/* For who took it. */
	int fd; /* changed under the lobby's lock */
	enum request_listener listener;
	bool served;     /* at least one request */
	bool thorough;   /* its peer may have closed it, so a short read does not mean that all is read */
	bool swallowing; /* more than a body may be: pending is its beginning, the end is sought by walk */
	bool discarding; /* answered before its end: what still comes is read and dropped */
	size_t discarded; /* while swallowing or discarding */
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
/* Closes what is still open; no thread may be in the lobby.  NULL is harmless. */
void lobby_free(struct lobby *L);

/* Waits until something has come over a connection, and takes it; accepts connections by the way.
 * NULL after lobby_quit. */
struct connection *lobby_wait(struct lobby *L);
/* Gives it back.  False: something came meanwhile, so it is still the caller's, to be looked at again. */
bool lobby_release(struct connection *c, int64_t due_us);
/* Gives it back for a worker to look at, if something came meanwhile. */
void lobby_requeue(struct lobby *L, struct connection *c, int64_t due_us);
/* Closes it; the caller no longer has it. */
void lobby_close(struct lobby *L, struct connection *c);

/* Keeps bytes of a request that is not whole; false when all of them together have become too many. */
bool lobby_gather(struct lobby *L, struct connection *c, const unsigned char *bytes, size_t length);
/* Forgets the first bytes of what was gathered. */
void lobby_ungather(struct lobby *L, struct connection *c, size_t length);

/* Closes idle connections that are overdue, cuts taken ones, and opens the doors again after a
 * shortage of descriptors.  Any thread but a worker. */
void lobby_reap(struct lobby *L);

/* From now on no connection is accepted and every one is closed as soon as it is answered. */
void lobby_drain(struct lobby *L);
bool lobby_draining(const struct lobby *L);
/* Waits for the last connection to close; false when the deadline came first. */
bool lobby_empty_until(struct lobby *L, int64_t deadline_us);
/* Cuts what is open (workers that write to it fail) and lets every lobby_wait return NULL. */
void lobby_quit(struct lobby *L);

void lobby_count(struct lobby *L, struct edge_counts *counts);

#endif
