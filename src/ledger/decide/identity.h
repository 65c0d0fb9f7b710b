/*
 * identity: tells for a bonus which people are the same person.  A claim's key is a digest of the campaign
 * and of a name of the person.  Two claims with one key cannot both have the bonus.  Pure, thread-safe.
 */
#ifndef OCTROI_LEDGER_DECIDE_IDENTITY_H
#define OCTROI_LEDGER_DECIDE_IDENTITY_H

#include <stdbool.h>

#include "base/id.h"

#define IDENTITY_EMAIL_MAX 255

/* claims.kind: append only. */
enum claim_kind { CLAIM_ACCOUNT, CLAIM_EMAIL, CLAIM_PERSON };

/* An address as it is compared: no blanks around it, no dot behind it, lower case, without a +tag.  At gmail.com there
 * are no dots before the @ either; googlemail.com becomes gmail.com.  "" when email is no address.  "" also when email
 * has spellings that are not known to be equal here: with quotes, comments, or characters beyond ASCII.  A domain has
 * to be given as DNS has it, xn--…. */
void identity_email(const char *email, char out[IDENTITY_EMAIL_MAX]);
/* True if both are the same address.  Addresses that cannot be compared so are the same when they are spelled the same.
 * Blanks around them, a dot behind them, and case do not count. */
bool identity_same_email(const char *a, const char *b);

/* The key of a claim: the first half of the SHA-256 of "octroi claim", NUL, kind (one byte), campaign, NUL, value. */
void identity_claim(enum claim_kind kind, const char *campaign, const char *value, unsigned char out[ID_KEY_BYTES]);

#endif
