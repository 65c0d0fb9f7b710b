/*
 * code_attempts: wrong codes of an account are counted, so that nobody finds a code by trying.  No other refusal
 * changes rows: a guess that changed nothing could be repeated for ever.  Needs NEEDS_SIGNUP.
 */
#ifndef OCTROI_LEDGER_DECIDE_CODE_ATTEMPTS_H
#define OCTROI_LEDGER_DECIDE_CODE_ATTEMPTS_H

#include "ledger/decide/decide.h"

/* True if the account has guessed max times within the hour; then the refusal is in the answer. */
bool code_attempts_spent(struct decide *d, struct slot *s, int64_t max, struct answer *a);
/* Counts a wrong code; makes the account if it is not there. */
void code_attempts_count(struct decide *d, struct slot *s, const struct command *c);
/* The account's row of signups, made if need be, to be changed. */
struct signups_row *code_attempts_row(struct decide *d, struct slot *s);

#endif
