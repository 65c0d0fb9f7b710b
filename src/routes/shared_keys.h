/*
 * shared_keys: the keys that every octroi on a database shares, each asked of the database once.  Thread-safe.
 */
#ifndef OCTROI_ROUTES_SHARED_KEYS_H
#define OCTROI_ROUTES_SHARED_KEYS_H

#include <stdbool.h>

#include "db/secrets.h"
#include "routes/api/call.h"

struct shared_keys;

struct shared_keys *shared_keys_new(void); /* NULL, logged, when memory is short */
void shared_keys_free(struct shared_keys *k);

/* False, rendered, when the database does not answer. */
bool shared_keys_find(struct call *c, enum secret which, unsigned char key[DIGEST_BYTES]);
/* Asks no database; false while shared_keys_find has not been called. */
bool shared_keys_known(struct shared_keys *k, enum secret which, unsigned char key[DIGEST_BYTES]);

#endif
