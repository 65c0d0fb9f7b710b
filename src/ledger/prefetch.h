/*
 * prefetch: the first step of a batch.  Locks its accounts, reads the clock, and loads every row that may be looked at.
 */
#ifndef OCTROI_LEDGER_PREFETCH_H
#define OCTROI_LEDGER_PREFETCH_H

#include "db/db.h"
#include "ledger/batch.h"

/* Begins the transaction, with the marker if b->unknown.  Locks the accounts, and reads the clock, the price version
 * and the rows that the commands name.  Then reads the further rows that the accounts' states require.  DB_DUPLICATE
 * while b->phase is BATCH_BEGIN: the earlier attempt was committed. */
enum db_result prefetch(struct batch *b, struct db *d);

#endif
