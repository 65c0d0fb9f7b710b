/*
 * referrals: the key of referral codes, asked of the database once.  Thread-safe.
 */
#ifndef OCTROI_ROUTES_REFERRALS_H
#define OCTROI_ROUTES_REFERRALS_H

#include <stdbool.h>

#include "base/digest.h"
#include "routes/api/call.h"

struct referrals;

struct referrals *referrals_new(void); /* NULL, logged, when memory is short */
void referrals_free(struct referrals *r);

/* False, rendered, when the database does not answer. */
bool referrals_key(struct call *c, unsigned char key[DIGEST_BYTES]);

#endif
