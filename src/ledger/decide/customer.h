/*
 * customer: the account's customer at Stripe, made once however many requests need it.  The first request leaves the
 * idempotency key that all of them use.  Pure; changes rows as effects do.
 */
#ifndef OCTROI_LEDGER_DECIDE_CUSTOMER_H
#define OCTROI_LEDGER_DECIDE_CUSTOMER_H

#include "ledger/decide/decide.h"

/* The key is taken if the account has neither customer nor a fresh key. */
void customer_keep_key(struct decide *d, struct slot *s, const char *key);
/* Notes the customer's id.  An earlier id stands, unless it is gone_id (NULL: none), which Stripe no longer knows. */
void customer_note(struct decide *d, struct slot *s, const char *customer_id, const char *gone_id);

#endif
