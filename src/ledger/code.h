/*
 * code: codes that a customer types for credit.  They have letters and digits without look-alikes.  Case, blanks and
 * hyphens do not matter; I and L are read as 1, O as 0 (Crockford's base 32).
 *
 * A referral code is R and the first 60 bits of its account's key, encrypted with the referral codes' own key.  So it
 * names the account by itself.  Without that key nobody can make the code of an account id, nor find the account of a
 * code.  Pure but for code_random; thread-safe.
 */
#ifndef OCTROI_LEDGER_CODE_H
#define OCTROI_LEDGER_CODE_H

#include <stdbool.h>

#include "base/digest.h"
#include "base/id.h"

#define CODE_MIN 4
#define CODE_MAX 33 /* with its NUL */
#define CODE_SHOWN_MAX 48

/* The code as it is stored and compared.  0, or -1 when the text can be no code. */
int code_normal(const char *text, char out[CODE_MAX]);
void code_key(const char *normal, unsigned char out[ID_KEY_BYTES]);
/* A random code of 60 bits: 12 characters. */
void code_random(char out[CODE_MAX]);
/* A normal code as it is shown to people: in groups of four. */
void code_show(const char *normal, char out[CODE_SHOWN_MAX]);

/* The account's referral code, in normal form. */
void code_referral(const unsigned char key[DIGEST_BYTES], const struct account_key *account, char out[CODE_MAX]);
bool code_is_referral(const char *normal);
/* The lowest and the highest key that the account of a referral code can have. */
void code_referral_range(const unsigned char key[DIGEST_BYTES], const char *normal, struct account_key *low,
                         struct account_key *high);
/* The range of a code that was handed out before schema version 4, when the bits were not encrypted. */
void code_referral_range_plain(const char *normal, struct account_key *low, struct account_key *high);

#endif
