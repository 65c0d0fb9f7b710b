/*
 * edge: FastCGI connections in, answers out.  Knows HTTP, not money.
 *
 * The conn_set is one epoll set that holds the listening sockets and every kept-alive connection.  Workers wait in it,
 * so an idle connection costs a descriptor and never a thread.  A worker that is woken for a connection looks at the
 * waiting bytes (frame.h) and serves it only when a whole request is there.
 */
#ifndef OCTROI_EDGE_EDGE_H
#define OCTROI_EDGE_EDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "edge/options.h"

struct edge;

/* Writes the answer of a request that was left for later, and gives up request and response.  Any thread.  Never
 * waits for the peer: a peer that takes no answers is cut. */
void edge_resume(const struct request *request);

/* Starts the workers.  NULL, logged, when something outside failed.  The sockets stay the caller's. */
struct edge *edge_start(const struct edge_options *options);
/* Accepts no more connections, answers the requests that have come, and joins the workers.  Returns after at most
 * timeout_ms; connections that are left are cut.  Never shuts a listening socket down: systemd may own it.  False
 * when a worker is still in the handler, or a request is still left for later: then nothing that the handler uses
 * may be freed. */
bool edge_drain(struct edge *e, int64_t timeout_ms);
/* After edge_drain; does nothing if edge_drain returned false.  NULL is harmless. */
void edge_free(struct edge *e);

/* Housekeeping, about once a second from one thread: closes overdue connections. */
void edge_reap(struct edge *e);

/* A listening socket for "unix:/path" (mode 0660, a stale socket file is replaced, a live one is not)
 * or "127.0.0.1:port" / "[::1]:port" (loopback only).  The descriptor, or -1, logged. */
int edge_listen(const char *address);

void edge_count(struct edge *e, struct edge_counts *counts);

#endif
