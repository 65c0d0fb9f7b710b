/*
 * identity: who is the same person, as far as a bonus goes.  A claim's key is a digest of the campaign
 * and of what names the person; two with the same key cannot both have the bonus.  Pure, thread-safe.
 */
#ifndef OCTROI_LEDGER_DECIDE_IDENTITY_H
#define OCTROI_LEDGER_DECIDE_IDENTITY_H

#include <stdbool.h>

#include "base/id.h"

#define IDENTITY_EMAIL_MAX 255

/* claims.kind: append only. */
enum claim_kind { CLAIM_ACCOUNT, CLAIM_EMAIL, CLAIM_PERSON };

/* An address as it is compared: no blanks around it, no dot behind it, lower case, without a +tag; at gmail.com (and
 * googlemail.com, which is the same) without dots before the @.  "" when it is no address, and when it is one that can
 * be spelled in ways which are not known to be the same here: with quotes or comments, or beyond ASCII (a domain has to
 * be given as DNS has it, xn--…). */
void identity_email(const char *email, char out[IDENTITY_EMAIL_MAX]);
/* Whether both are addresses and the same one; those that cannot be compared so are the same when they are spelled the
 * same. */
bool identity_same_email(const char *a, const char *b);

/* The key of a claim: the first half of the SHA-256 of kind, campaign and value, each behind a NUL. */
void identity_claim(enum claim_kind kind, const char *campaign, const char *value, unsigned char out[ID_KEY_BYTES]);

#endif
