/*
 * workspace: the row of an account that has a plan, members, spending limits or statements, and what is counted
 * there: use within the day, the month and the period, of the account and of each member.  Accounts without one
 * cost nothing more than the flag that says so.  Pure; changes rows as effects do.
 */
#ifndef OCTROI_LEDGER_DECIDE_WORKSPACE_H
#define OCTROI_LEDGER_DECIDE_WORKSPACE_H

#include "ledger/decide/decide.h"

/* NULL when the account has none. */
struct workspaces_row *workspace_of(struct decide *d, struct slot *s);
/* To be changed; made if it is not there.  The account must be. */
struct workspaces_row *workspace_ensure(struct decide *d, struct slot *s);
/* Its time zone, or the configured one. */
const struct zone *workspace_zone(const struct decide *d, const struct workspaces_row *w);

/* The member's row, removed or not; NULL when nobody is named, or nobody of that name ever belonged to the account. */
struct members_row *workspace_member(struct decide *d, struct slot *s, const char *member);

/* Then the open hold reserves so much more, or less, for its member; and a cost of a member ("" for none) was
 * booked, or taken back. */
void workspace_held(struct decide *d, struct slot *s, const struct holds_row *h, micros change, int64_t at_us);
void workspace_spent(struct decide *d, struct slot *s, const char *member, micros change, int64_t at_us);

/* The windows that have just counted a cost of the member; and what of it is taken back leaves those of them that still
 * run, and no others. */
void workspace_note(struct decide *d, struct slot *s, const char *member, struct captures_row *c);
void workspace_given_back(struct decide *d, struct slot *s, const char *member, const struct captures_row *c,
                          micros amount, int64_t at_us);

/* What the member has used of the period that the time lies in. */
micros workspace_used(const struct members_row *m, int64_t at_us);
/* What is left of the member's own share of the period's allowance.  The sum over all members is what the workspace
 * reserves (reserved_micros), so it changes through these only: */
micros workspace_unused(const struct members_row *m, int64_t at_us);
void workspace_set_quota(struct decide *d, struct slot *s, struct members_row *m, micros quota, int64_t at_us);
/* The member's period begins anew then, with this share, and ends with the workspace's. */
void workspace_restart(struct decide *d, struct slot *s, struct members_row *m, micros quota, int64_t at_us);

/* So much is owed from now on, because a credit has come: neither arrears nor what is overdue is more. */
void workspace_paid(struct decide *d, struct slot *s, micros debt);
/* A claw-back has left that much of debt: arrears too, for an allowance is for use and not for payments. */
void workspace_owes(struct decide *d, struct slot *s, micros debt);
/* All that is owed now is arrears: allowances of later do not pay it. */
void workspace_fall_behind(struct decide *d, struct slot *s);
/* Past due no more, and suspended no more, once neither a declined statement nor anything overdue is left. */
void workspace_restore(struct decide *d, struct slot *s);

/* The earliest time at which something of it falls due; DUE_NEVER. */
int64_t workspace_due_us(const struct workspaces_row *w);

#endif
