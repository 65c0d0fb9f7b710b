/*
 * code: what a customer types for credit.  Letters and digits without look-alikes: case, blanks and
 * hyphens do not matter, I and L are read as 1, O as 0 (Crockford's base 32).  A referral code is R and
 * the first 60 bits of its account's key, encrypted with the referral codes' own key: so it names the account by
 * itself, and whoever knows an account's id cannot make its code, nor tell from a code whose it is.  Pure but for
 * code_random, thread-safe.
 */
#ifndef OCTROI_LEDGER_CODE_H
#define OCTROI_LEDGER_CODE_H

#include <stdbool.h>

#include "base/digest.h"
#include "base/id.h"

#define CODE_MIN 4
#define CODE_MAX 33 /* with its NUL */
#define CODE_SHOWN_MAX 48

/* As it is stored and compared; -1 when the text can be no code. */
int code_normal(const char *text, char out[CODE_MAX]);
void code_key(const char *normal, unsigned char out[ID_KEY_BYTES]);
/* 60 random bits: 12 characters. */
void code_random(char out[CODE_MAX]);
/* A normal code for people: in groups of four. */
void code_show(const char *normal, char out[CODE_SHOWN_MAX]);

/* The account's referral code, normal. */
void code_referral(const unsigned char key[DIGEST_BYTES], const struct account_key *account, char out[CODE_MAX]);
bool code_is_referral(const char *normal);
/* Between which account keys the account of a referral code lies. */
void code_referral_range(const unsigned char key[DIGEST_BYTES], const char *normal, struct account_key *low,
                         struct account_key *high);
/* The same of a code that was handed out before schema version 4, when the bits were not encrypted. */
void code_referral_range_plain(const char *normal, struct account_key *low, struct account_key *high);

#endif
