/*
 * refusal: what a 402 says, so that a user interface can act on it; and what an action costs.  Pure.
 */
#ifndef OCTROI_LEDGER_REFUSAL_H
#define OCTROI_LEDGER_REFUSAL_H

#include "ledger/decide.h"

/* The account cannot afford needed: which limit, how much of it is used, what is missing. */
void refusal_unaffordable(const struct slot *s, micros needed, struct answer *a);
void refusal_suspended(struct answer *a);

/* The action's price, or the configured one for actions without (written to standard), or NULL when
 * such actions are refused. */
const struct price *refusal_action_price(const struct decide *d, const char *action, struct price *standard);

#endif
