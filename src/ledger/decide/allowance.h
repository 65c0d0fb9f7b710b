/*
 * allowance: the monthly credits of a plan, per account, plan, period and reason.  An allowance is made when the
 * account is next touched, and booked at the time when it was due.  Pure; changes rows as effects do.
 */
#ifndef OCTROI_LEDGER_DECIDE_ALLOWANCE_H
#define OCTROI_LEDGER_DECIDE_ALLOWANCE_H

#include "ledger/decide/decide.h"

#define ALLOWANCE_PEOPLE_MAX 50000 /* of one account */

/* Checks that an account of that unit may be on the plan.  Outcomes: OK, UNKNOWN_PLAN, PLAN_OTHER_UNIT, SEATS_TAKEN
 * (more members than seats) or INVALID_REQUEST (the balance would leave its range).  No plan ("") and the running plan
 * are OK. */
enum outcome allowance_check_plan(struct decide *d, struct slot *s, enum account_unit unit, const char *plan);
/* A person puts the account on the plan, which has been checked.  A plan that gives more than the period gave so far
 * takes effect at once.  A plan that gives less, and the end (""), wait for the next period.  Periods begin on the
 * first of the month in the account's time zone; after a subscription, months count from the end of the paid period. */
void allowance_set_plan(struct decide *d, struct slot *s, const char *plan);

/* The period that ends at workspace.period_end_us ends, and the next begins. */
void allowance_turn(struct decide *d, struct slot *s);

/* For paid_period.c, whose periods are paid for: */
struct allowance_given {
	enum allowance_reason reason;
	const char *member; /* of a seat */
	micros amount_micros;
	int64_t paid_seq; /* the period in paid_periods that the allowance comes from; 0: none */
};
/* Gives an allowance of the running plan.  Returns the amount given: all, unless the balance would leave its range. */
micros allowance_give(struct decide *d, struct slot *s, const struct allowance_given *what, int64_t at_us);
/* Takes amount of the running period's allowance back: from that grant first, then from the others; the rest becomes
 * debt. */
void allowance_take(struct decide *d, struct slot *s, micros amount, int64_t grant_seq, int64_t at_us);
/* Begins the period whose figures are in the workspace, at at_us.  carried: the remainder of the period before, -1 for
 * none. */
void allowance_begin(struct decide *d, struct slot *s, const struct plan *p, micros carried,
                     const struct allowance_given *what, int64_t at_us);
/* Ends the plan.  period_start_us becomes at_us, for the next plan must not begin before. */
void allowance_end(struct decide *d, struct slot *s, int64_t at_us);
/* Expires the remainder of the allowances that end at at_us; returns its sum. */
micros allowance_expire(struct decide *d, struct slot *s, int64_t at_us);
/* The running period goes on with that plan; takes the plan's seats for the people who are there. */
void allowance_name_plan(struct workspaces_row *w, const struct plan *p);
void allowance_take_seats(struct workspaces_row *w, const struct plan *p);

/* allowance_check_seat: OK if there is a seat for one more of that role, else SEATS_TAKEN.  allowance_seat: the effects
 * of joining, changing role and leaving.  before is the row as it was (NULL: not there), after the row as it is.  A
 * member who comes back within a period gets no second share of it. */
enum outcome allowance_check_seat(struct decide *d, struct slot *s, int64_t role);
void allowance_seat(struct decide *d, struct slot *s, const struct members_row *before, struct members_row *after);

#endif
