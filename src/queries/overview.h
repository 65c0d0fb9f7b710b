/*
 * overview: the data of an account for GET /api/credits: the account, its last 10 transactions and its last 10 usages.
 * Unless of_member is NULL, the usages are of that member, and its row is read too.  Many accounts are read at once, by
 * one thread at a time.
 */
#ifndef OCTROI_QUERIES_OVERVIEW_H
#define OCTROI_QUERIES_OVERVIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/id.h"
#include "db/db.h"
#include "queries/reader.h"

#define OVERVIEW_ASKERS_MAX 64

struct overview {
	struct account_key key;
	const char *of_member;
	struct arena *arena;
	bool failed;
	/* If the account is not found, account.now_us is not known either. */
	struct reader_account account;
	struct reader_member member;
	bool member_found;
	struct reader_transaction *transactions;
	struct reader_usage *usages;
	int transaction_count, usage_count;
	/* For overview_read only. */
	int64_t hold_seq;
	bool transactions_known, usages_known;
};

/* 0, or -1 when memory is short.  The key is copied.  The arena, which holds the results, and of_member must outlive
 * the overview. */
int overview_init(struct overview *o, struct arena *a, const struct account_key *key, const char *of_member);
/* Reads at most OVERVIEW_ASKERS_MAX overviews, in at most three round trips.  Each fails on its own or with all
 * (failed). */
void overview_read(struct db *d, struct overview *const *wanted, int count);

#endif
