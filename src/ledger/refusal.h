/*
 * refusal: what a 402 says, so that a user interface can act on it; and what an action costs.  Pure.
 */
#ifndef OCTROI_LEDGER_REFUSAL_H
#define OCTROI_LEDGER_REFUSAL_H

#include "ledger/decide.h"

/* Whether the account may spend at all; else the refusal is in the answer. */
bool refusal_suspended(const struct slot *s, struct answer *a);

/* The action's price: the plan's (written to standard), or the list's, or the configured one for actions without
 * (to standard too), or NULL when such actions are refused. */
const struct price *refusal_action_price(const struct decide *d, const struct slot *s, const char *action,
                                         struct price *standard);

#endif
