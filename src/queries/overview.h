/*
 * overview: what GET /api/credits shows of an account: the account, its last 10 transactions and its last 10 usages (of
 * one member, and its row, unless of_member is NULL).  Read of many accounts at once, by one thread at a time.
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
	/* Of an account that is not found its clock is not known either. */
	struct reader_account account;
	struct reader_member member;
	bool member_found;
	struct reader_transaction *transactions;
	struct reader_usage *usages;
	int transaction_count, usage_count;
	/* While it is read. */
	int64_t hold_seq;
	bool transactions_known, usages_known;
};

/* 0, or -1 when memory is short.  The key is copied; the arena, which holds what is read, and of_member outlive it. */
int overview_init(struct overview *o, struct arena *a, const struct account_key *key, const char *of_member);
/* Reads them, at most OVERVIEW_ASKERS_MAX, in three round trips at most; each fails on its own or with all (failed). */
void overview_read(struct db *d, struct overview *const *wanted, int count);

#endif
