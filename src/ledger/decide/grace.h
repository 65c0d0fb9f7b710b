/*
 * grace: an amount that one place, the spool of a machine, may use for an account while octroi does not answer.  The
 * limit and the booked amount are counted up, so that an old grace, a copy or a repetition is worth nothing more.
 * docs/decisions/0030-grace-is-counted-up.md has the reasons.
 */
#ifndef OCTROI_LEDGER_DECIDE_GRACE_H
#define OCTROI_LEDGER_DECIDE_GRACE_H

#include "ledger/decide/decide.h"

/* True, with the refusal in the answer, if no grace covers the use that the AUTHORIZE books. */
bool grace_refuses(const struct decide *d, struct slot *s, const struct command *c, struct answer *a);

/* Books the use, after grace_refuses. */
void grace_book(struct decide *d, struct slot *s, const struct command *c);

/* Gives the place a grace, or keeps the one that it has, into the answer.  available_micros: of the account and
 * the member. */
void grace_give(struct decide *d, struct slot *s, struct command *c, micros available_micros);

#endif
