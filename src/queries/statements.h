/*
 * statements: the known data of a statement and of the account's customer at Stripe (tables statements, billing,
 * profiles), for the process that charges it.  Decides nothing.  One connection, on its thread.
 */
#ifndef OCTROI_QUERIES_STATEMENTS_H
#define OCTROI_QUERIES_STATEMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "db/db.h"

#define STATEMENTS_TEXT_MAX 256
#define STATEMENTS_URL_MAX 1025

struct statements_known {
	bool found;
	int64_t state, amount_minor, failures, created_at_us;
	char currency[4], invoice_id[STATEMENTS_TEXT_MAX], invoice_url[STATEMENTS_URL_MAX];
	/* "" when not known */
	char customer_id[STATEMENTS_TEXT_MAX], customer_key[STATEMENTS_TEXT_MAX];
	char email[STATEMENTS_TEXT_MAX], name[STATEMENTS_URL_MAX];
};
/* 0, or -1: the database failed. */
int statements_read(struct db *d, const struct account_key *account, int64_t seq, struct statements_known *known);

/* The numbers of the statements that are not settled, oldest first.  Returns their count, at most max, or -1. */
int statements_unsettled(struct db *d, const struct account_key *account, int64_t *seqs, int max);

#endif
