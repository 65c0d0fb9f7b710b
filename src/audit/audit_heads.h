/*
 * audit_heads: writes the heads of all journals into a file that is kept elsewhere, and compares a later ledger with
 * them.  A head is the hash of an account's last entry.  As long as it is in the account's chain, no earlier entry was
 * changed or cut.
 *
 * The file is text: "octroi heads 1"; a line for each account, in the order of their ids: the id (hexadecimal),
 * entry_seq, chain_head (hexadecimal), hold_seq, grant_seq; then "end", the number of accounts and a digest of the
 * lines before.
 */
#ifndef OCTROI_AUDIT_AUDIT_HEADS_H
#define OCTROI_AUDIT_AUDIT_HEADS_H

#include <stdio.h>

#include "base/digest.h"
#include "ledger/rows/table.h"

#define AUDIT_HEADS_ERROR_MAX 160

struct audit;

/* The file that is being written. */
struct audit_heads {
	FILE *file;
	int64_t count;
	unsigned char digest[DIGEST_BYTES];
};

/* Write the first line, an account's line, the last line.  ferror and fclose tell whether they were written. */
void audit_heads_begin(struct audit_heads *h, FILE *file);
void audit_heads_add(struct audit_heads *h, const struct accounts_row *a);
void audit_heads_end(struct audit_heads *h);

/* 0 if the file is whole, or -1 with the reason. */
int audit_heads_check(FILE *file, char error[AUDIT_HEADS_ERROR_MAX]);
/* Reports every head of a whole file that is not in its chain any more, and every number that has become smaller.
 * Returns the number of heads, or -1 on a fault.  Uses the connection. */
int64_t audit_heads_compare(struct audit *A, FILE *file);

#endif
