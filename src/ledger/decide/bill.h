/*
 * bill: statements of debt.  A postpaid account gets one at the end of a month in its time zone; a debt that is to be
 * paid now gets one at once.  src/worker charges each statement once.  Pure; changes rows as effects do.
 */
#ifndef OCTROI_LEDGER_DECIDE_BILL_H
#define OCTROI_LEDGER_DECIDE_BILL_H

#include "ledger/decide/decide.h"

/* The debt of now beyond unsettled statements and overdue debt; 0 when there is none. */
micros bill_owed(const struct slot *s, const struct workspaces_row *w);

/* The part of a debt that can be charged: whole smallest units of the currency, and the micros that they pay. */
struct statement_amount {
	int64_t minor;
	micros micros;
};
void bill_price(const struct decide *d, const struct slot *s, micros owed, struct statement_amount *amount);
/* True if the amount is too small to be charged. */
bool bill_small(const struct decide *d, const struct statement_amount *amount);

/* Sets the end of the account's month: the account has become postpaid or prepaid, or has another time zone. */
void bill_schedule(struct decide *d, struct slot *s);
/* Makes the statement of the month that ends at workspace.statement_at_us. */
void bill_month(struct decide *d, struct slot *s);
/* workspace.suspend_at_us has come: the account is suspended until it pays. */
void bill_suspend(struct decide *d, struct slot *s);

/* Makes a statement, to be charged unless the amount is small.  The account has a workspace. */
struct statements_row *bill_make(struct decide *d, struct slot *s, const struct statement_amount *amount,
                                 int64_t to_us);
/* The statement that a command names; NULL when there is none. */
struct statements_row *bill_find(struct decide *d, struct slot *s, int64_t seq);
/* PAID, VOID or CARRIED. */
bool bill_settled(const struct statements_row *t);
/* A charge was declined: the account is past due. */
void bill_fail(struct decide *d, struct slot *s, struct statements_row *t);
/* A claw-back of a paid statement has left that much debt.  No card is charged for the debt again by itself; the
 * account is past due until the debt is paid.  A debt that is too small to be charged joins the next statement. */
void bill_taken_back(struct decide *d, struct slot *s, micros debt);
/* Reduces overdue debt by paid, before a payment or the return of a claw-back is credited: both pay overdue debt first.
 * A remainder that is too small to be charged is overdue no more. */
void bill_relieve(struct decide *d, struct slot *s, micros paid);
/* The customer asked for the new statement, which holds the overdue debt: the statement is overdue now instead. */
void bill_demand(struct decide *d, struct slot *s, struct statements_row *t);
/* The statement ends in that state.  An account with neither failed statements nor overdue debt is past due no more. */
void bill_settle(struct decide *d, struct slot *s, struct statements_row *t, enum statement_state state);
/* Answers OK, with the statement's figures. */
void bill_answer(const struct slot *s, const struct statements_row *t, struct answer *a);

#endif
