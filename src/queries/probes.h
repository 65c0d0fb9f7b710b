/*
 * probes: the last known states of the platform's keys at its providers (table probes), and claims on them.  One
 * process at a time claims a row and checks the key.  States are names here.  One connection, on its thread.
 */
#ifndef OCTROI_QUERIES_PROBES_H
#define OCTROI_QUERIES_PROBES_H

#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"

#define PROBES_STATE_MAX 33
#define PROBES_DETAIL_MAX 256

struct probes_row {
	bool found; /* false: all but now_us is 0 or "" */
	char state[PROBES_STATE_MAX];
	char detail[PROBES_DETAIL_MAX];
	int64_t http_status, latency_ms;
	int64_t checked_at_us, changed_at_us;
	int64_t claimed_until_us;
	int64_t now_us; /* the database's clock */
};

/* 0, or -1: the database failed. */
int probes_read(struct db *d, const char *provider, struct probes_row *row);

/*
 * Claims the provider for lease_us, unless it is claimed already, or was checked less than every_us ago.  1: claimed;
 * row has the last known state, and the claim in claimed_until_us.  0: not due.  -1: the database failed.
 */
int probes_claim(struct db *d, const char *provider, int64_t every_us, int64_t lease_us, struct probes_row *row);

/* Writes state, detail, http_status and latency_ms of row if its claim still stands, and ends the claim.  from: the
 * state before, if it is another one; changed_at_us is then now, and with tell true the operator is told in the same
 * transaction.  1: written, 0: the row is no longer under this claim, -1: the database failed. */
int probes_note(struct db *d, const char *provider, const struct probes_row *row, const char *from, bool tell);

#endif
