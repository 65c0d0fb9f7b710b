/*
 * probes: what was last found of the platform's keys at its providers (table probes), and who may find out next:
 * one process at a time, which claims the row.  States are names here.  One connection, its thread.
 */
#ifndef OCTROI_QUERIES_PROBES_H
#define OCTROI_QUERIES_PROBES_H

#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"

#define PROBES_STATE_MAX 33
#define PROBES_DETAIL_MAX 256

struct probes_row {
	bool found; /* else the rest is 0 and "" */
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
 * Claims the provider for lease_us, unless somebody has, or it was checked less than every_us ago.  1 claimed: row
 * is what was known, its claimed_until_us the claim; 0 not due; -1 the database failed.
 */
int probes_claim(struct db *d, const char *provider, int64_t every_us, int64_t lease_us, struct probes_row *row);

/* Writes state, detail, http_status and latency_ms of row if its claim still stands, and ends the claim.  moved: the
 * state is another than before, since now.  1 written, 0 the claim had run out, -1 the database failed. */
int probes_note(struct db *d, const char *provider, const struct probes_row *row, bool moved);

#endif
