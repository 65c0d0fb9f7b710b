/*
 * jwks: the public keys of the issuer whose tokens are accepted, fetched from its key set and kept for
 * five minutes, or fifteen while the issuer does not answer.  An unknown key makes jwks fetch the set anew:
 * at most three times in a row, then every ten seconds.  So tokens with made-up key ids cost the issuer
 * next to nothing.  One thread fetches at a time, in bounded time.  Other threads go on with the known keys
 * meanwhile; a thread whose key is unknown or too old waits.  Thread-safe.
 */
#ifndef OCTROI_ROUTES_AUTH_JWKS_H
#define OCTROI_ROUTES_AUTH_JWKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "clients/bulkhead.h"
#include "ledger/outcome.h"

struct jwks;

/* url: of the key set.  algorithm: "RS256" or "ES256"; other keys are left out.  NULL, logged, when memory is short. */
struct jwks *jwks_new(const char *url, const char *algorithm);
void jwks_free(struct jwks *j);

/* How a caller may wait. */
struct jwks_patience {
	struct bulkhead *slow; /* entered during a fetch or a wait for it; NULL: known keys only */
	int64_t deadline_us;
};

/* The key of exactly that id, a JSON text in the arena.  OUTCOME_OK, UNAUTHORIZED (there is none), or
 * UNAVAILABLE (the issuer does not answer). */
enum outcome jwks_find(struct jwks *j, struct arena *a, const char *kid, const struct jwks_patience *patience,
                       const char **jwk);

#endif
