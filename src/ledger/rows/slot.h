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
	struct accounts_row *account; /* NULL: not in the database (yet) */
	struct grants_row *grants;    /* in the order in which they are spent; linked by row.next */
	struct holds_row *holds;      /* linked by row.next; what prefetch loaded last comes first */
	struct members_row *members;  /* linked by row.next, removed ones too */
	struct workspaces_row *workspace; /* NULL: it has none */
	struct entries_row *entries;  /* of this batch, and what it may give back; linked by row.next, newest first */
	struct paid_periods_row *periods; /* linked by row.next; the newest comes first, some may not run any more */
	const struct zone *zone;      /* its own, or the configured one */
	bool grants_loaded, holds_loaded, members_loaded; /* all of them */
	bool periods_loaded;          /* those that run */
	bool refreshed;               /* what was due has been done */
	bool wants_grants, wants_members, wants_periods; /* some command of the batch does */
};

/* NULL, or what of the account contradicts itself: held and open holds are at least 0; what remains of a grant is
 * between 0 and its amount; where all grants are loaded they come to the balance and what is owed beside it; where all
 * holds are loaded they come to what is held.  Pure. */
const char *slot_check(const struct slot *s);

#endif
