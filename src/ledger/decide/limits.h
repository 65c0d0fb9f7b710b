/*
 * limits: the one verdict of every guard.  The account, its plan's allowances, the member and the spending limits of
 * day and month each leave an amount.  The verdict is the limit that leaves least.  Pure.
 */
#ifndef OCTROI_LEDGER_DECIDE_LIMITS_H
#define OCTROI_LEDGER_DECIDE_LIMITS_H

#include "ledger/decide/decide.h"

/* The amount that the member ("" for none) can spend now, under the limit that leaves least.  Among equals the order
 * is: balance or hard limit, member, daily, monthly; of each, the account's before the member's. */
struct limits_verdict {
	enum limit_kind kind;
	bool of_member;
	micros available_micros, limit_micros, used_micros; /* available may be negative */
	int64_t resets_at_us;                               /* 0: no reset by itself */
};
void limits_verdict(struct decide *d, struct slot *s, const char *member, struct limits_verdict *v);

/* The plan that the account is on, in the version of workspace.plan_version; NULL when there is none.  The version is
 * set when a period begins or its plan changes. */
const struct plan *limits_plan(const struct decide *d, const struct slot *s);

/* Answers the 402, with all its figures: needed is more than the verdict leaves. */
void limits_refuse(const struct limits_verdict *v, micros needed, struct answer *a);

#endif
