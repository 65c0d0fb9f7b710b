/*
 * edge: FastCGI connections in, answers out.  Knows HTTP, not money.
 *
 * The lobby is one epoll set that holds the listening sockets and every kept-alive connection; workers
 * wait in it, so an idle connection costs a descriptor and never a thread.  A worker that is woken for
 * a connection looks at the waiting bytes (frame.h) and serves it only when a whole request is there.
 */
#ifndef OCTROI_EDGE_EDGE_H
#define OCTROI_EDGE_EDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "edge/request.h"
#include "edge/response.h"

struct edge;

/* Answers one request; called on a worker thread, several at a time.  It fills in the response (EDGE_ANSWERED), or,
 * where request->exchange is not NULL, keeps request and response for somebody who waits for nothing and who calls
 * edge_resume once the response is there (EDGE_LATER); that may happen before it returns. */
enum edge_result { EDGE_ANSWERED, EDGE_LATER };
typedef enum edge_result edge_handler(void *context, const struct request *request, struct response *response);

/* Writes the answer of a request that was left for later, and gives request and response up.  Any thread; never
 * waits for the peer: one that takes no answers is cut. */
void edge_resume(const struct request *request);

struct edge_options {
	int public_fd;   /* listening socket, or -1 */
	int internal_fd; /* listening socket, or -1 */
	int threads;
	int connections_max;
	int64_t request_timeout_ms; /* from a request's first byte to its answer */
	int64_t overrun_ms;         /* for which the handler may be held up beyond that; then the connection is cut */
	int64_t idle_timeout_ms;    /* of a kept-alive connection; longer than nginx's 60 s */
	edge_handler *handler;
	void *context;
};

/* Starts the workers.  NULL, logged, when something outside failed.  The sockets stay the caller's. */
struct edge *edge_start(const struct edge_options *options);
/* Takes nothing new, answers what it has, joins the workers; returns after at most timeout_ms (then
 * connections are cut).  Never shuts a listening socket down: systemd may own it.  False when a worker
 * is still in the handler: then nothing that the handler uses may be freed. */
bool edge_drain(struct edge *e, int64_t timeout_ms);
/* After edge_drain; does nothing while a worker is left.  NULL is harmless. */
void edge_free(struct edge *e);

/* Housekeeping, about once a second from one thread: closes what is overdue. */
void edge_reap(struct edge *e);

/* A listening socket for "unix:/path" (mode 0660, a stale socket file is replaced, a live one is not)
 * or "127.0.0.1:port" / "[::1]:port" (loopback only).  The descriptor, or -1, logged. */
int edge_listen(const char *address);

/* For metrics. */
struct edge_counts {
	int64_t connections;  /* open now */
	int64_t accepted, served, refused, timed_out;
};
void edge_count(struct edge *e, struct edge_counts *counts);

#endif
