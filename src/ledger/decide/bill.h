/*
 * bill: what a postpaid account owes at the end of a month in its time zone, or a debt that is to be paid now.
 * Each is charged once; src/worker does that.  Pure; changes rows as effects do.
 */
#ifndef OCTROI_LEDGER_DECIDE_BILL_H
#define OCTROI_LEDGER_DECIDE_BILL_H

#include "ledger/decide/decide.h"

/* What is owed now beyond the statements that are not settled yet and what is overdue; 0 when nothing is. */
micros bill_owed(const struct slot *s, const struct workspaces_row *w);

/* What of a debt can be charged: whole smallest units of the currency, and the part of the debt that they pay. */
struct statement_amount {
	int64_t minor;
	micros micros;
};
void bill_price(const struct decide *d, const struct slot *s, micros owed, struct statement_amount *amount);
/* Too small to be charged. */
bool bill_small(const struct decide *d, const struct statement_amount *amount);

/* The account has become postpaid, or prepaid, or has another time zone: when its months end. */
void bill_schedule(struct decide *d, struct slot *s);
/* The month that ends at workspace.statement_at_us is stated. */
void bill_month(struct decide *d, struct slot *s);
/* workspace.suspend_at_us has come: the account is suspended until it pays. */
void bill_suspend(struct decide *d, struct slot *s);

/* A new one, to be charged unless it is small; the account has a workspace. */
struct statements_row *bill_make(struct decide *d, struct slot *s, const struct statement_amount *amount,
                                      int64_t to_us);
/* The one that a command names; NULL when there is none. */
struct statements_row *bill_find(struct decide *d, struct slot *s, int64_t seq);
/* PAID, VOID or CARRIED. */
bool bill_settled(const struct statements_row *t);
/* A charge was declined: the account is past due. */
void bill_fail(struct decide *d, struct slot *s, struct statements_row *t);
/* A claw-back of a paid statement has left that much of debt: nobody's card is charged for it again by itself; until it
 * is paid the account is past due.  What is too small to be charged joins the next statement. */
void bill_taken_back(struct decide *d, struct slot *s, micros debt);
/* Before a payment, or what comes back of a claw-back, is credited: it pays what is overdue first.  What is left is
 * forgotten as overdue where it is too small to be charged. */
void bill_relieve(struct decide *d, struct slot *s, micros paid);
/* The new statement was asked for by its customer and holds what is overdue: it is that from now on. */
void bill_demand(struct decide *d, struct slot *s, struct statements_row *t);
/* It ends; an account with none that failed is past due no more. */
void bill_settle(struct decide *d, struct slot *s, struct statements_row *t, enum statement_state state);
/* OK, and the statement's figures. */
void bill_answer(const struct slot *s, const struct statements_row *t, struct answer *a);

#endif
