/*
 * overviews: what many callers of GET /api/credits ask at the same time, asked of the database as one question.  As in
 * the ledger the first who comes leads, and asks for all who wait.
 */
#ifndef OCTROI_ROUTES_OVERVIEWS_H
#define OCTROI_ROUTES_OVERVIEWS_H

#include <stdint.h>

#include "db/pool.h"
#include "queries/overview.h"

struct overviews;

/* NULL when memory is short.  The readers outlive it. */
struct overviews *overviews_new(struct pool *readers);
void overviews_free(struct overviews *o); /* nobody may be reading; NULL is harmless */

/* Fills it in.  0, or -1 when it failed, or nobody had asked before the monotonic deadline.  Any thread; waits. */
int overviews_read(struct overviews *o, struct overview *wanted, int64_t deadline_us);
/* How many are in overviews_read.  Any thread. */
int overviews_waiting(struct overviews *o);

#endif
