/*
 * transaction: a few statements that last together or not at all, on a connection that else commits each by itself.
 * One connection, on its thread.
 */
#ifndef OCTROI_DB_TRANSACTION_H
#define OCTROI_DB_TRANSACTION_H

#include "db/db.h"

/* 0, or -1: the database failed. */
int transaction_begin(struct db *d);
/* Commits with a result above 0; else undoes it.  Returns the result, or -1: the database failed, and the COMMIT may
 * have taken place. */
int transaction_end(struct db *d, int result);

#endif
