/*
 * outbox: tasks of the ledger outside the database (table outbox), and claims on them.  A process claims a row, does
 * the task, and writes the result.  A row whose claim has run out may be claimed again.  One connection, on its thread.
 */
#ifndef OCTROI_QUERIES_OUTBOX_H
#define OCTROI_QUERIES_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "db/db.h"

#define OUTBOX_ERROR_MAX 256

struct outbox_claim {
	struct account_key account;
	char account_id[ID_ACCOUNT_MAX + 1]; /* the application's */
	int64_t seq, kind, subject_seq;
	int64_t attempts; /* including this one */
	int64_t until_us; /* by the database's clock */
};

/* Claims the row that has been due longest, for lease_us.  Rows that need Stripe are left out unless payments is true.
 * 1: claimed, 0: nothing is due, -1: the database failed. */
int outbox_claim(struct db *d, bool payments, int64_t lease_us, struct outbox_claim *claim);

/* The result of a task. */
struct outbox_end {
	int64_t state;    /* enum outbox_state */
	int64_t wait_us;  /* until the next attempt, of a pending row */
	int64_t attempts; /* the count from now on */
	const char *error;
};
/* Writes the result and ends the claim.  1: written; 0: the row is no longer pending, or no longer under this claim;
 * -1: the database failed. */
int outbox_end(struct db *d, const struct outbox_claim *claim, const struct outbox_end *end);

/*
 * Reviews the rows of statements that another has settled: the customer on the invoice's page, a person, a top-up.
 * They are done then.  A row that was declined is due again once less is owed than is stated.  Declined rows are those
 * whose error starts with `declined`.  Returns 0, or -1: the database failed.
 */
int outbox_review(struct db *d, const char *declined);

/* Makes a parked row due at once (seq 0: all, of any account).  Returns the number of rows, or -1. */
int64_t outbox_retry(struct db *d, const struct account_key *account, int64_t seq);

#endif
