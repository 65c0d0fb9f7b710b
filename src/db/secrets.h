/*
 * secrets: random keys that every octroi on a database shares, and that a backup keeps.
 */
#ifndef OCTROI_DB_SECRETS_H
#define OCTROI_DB_SECRETS_H

#include "base/digest.h"
#include "db/db.h"

/* The referral codes' key, made if there is none; 0, or -1 on a fault, logged. */
int secrets_referral(struct db *d, unsigned char key[DIGEST_BYTES]);

#endif
