/*
 * request: a caller's request, already bounded and checked: no NUL, no duplicate security parameter, no look-alike of
 * a server parameter.  Everything lives in the request's arena until the request is answered.
 */
#ifndef OCTROI_EDGE_REQUEST_H
#define OCTROI_EDGE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

#define REQUEST_ID_MAX 64

struct exchange;

enum request_listener { LISTENER_PUBLIC, LISTENER_INTERNAL };

/* Reason why the edge already knows that the request cannot be served; the router renders it. */
enum request_defect {
	REQUEST_SOUND,
	REQUEST_DUPLICATE_PARAMETER,
	REQUEST_FORGED_PARAMETER, /* HTTP_ look-alike of a server parameter */
	REQUEST_BODY_TOO_BIG,
	REQUEST_BODY_SHORT, /* did not end at CONTENT_LENGTH */
	REQUEST_BAD_TARGET  /* path or query that does not decode, control character in a parameter */
};

struct request {
	struct arena *arena;
	enum request_listener listener;
	enum request_defect defect;
	char id[REQUEST_ID_MAX]; /* HTTP_X_REQUEST_ID, else OCTROI_REQUEST_ID, where well-formed; else made here */
	const char *method;      /* "GET" */
	const char *path;        /* decoded, begins with '/', "" when REQUEST_BAD_TARGET */
	const char *query;       /* raw, without '?', "" when none */
	const char *body;        /* never NULL */
	size_t body_length;
	const char *const *parameters; /* "NAME=value" of those listed, each once, NULL at the end */
	int64_t received_us;           /* clock_monotonic_us */
	int64_t deadline_us;           /* monotonic; an answer after that is worth nothing */
	struct exchange *exchange;     /* the edge's; NULL: the handler has to answer before it returns */
};

/* A FastCGI parameter's value, NULL when absent.  Only names that src/edge/parameters.def lists may be
 * asked for (anything else is a bug). */
const char *request_parameter(const struct request *r, const char *name);

/* First value of a query parameter, percent-decoded into the arena.  NULL when absent.  NULL with *bad set when it
 * is undecodable or the arena is exhausted; otherwise *bad is left alone. */
const char *request_query(const struct request *r, const char *name, bool *bad);

/* For the edge: fills in everything but arena, listener, times and exchange.  parameters: all of them, as they came.
 * body: NUL-terminated, in the arena; dropped when it is over FRAME_BODY_MAX.  The first fault in them becomes the
 * defect.  0, or -1 when the arena is exhausted. */
int request_build(struct request *r, const char *const *parameters, const char *body, size_t body_length);

#endif
