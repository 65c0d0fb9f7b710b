/*
 * workspace: the row of an account that has a plan, members, spending limits or statements, and what is counted
 * there: use within the day, the month and the period, of the account and of each member.  Accounts without one
 * cost nothing more than the flag that says so.  Pure; changes rows as effects do.
 */
#ifndef OCTROI_LEDGER_WORKSPACE_H
#define OCTROI_LEDGER_WORKSPACE_H

#include "ledger/decide.h"

/* NULL when the account has none. */
struct workspaces_row *workspace_of(struct decide *d, struct slot *s);
/* To be changed; made, with the windows of now, if it is not there. */
struct workspaces_row *workspace_ensure(struct decide *d, struct slot *s);
/* Its time zone, or the configured one. */
const struct zone *workspace_zone(const struct decide *d, const struct workspaces_row *w);

/* The member's row; NULL when nobody is named, or nobody of that name belongs to the account. */
struct members_row *workspace_member(struct decide *d, struct slot *s, const char *member);

/* A hold of the member ("" for none) reserves so much more, or less; and a cost was booked, or taken back. */
void workspace_held(struct decide *d, struct slot *s, const char *member, micros change);
void workspace_spent(struct decide *d, struct slot *s, const char *member, micros change, int64_t at_us);

/* The earliest time at which something of it falls due; EFFECTS_NEVER_DUE. */
int64_t workspace_due_us(const struct workspaces_row *w);

#endif
