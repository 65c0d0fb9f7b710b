/*
 * packed_holds: the open holds of a batch that lie in their account's row (packed_hold.h).  A settlement of such a hold
 * reads and writes no row of holds.  A hold for which the account's row has no room lies in holds.  An open hold is in
 * exactly one of the two places.  It stays there until it ends, unless an extension makes it too long.
 * A batch's rows belong to the leader's thread.
 */
#ifndef OCTROI_LEDGER_ROWS_PACKED_HOLDS_H
#define OCTROI_LEDGER_ROWS_PACKED_HOLDS_H

#include <stdbool.h>

#include "ledger/rows/rows.h"

/* Puts the packed holds among the loaded ones of the slot: all of them if all holds are loaded, else those that are
 * wanted.  False when memory is short. */
bool packed_holds_load(struct rows *r, struct slot *s);
/* Packs the holds that the batch has changed, before rows are written.  When memory is short the rows are marked
 * failed. */
void packed_holds_note(struct rows *r, struct slot *s);

#endif
