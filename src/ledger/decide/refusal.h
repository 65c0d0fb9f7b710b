/*
 * refusal: who may not spend at all, suspended or removed; and what an action costs.  Pure.
 */
#ifndef OCTROI_LEDGER_DECIDE_REFUSAL_H
#define OCTROI_LEDGER_DECIDE_REFUSAL_H

#include "ledger/decide/decide.h"

/* Whether the account may spend at all; else the refusal is in the answer. */
bool refusal_suspended(const struct slot *s, struct answer *a);

/* Whether the member was removed from the account and has not joined again; then that is the refusal.  Who never was a
 * member is not refused. */
bool refusal_removed(struct decide *d, struct slot *s, const char *member, struct answer *a);

/* The action's price: the plan's (written to standard), or the list's, or the configured one for actions without
 * (to standard too), or NULL when such actions are refused. */
const struct price *refusal_action_price(const struct decide *d, const struct slot *s, const char *action,
                                         struct price *standard);

#endif
