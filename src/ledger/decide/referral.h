/*
 * referral: what both sides of a referral get once the referred account has paid for the first time.
 */
#ifndef OCTROI_LEDGER_DECIDE_REFERRAL_H
#define OCTROI_LEDGER_DECIDE_REFERRAL_H

#include "ledger/decide/decide.h"

/* Below the line of a payment's decision, after its credit: gives both sides their reward, once.  The
 * command needs NEEDS_SIGNUP, NEEDS_REFERRER and NEEDS_GRANTS. */
void referral_pay(struct decide *d, struct slot *s);

#endif
