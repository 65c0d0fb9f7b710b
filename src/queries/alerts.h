/*
 * alerts: the alerts of an account, and the thresholds of its balance, as they are shown.  One connection, on its
 * thread.
 */
#ifndef OCTROI_QUERIES_ALERTS_H
#define OCTROI_QUERIES_ALERTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/id.h"
#include "base/json.h"
#include "db/db.h"

struct alerts_shown {
	int64_t seq, kind, threshold_micros, limit_kind, amount_micros, balance_micros, created_at_us;
	int64_t days, expires_at_us; /* of a grant that expires */
	int64_t threshold_percent;   /* of a plan's credits */
	const char *member;
};

struct alerts_page {
	bool found; /* the account is there */
	int64_t unit;
	const char *state;                /* accounts.alerts */
	const char *addresses, *language; /* as profiles has them */
	struct alerts_shown *items;
	int count;
	bool more; /* others follow */
};

/* Reads the state, and at most limit alerts below before_seq (0: from the newest), the newest first.  Texts and items
 * are in the arena.  Returns 0, or -1: the database failed, or memory is short. */
int alerts_read(struct db *d, struct arena *a, const struct account_key *key, int64_t before_seq, int limit,
                struct alerts_page *page);

/* Writes the members of an alert, as every reader of it is shown them; an open record. */
void alerts_write(struct json_writer *w, const struct account_key *key, const struct alerts_shown *l);

#endif
