/*
 * allowance: the monthly credits of a plan, one per account, plan and period, made when the account is next touched
 * and booked at the time when they were due.  Pure; changes rows as effects do.
 */
#ifndef OCTROI_LEDGER_ALLOWANCE_H
#define OCTROI_LEDGER_ALLOWANCE_H

#include "ledger/decide.h"

#define ALLOWANCE_PEOPLE_MAX 50000 /* of one account */

/* Whether an account of that unit may be on it: OK, UNKNOWN_PLAN, PLAN_OTHER_UNIT, SEATS_TAKEN (more members than
 * seats) or INVALID_REQUEST (the balance would leave its range).  None (""), and the one that it is on: OK. */
enum outcome allowance_check_plan(struct decide *d, struct slot *s, enum account_unit unit, const char *plan);
/* Puts it on the plan, which has been checked.  More than the period gave so far is added at once, less waits for the
 * next period, and so does the end ("").  anchor_us: when periods begin to count (a subscription's start); 0:
 * the first of the month in the account's time zone. */
void allowance_set_plan(struct decide *d, struct slot *s, const char *plan, int64_t anchor_us);

/* The period that ends at workspace.period_end_us ends, and the next begins. */
void allowance_turn(struct decide *d, struct slot *s);

/* Whether there is a seat for one more of that role (SEATS_TAKEN), and the effects of joining, changing role, leaving;
 * before is the row as it was (NULL: not there), after as it is now.  Who has been there in the period before, and
 * comes back, gets no second share of it. */
enum outcome allowance_check_seat(struct decide *d, struct slot *s, int64_t role);
void allowance_seat(struct decide *d, struct slot *s, const struct members_row *before, struct members_row *after);

#endif
