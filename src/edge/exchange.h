/*
 * exchange: one request and everything that is needed to answer it, on any thread.  A worker takes an exchange for
 * each request, and gives it back with the answer.  An exchange that is left for later is given back by the thread
 * that resumes it.
 *
 * The memory of an exchange is bounded when it is made, and kept for the next request.  A request takes the exchange
 * that was given back last: so no more of them are in use, and in memory, than requests were ever at once.
 */
#ifndef OCTROI_EDGE_EXCHANGE_H
#define OCTROI_EDGE_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "edge/conn_set.h"
#include "edge/fcgi.h"
#include "edge/request.h"
#include "edge/response.h"

struct workers;

struct exchange {
	struct request request;
	struct response response;
	struct connection *connection;
	struct workers *workers; /* set when it is left for later */
	struct fcgi *fcgi;
	struct arena *arena;
	struct buf answer; /* the response as it goes out */
	/* The pool's members. */
	struct exchange *next_free;
	bool left;
};

/* NULL, logged, when memory is short. */
struct exchange *exchange_new(void);
void exchange_free(struct exchange *x); /* NULL is harmless */

/* Reads the request in bytes, which are not needed afterwards.  whole: bytes hold its end.  0; -1, logged, when the
 * request cannot be read: the connection is to be closed.  After 0, exchange_end must follow. */
int exchange_begin(struct exchange *x, struct fcgi_reqbuf *reqbuf, struct connection *c, const unsigned char *bytes,
                   size_t length, bool whole);
/* Writes the response.  0, or -1 when the peer does not take it. */
int exchange_answer(struct exchange *x);
/* Makes x ready for another request.  True when the web server asked to keep the connection. */
bool exchange_end(struct exchange *x);

/* A pool: one exchange for each thread, and one for each of at most later_max requests that are left for later.  Any
 * thread. */
struct exchanges;
struct exchanges *exchanges_new(int threads, int later_max); /* NULL, logged, when memory is short */
void exchanges_free(struct exchanges *pool);                 /* all that were taken must be back */
/* For a thread of the pool that has no exchange. */
struct exchange *exchanges_take(struct exchanges *pool);
/* Leaves x for later; the thread may then take another exchange.  False when x cannot be left: too many are left
 * already, or memory is short. */
bool exchanges_leave(struct exchanges *pool, struct exchange *x);
void exchanges_give(struct exchanges *pool, struct exchange *x);
/* Waits until all taken exchanges are back; false when the monotonic deadline came first. */
bool exchanges_back_until(struct exchanges *pool, int64_t deadline_us);

#endif
