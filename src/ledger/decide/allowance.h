/*
 * allowance: the monthly credits of a plan, one per account, plan and period, made when the account is next touched
 * and booked at the time when they were due.  Pure; changes rows as effects do.
 */
#ifndef OCTROI_LEDGER_DECIDE_ALLOWANCE_H
#define OCTROI_LEDGER_DECIDE_ALLOWANCE_H

#include "ledger/decide/decide.h"

#define ALLOWANCE_PEOPLE_MAX 50000 /* of one account */

/* Whether an account of that unit may be on it: OK, UNKNOWN_PLAN, PLAN_OTHER_UNIT, SEATS_TAKEN (more members than
 * seats) or INVALID_REQUEST (the balance would leave its range).  None (""), and the one that it is on: OK. */
enum outcome allowance_check_plan(struct decide *d, struct slot *s, enum account_unit unit, const char *plan);
/* A person puts it on the plan, which has been checked.  More than the period gave so far is added at once, less waits
 * for the next period, and so does the end ("").  Periods begin on the first of the month in the account's time
 * zone. */
void allowance_set_plan(struct decide *d, struct slot *s, const char *plan);

/* The period that ends at workspace.period_end_us ends, and the next begins. */
void allowance_turn(struct decide *d, struct slot *s);

/* For paid_period.c, whose periods are paid for: */
struct allowance_given {
	enum allowance_reason reason;
	const char *member; /* of a seat */
	micros amount_micros;
	int64_t paid_seq;   /* the period in paid_periods that it comes from; 0: none */
};
/* An allowance of the running plan; what of it was given, which is all unless the balance would leave its range. */
micros allowance_give(struct decide *d, struct slot *s, const struct allowance_given *what, int64_t at_us);
/* Takes back some of what the running period gave, from that grant first; the rest becomes debt. */
void allowance_take(struct decide *d, struct slot *s, micros amount, int64_t grant_seq, int64_t at_us);
/* The period whose figures the workspace has begins, at at_us.  carried: what the one before left, -1 for none. */
void allowance_begin(struct decide *d, struct slot *s, const struct plan *p, micros carried,
                     const struct allowance_given *what, int64_t at_us);
/* There is no plan any more.  period_start_us is since when: the next one must not begin before. */
void allowance_end(struct decide *d, struct slot *s, int64_t at_us);
/* Expires what the period's allowances have left; the sum. */
micros allowance_expire(struct decide *d, struct slot *s, int64_t at_us);
/* The running period goes on with that plan; the seats of the people who are there are taken in it. */
void allowance_name_plan(struct workspaces_row *w, const struct plan *p);
void allowance_take_seats(struct workspaces_row *w, const struct plan *p);

/* Whether there is a seat for one more of that role (SEATS_TAKEN), and the effects of joining, changing role, leaving;
 * before is the row as it was (NULL: not there), after as it is now.  Who has been there in the period before, and
 * comes back, gets no second share of it. */
enum outcome allowance_check_seat(struct decide *d, struct slot *s, int64_t role);
void allowance_seat(struct decide *d, struct slot *s, const struct members_row *before, struct members_row *after);

#endif
