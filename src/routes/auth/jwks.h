/*
 * jwks: the public keys of the issuer whose tokens are accepted, fetched from its key set and kept for
 * five minutes.  A key that is not known makes the set be fetched anew, a few times in a row and then
 * every ten seconds at most, so that tokens with made-up key ids cost the issuer nothing.  One thread
 * fetches at a time, in bounded time; while it does, the others go on with what is known.  Thread-safe.
 */
#ifndef OCTROI_ROUTES_AUTH_JWKS_H
#define OCTROI_ROUTES_AUTH_JWKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "clients/bulkhead.h"
#include "ledger/outcome.h"

struct jwks;

/* url: of the key set.  algorithm: "RS256" or "ES256"; other keys are left out. */
struct jwks *jwks_new(const char *url, const char *algorithm);
void jwks_free(struct jwks *j);

/* How a caller may wait. */
struct jwks_patience {
	struct bulkhead *slow; /* entered while fetching or waiting for it; NULL: what is known must do */
	int64_t deadline_us;
};

/* The key of exactly that id, a JSON text in the arena.  OUTCOME_OK, UNAUTHORIZED (there is none), or
 * UNAVAILABLE (the issuer does not answer). */
enum outcome jwks_find(struct jwks *j, struct arena *a, const char *kid, const struct jwks_patience *patience,
                       const char **jwk);

#endif
