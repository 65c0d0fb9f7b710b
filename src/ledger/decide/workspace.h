/*
 * workspace: the row of an account that has a plan, members, spending limits or statements, with its counters.  Counted
 * is the use of the account and of each member within the day, the month and the period.  An account without a
 * workspace costs no more than the flag for it.  Pure; changes rows as effects do.
 */
#ifndef OCTROI_LEDGER_DECIDE_WORKSPACE_H
#define OCTROI_LEDGER_DECIDE_WORKSPACE_H

#include "ledger/decide/decide.h"

/* NULL when the account has none. */
struct workspaces_row *workspace_of(struct decide *d, struct slot *s);
/* To be changed; made if it is not there.  The account must be. */
struct workspaces_row *workspace_ensure(struct decide *d, struct slot *s);
/* The workspace's time zone, or the configured one. */
const struct zone *workspace_zone(const struct decide *d, const struct workspaces_row *w);

/* The member's row, removed or not; NULL when nobody is named, or nobody of that name ever belonged to the account. */
struct members_row *workspace_member(struct decide *d, struct slot *s, const char *member);

/* workspace_held: at at_us the open hold reserves change more, or less, for its member.  workspace_spent: a cost of a
 * member ("" for none) was booked, or taken back. */
void workspace_held(struct decide *d, struct slot *s, const struct holds_row *h, micros change, int64_t at_us);
void workspace_spent(struct decide *d, struct slot *s, const char *member, micros change, int64_t at_us);

/* workspace_note: notes the windows that have just counted a cost of the member.  workspace_given_back: an amount of
 * that cost is taken back from those of the windows that still run, and from no others. */
void workspace_note(struct decide *d, struct slot *s, const char *member, struct captures_row *c);
void workspace_given_back(struct decide *d, struct slot *s, const char *member, const struct captures_row *c,
                          micros amount, int64_t at_us);

/* The member's use within the period that at_us lies in. */
micros workspace_used(const struct members_row *m, int64_t at_us);
/* The remainder of the member's own share of the period's allowance.  The workspace reserves the sum over all members
 * (reserved_micros).  So the share changes only through these functions: */
micros workspace_unused(const struct members_row *m, int64_t at_us);
void workspace_set_quota(struct decide *d, struct slot *s, struct members_row *m, micros quota, int64_t at_us);
/* The member's period begins anew at at_us, with this share, and ends with the workspace's. */
void workspace_restart(struct decide *d, struct slot *s, struct members_row *m, micros quota, int64_t at_us);

/* A credit has come, and debt is owed from now on: neither arrears nor overdue debt is more than that. */
void workspace_paid(struct decide *d, struct slot *s, micros debt);
/* A claw-back has left that much debt.  The debt is arrears too, for an allowance is for use and not for payments. */
void workspace_owes(struct decide *d, struct slot *s, micros debt);
/* All debt of now becomes arrears: later allowances do not pay it. */
void workspace_fall_behind(struct decide *d, struct slot *s);
/* Once neither a declined statement nor overdue debt is left, the account is past due no more, and not suspended for
 * debt. */
void workspace_restore(struct decide *d, struct slot *s);

/* The earliest time at which an event of the workspace falls due; DUE_NEVER when there is none. */
int64_t workspace_due_us(const struct workspaces_row *w);

#endif
