/*
 * options: the edge's options at its start (its sockets, its limits, its handler), and its counts.
 */
#ifndef OCTROI_EDGE_OPTIONS_H
#define OCTROI_EDGE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "edge/request.h"
#include "edge/response.h"

/* Answers one request; called on a worker thread, several at a time.  EDGE_ANSWERED: it has filled in the response.
 * EDGE_LATER, only where request->exchange is not NULL: it keeps request and response for a thread that waits for
 * nothing.  That thread calls edge_resume once the response is there, perhaps before the handler returns. */
enum edge_result { EDGE_ANSWERED, EDGE_LATER };
typedef enum edge_result edge_handler(void *context, const struct request *request, struct response *response);

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

/* For metrics. */
struct edge_counts {
	int64_t connections; /* open now */
	int64_t accepted, served, refused, timed_out;
};

#endif
