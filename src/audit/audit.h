/*
 * audit: proves the ledger from its own rows, in one consistent snapshot, reading only.  Accounts
 * are taken a few hundred at a time.  Every table is read once, in the order of its primary key, so
 * the time is linear and the memory bounded.  octroictl(8) lists the checks.
 */
#ifndef OCTROI_AUDIT_AUDIT_H
#define OCTROI_AUDIT_AUDIT_H

#include <stdint.h>
#include <stdio.h>

#include "db/db.h"

struct audit_finding {
	const char *check;       /* "chain", "balance", "held", "grant", "cost", … */
	const char *table, *row; /* "entries", "account acme seq 12" */
	const char *detail;      /* the expected and the actual value */
};

struct audit_report {
	int64_t accounts, entries, grants, holds, usages, transactions, requests, findings;
	int64_t compared; /* heads of a file */
	int64_t overdue;  /* open holds past their end that were not touched since: no finding */
	int64_t duration_us;
	unsigned char head[32]; /* digest of all chain heads, to be kept elsewhere */
};

struct audit_request {
	const char *account; /* NULL: all; an unknown account gives a report of no accounts */
	FILE *heads;         /* audit_heads.h: the file to write; NULL: none */
	FILE *against;       /* a whole file of heads to compare with; NULL: none */
};

/* 0 when the audit ran (findings may be > 0), -1 on a fault.  found is called while the connection is in use, and must
 * not use d. */
int audit_run(struct db *d, const struct audit_request *request,
              void (*found)(void *context, const struct audit_finding *f), void *context, struct audit_report *report);

#endif
