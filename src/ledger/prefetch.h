/*
 * prefetch: the first step of a batch: locks its accounts, reads the clock, loads every row that may be looked at.
 */
#ifndef OCTROI_LEDGER_PREFETCH_H
#define OCTROI_LEDGER_PREFETCH_H

#include "db/db.h"
#include "ledger/batch.h"

/* Begins the transaction, with the marker if the batch is unknown; locks the accounts, reads the clock, the price
 * version and what the commands name; then what the accounts, as they are, want besides.  DB_DUPLICATE while b->phase
 * is BATCH_BEGIN: the run before was committed. */
enum db_result prefetch(struct batch *b, struct db *d);

#endif
