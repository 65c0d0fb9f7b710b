/*
 * overviews: the reads of callers of GET /api/credits at the same time, asked of the database as one question.  As in
 * the ledger, the first caller leads, and asks for all that wait.
 */
#ifndef OCTROI_ROUTES_OVERVIEWS_H
#define OCTROI_ROUTES_OVERVIEWS_H

#include <stdint.h>

#include "db/pool.h"
#include "queries/overview.h"

struct overviews;

/* NULL, logged, when memory is short.  The readers outlive it. */
struct overviews *overviews_new(struct pool *readers);
void overviews_free(struct overviews *o); /* no thread may be in overviews_read; NULL is harmless */

/* Fills in *wanted.  0, or -1 when the read failed, or no leader took it before the monotonic deadline.  Any thread;
 * waits. */
int overviews_read(struct overviews *o, struct overview *wanted, int64_t deadline_us);
/* The number of threads in overviews_read.  Any thread. */
int overviews_waiting(struct overviews *o);

#endif
