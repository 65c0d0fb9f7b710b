/*
 * exchange: one request and what is needed to answer it, wherever that happens.  A worker takes one for each request,
 * and gives it back with the answer; one that is left for later goes its own way.  Bounded at birth, and kept for the
 * next request: that takes the one that was given back last, so no more are in use, and in memory, than requests were
 * ever at once.
 */
#ifndef OCTROI_EDGE_EXCHANGE_H
#define OCTROI_EDGE_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "edge/fcgi.h"
#include "edge/lobby.h"
#include "edge/request.h"
#include "edge/response.h"

struct workers;

struct exchange {
	struct request request;
	struct response response;
	struct connection *connection;
	struct workers *workers; /* of one that is left for later */
	struct fcgi *fcgi;
	struct arena *arena;
	struct buf answer;       /* the response as it goes out */
	/* The pool's. */
	struct exchange *next_free;
	bool left;
};

/* NULL, logged, when memory is short. */
struct exchange *exchange_new(void);
void exchange_free(struct exchange *x); /* NULL is harmless */

/* Reads the request in the bytes, which are of no more use then.  whole: they hold its end.  0; -1, logged, when
 * it cannot be read: the connection is to be closed.  After 0, exchange_end must follow. */
int exchange_begin(struct exchange *x, struct fcgi_tape *tape, struct connection *c, const unsigned char *bytes,
                   size_t length, bool whole);
/* Writes the response.  0, or -1 when the peer does not take it. */
int exchange_answer(struct exchange *x);
/* Makes it ready for another request.  True when the web server asked to keep the connection. */
bool exchange_end(struct exchange *x);

/* One for each of so many threads, and for at most later_max requests that are left for later.  Any thread. */
struct exchanges;
struct exchanges *exchanges_new(int threads, int later_max); /* NULL when memory is short */
void exchanges_free(struct exchanges *pool); /* all that were taken must be back */
/* For one of the threads, which has none. */
struct exchange *exchanges_take(struct exchanges *pool);
/* From now on the thread may take another.  False when it must not: too many are left, or memory is short. */
bool exchanges_leave(struct exchanges *pool, struct exchange *x);
void exchanges_give(struct exchanges *pool, struct exchange *x);
/* Waits until all that were taken are back; false when the monotonic deadline came first. */
bool exchanges_back_until(struct exchanges *pool, int64_t deadline_us);

#endif
