/*
 * customer: the account's customer at Stripe, made once however many ask for it: whoever asks first leaves the
 * idempotency key that all of them use.  Pure; changes rows as effects do.
 */
#ifndef OCTROI_LEDGER_DECIDE_CUSTOMER_H
#define OCTROI_LEDGER_DECIDE_CUSTOMER_H

#include "ledger/decide/decide.h"

/* The key is taken if the account has neither customer nor a fresh key. */
void customer_keep_key(struct decide *d, struct slot *s, const char *key);
/* What is noted first stands, but for the one of gone_id (NULL: none), which Stripe does not know any more. */
void customer_note(struct decide *d, struct slot *s, const char *customer_id, const char *gone_id);

#endif
