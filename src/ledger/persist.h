/*
 * persist: the last of the three steps.  One round trip writes the batch's marker, the rows of tables of which few
 * rows changed, and the COMMIT.  Where many rows changed they go ahead, in bulk, and the COMMIT is not sent before all
 * of them have been written.  So a lost connection leaves exactly one question, which the marker answers.
 */
#ifndef OCTROI_LEDGER_PERSIST_H
#define OCTROI_LEDGER_PERSIST_H

#include "db/db.h"
#include "ledger/batch.h"

/* Writes the batch's changes and commits; b->phase is BATCH_PERSIST from the first statement on.  DB_LOST: the batch
 * may have been committed, and the caller must ask by the marker. */
enum db_result persist(struct batch *b, struct db *d);

#endif
