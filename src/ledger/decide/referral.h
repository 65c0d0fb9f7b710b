/*
 * referral: the rewards of both sides of a referral, once the referred account has paid for the first time.
 */
#ifndef OCTROI_LEDGER_DECIDE_REFERRAL_H
#define OCTROI_LEDGER_DECIDE_REFERRAL_H

#include "ledger/decide/decide.h"

/* Gives both sides their reward, once.  Called after a payment's credit, where the decision must succeed.  The command
 * needs NEEDS_SIGNUP, NEEDS_REFERRER and NEEDS_GRANTS. */
void referral_pay(struct decide *d, struct slot *s);

#endif
