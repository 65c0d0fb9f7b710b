/*
 * persist: the last of the three steps.  The batch's marker and the changed rows go ahead in bulk, and nothing is
 * waited for in between.  The COMMIT is sent when all of them have been written.  So a lost connection leaves exactly
 * one question, which the marker answers.  Without the bulk protocol, all of that is text in one message; a connection
 * that waits for each answer sends few rows so, too.
 */
#ifndef OCTROI_LEDGER_PERSIST_H
#define OCTROI_LEDGER_PERSIST_H

#include "db/db.h"
#include "ledger/batch.h"

/* Writes the batch's changes and commits; b->phase is BATCH_PERSIST from the first statement on.  DB_LOST: the batch
 * may have been committed, and the caller must ask by the marker. */
enum db_result persist(struct batch *b, struct db *d);

#endif
