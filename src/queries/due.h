/*
 * due: rows of work that are due, and claims on them.  A claim holds until a time; then the row may be claimed again.
 * The tables have the columns state, attempts, next_at_us and claimed_until_us.  One connection, on its thread.
 */
#ifndef OCTROI_QUERIES_DUE_H
#define OCTROI_QUERIES_DUE_H

#include "db/db.h"
#include "db/sql.h"
#include "ledger/sql_numbers.h"

/* The condition of a row that is due and under no claim.  t: a literal, the table's name in the statement. */
#define DUE_CONDITION(t) \
	t ".state=" SQL(OUTBOX_PENDING) " AND " t ".next_at_us<=" SQL_NOW_US " AND " t ".claimed_until_us<=" SQL_NOW_US

struct due {
	int64_t attempts;   /* those of the past */
	int64_t claimed_us; /* end of the last claim on it; 0: none */
	int64_t now_us;     /* the database's clock */
	int64_t until_us;   /* end of the claim that due_claim makes */
};

/* A table of such rows. */
struct due_table {
	/* Reads a row that is due, and its struct due.  1: found, 0: none is due, -1: the database failed. */
	int (*find)(struct db *d, struct buf *sql, void *context);
	/* Appends "UPDATE table SET ", and each further column with a comma behind it. */
	void (*put_set)(struct buf *sql, const void *context);
	/* Appends the WHERE that names the row. */
	void (*put_key)(struct buf *sql, const void *context);
};

/* Claims a row for lease_us.  due is the context's, filled in by find.  1: claimed, 0: nothing is due, -1: the database
 * failed. */
int due_claim(struct db *d, const struct due_table *table, int64_t lease_us, struct due *due, void *context);

/* Appends the condition of a row that is still under the claim: it follows the WHERE of its key. */
void due_put_held(struct buf *sql, int64_t until_us);

#endif
