/*
 * limits: the one verdict of every guard: what the account, its plan's allowances, the member and the spending
 * limits of day and month leave, and which of them leaves least.  Pure.
 */
#ifndef OCTROI_LEDGER_DECIDE_LIMITS_H
#define OCTROI_LEDGER_DECIDE_LIMITS_H

#include "ledger/decide/decide.h"

/* What can be spent by the member ("" for none) now, under the limit that leaves least.  Where several leave the
 * same, the first of: balance or hard limit, member, daily, monthly; of those the account's before the member's. */
struct limits_verdict {
	enum limit_kind kind;
	bool of_member;
	micros available_micros, limit_micros, used_micros; /* available may be negative */
	int64_t resets_at_us;                               /* 0: does not reset by itself */
};
void limits_verdict(struct decide *d, struct slot *s, const char *member, struct limits_verdict *v);

/* The plan that the account is on, as it was when the period began; NULL when it is on none. */
const struct plan *limits_plan(const struct decide *d, const struct slot *s);

/* needed is more than that leaves: the 402, with all its figures. */
void limits_refuse(const struct limits_verdict *v, micros needed, struct answer *a);

#endif
