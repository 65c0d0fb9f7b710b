/*
 * statement: what a postpaid account owes at the end of a month in its time zone, or a debt that is to be paid now.
 * Each is charged once; src/worker does that.  Pure; changes rows as effects do.
 */
#ifndef OCTROI_LEDGER_STATEMENT_H
#define OCTROI_LEDGER_STATEMENT_H

#include "ledger/decide.h"

/* What is owed now beyond the statements that are not settled yet; 0 when nothing is. */
micros statement_owed(const struct slot *s, const struct workspaces_row *w);

/* The account has become postpaid, or prepaid: when its months end. */
void statement_schedule(struct decide *d, struct slot *s);
/* The month that ends at workspace.statement_at_us is stated. */
void statement_month(struct decide *d, struct slot *s);
/* workspace.suspend_at_us has come: the account is suspended until it pays. */
void statement_suspend(struct decide *d, struct slot *s);

/* The balance has moved: an account that falls below its soft limit is told once, until it is above again. */
void statement_watch(struct decide *d, struct slot *s, micros before);

#endif
