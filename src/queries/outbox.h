/*
 * outbox: what the ledger wants done outside (table outbox), and who does it next: one at a time, which claims the row
 * and says how it went.  A claim that has run out is anybody's.  One connection, its thread.
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
	int64_t attempts; /* with this one */
	int64_t until_us; /* by the database's clock */
};

/* The row that has been due longest, for lease_us; of statements only if wanted.  1 claimed, 0 nothing is due, -1 the
 * database failed. */
int outbox_claim(struct db *d, bool statements, int64_t lease_us, struct outbox_claim *claim);

/* How it went. */
struct outbox_end {
	int64_t state;    /* enum outbox_state */
	int64_t wait_us;  /* until the next attempt, of a pending one */
	int64_t attempts; /* that count from now on */
	const char *error;
};
/* 1 written, 0 the claim had run out and somebody else has the row, -1 the database failed. */
int outbox_end(struct db *d, const struct outbox_claim *claim, const struct outbox_end *end);

/*
 * Statements are settled by others too (the customer on the invoice's page, a person, a top-up): their rows are done
 * then; and a row that was declined is due again once less is owed than is stated.  Rows whose error starts with
 * `declined` are such.  -1: the database failed.
 */
int outbox_review(struct db *d, const char *declined);

/* A parked row (seq 0: all, of any account) is due at once.  How many, or -1. */
int64_t outbox_retry(struct db *d, const struct account_key *account, int64_t seq);

#endif
