/*
 * pool: a bounded set of connections lent to one thread at a time.  Thread-safe, own lock, never
 * held while a connection is used.
 */
#ifndef OCTROI_DB_POOL_H
#define OCTROI_DB_POOL_H

#include <stdint.h>

#include "db/db.h"

struct pool;

/* size 1 to 64; connections open lazily.  NULL, logged, when memory is short. */
struct pool *pool_new(const struct db_options *options, int size);
void pool_free(struct pool *p); /* all lent connections must be back */
/* NULL when no connection came free until the monotonic deadline, or the deadline has passed already. */
struct db *pool_take(struct pool *p, int64_t deadline_us);
void pool_give(struct pool *p, struct db *d);
/* Closes connections that nobody used for idle_ms (0: never). */
void pool_reap(struct pool *p, int64_t idle_ms);

#endif
