/*
 * slot: everything of one account within a batch.  It belongs to the leader's thread.
 */
#ifndef OCTROI_LEDGER_ROWS_SLOT_H
#define OCTROI_LEDGER_ROWS_SLOT_H

#include <stdbool.h>

#include "base/id.h"
#include "base/money.h"
#include "base/zone.h"
#include "ledger/rows/table.h"

struct slot {
	struct account_key key;
	struct accounts_row *account;     /* NULL: not in the database (yet) */
	struct grants_row *grants;        /* in the order in which they are spent; linked by row.next */
	struct holds_row *holds;          /* linked by row.next; new ones, then loaded ones in the order of expiry */
	struct members_row *members;      /* linked by row.next, removed ones too */
	struct workspaces_row *workspace; /* NULL: the account has none */
	struct entries_row *entries; /* of this batch, and of captures that it may give back; linked, newest first */
	struct paid_periods_row *periods; /* linked by row.next; running ones newest first, others may be among them */
	const struct zone *zone;          /* the account's own, or the configured one */
	bool grants_loaded, holds_loaded, members_loaded; /* all of them are loaded */
	bool periods_loaded;                              /* all periods that run are loaded */
	bool refreshed;                                   /* all due events have been handled */
	bool wants_grants, wants_members, wants_periods;  /* a command of the batch needs them */
	int wants_holds;                                  /* the number of holds that the batch names */
};

/* NULL, or the contradiction in the account's rows.  held_micros and open_holds are at least 0.  The rest of a grant is
 * between 0 and its amount.  Where all grants are loaded, their rests add up to the balance and the arrears, or to 0 if
 * that sum is negative.  Where all holds are loaded, they add up to held_micros, and there are open_holds of them.
 * Pure. */
const char *slot_check(const struct slot *s);

#endif
