/*
 * refusal: accounts that are suspended and members that were removed, who may not spend; the price of an action.  Pure.
 */
#ifndef OCTROI_LEDGER_DECIDE_REFUSAL_H
#define OCTROI_LEDGER_DECIDE_REFUSAL_H

#include "ledger/decide/decide.h"

/* True if the account is suspended and may not spend at all; the refusal is then in the answer. */
bool refusal_suspended(const struct slot *s, struct answer *a);

/* True if the member was removed from the account and has not joined again; the refusal is then in the answer.  A
 * person who never was a member is not refused. */
bool refusal_removed(struct decide *d, struct slot *s, const char *member, struct answer *a);

/* The action's price: the plan's (written to standard), or else the list's, or else the configured price for actions
 * without one (written to standard).  NULL when actions without a price are refused. */
const struct price *refusal_action_price(const struct decide *d, const struct slot *s, const char *action,
                                         struct price *standard);

#endif
