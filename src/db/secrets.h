/*
 * secrets: random keys that every octroi on a database shares, and that a backup keeps.
 */
#ifndef OCTROI_DB_SECRETS_H
#define OCTROI_DB_SECRETS_H

#include "base/digest.h"
#include "db/db.h"

/* The key of referral codes, and that of graces. */
enum secret { SECRET_REFERRAL, SECRET_GRACE, SECRETS };

/* The key, made if there is none; 0, or -1 on a fault, logged. */
int secrets_find(struct db *d, enum secret which, unsigned char key[DIGEST_BYTES]);

#endif
