/*
 * audit: proves the ledger from its own rows, in one consistent snapshot, reading only.  Every finding
 * names the row.  What is checked is listed in src/README.md and octroictl(8).
 */
#ifndef OCTROI_LEDGER_AUDIT_H
#define OCTROI_LEDGER_AUDIT_H

#include <stdint.h>

#include "db/db.h"

struct audit_finding {
	const char *check;  /* "chain", "balance", "held", "grant", "cost", … */
	const char *table, *row; /* "entries", "acme #12" */
	const char *detail; /* expected and found */
};

struct audit_report {
	int64_t accounts, entries, grants, holds, usages, transactions, requests, findings;
	int64_t duration_us;
	unsigned char head[32]; /* digest of all chain heads, to be kept elsewhere */
};

/* 0 when it ran (findings may be > 0), -1 on a fault.  account NULL: all. */
int audit_run(struct db *d, const char *account, void (*found)(void *context, const struct audit_finding *f),
              void *context, struct audit_report *report);

#endif
