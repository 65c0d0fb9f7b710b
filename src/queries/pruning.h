/*
 * pruning: deletes alerts, their mails and their deliveries that are old, a batch at a time.  An alert that is not told
 * yet, or is still on its way, stays.  Of an account's alerts a first part goes, and the last one stays, so that the
 * numbers of those that are left have no gap.  One connection, on its thread.
 */
#ifndef OCTROI_QUERIES_PRUNING_H
#define OCTROI_QUERIES_PRUNING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "db/db.h"

/* How far a round has got: the last alert that was looked at. */
struct pruning {
	int64_t created_at_us, seq;
	struct account_key account;
};
/* Looks at one batch of each table.  *more: the round is not at its end, which sets it back.  Returns the number of
 * rows that were deleted, or -1: the database failed. */
int pruning_run(struct db *d, int64_t days, struct pruning *p, bool *more);

#endif
