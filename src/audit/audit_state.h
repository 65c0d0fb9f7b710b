/*
 * audit_state: the state of an audit under way.  Only the audit_*.c files include it.
 * - audit_run.c runs the audit.  audit_state.c reports findings.
 * - audit_journal.c checks entries, and audit_rows.c all other rows.
 * - audit_orders.c checks payments, bonuses and codes; audit_workspaces.c checks plans, people and statements;
 *   audit_recharges.c checks auto-recharge.
 * - audit_explain.c names the rows when sums differ.  audit_heads.c writes and compares heads.
 */
#ifndef OCTROI_AUDIT_AUDIT_STATE_H
#define OCTROI_AUDIT_AUDIT_STATE_H

#include <stdbool.h>

#include "audit/audit.h"
#include "audit/row_checksum.h"
#include "base/id.h"
#include "ledger/rows/table.h"
#include "prices/book.h"

struct audit_heads;

#define AUDIT_CHUNK 256 /* accounts taken at a time */

__extension__ typedef __int128 audit_sum; /* no sum of rows that hold int64 can overflow it */

/* Checksums of usages, grants and transactions: one set of the journal's entries, and one of the rows themselves. */
struct audit_row_checksums {
	row_checksum usage, grant, transaction;
};

/* One account, and the sums of its rows as they stream past. */
struct subject {
	struct accounts_row row; /* external_id points to name */
	char name[ID_ACCOUNT_MAX + 1];

	/* the journal: the entry before, and sums */
	struct entries_row last;
	bool gap;                        /* entries are missing before the next one */
	micros unpaired;                 /* first half of a pair of debt entries */
	audit_sum debt;                  /* sum of the entries that name no grant */
	int64_t grants_said;             /* the highest grant_seq of the entries so far */
	struct audit_row_checksums said; /* of the journal */

	/* the other tables */
	struct audit_row_checksums found;
	audit_sum held, remaining;
	int64_t grants, holds, usages; /* rows */
	int64_t grants_max;            /* highest seq; the primary key keeps them apart */
	int64_t grants_beside;         /* that have a rest, beside the current one */
	bool current_seen;             /* the current grant is among them */
	row_checksum numbers;          /* every seq of holds and usages, once */
	bool stray;                    /* one of these seqs is not in 1 to hold_seq */
	bool incomplete;               /* the seqs are not 1 to hold_seq, each once */
	int64_t due_us, holds_due_us;  /* the earliest end of a grant with a remainder, and of an open hold */
};

struct audit {
	struct db *db;
	struct audit_report *report;
	void (*found)(void *context, const struct audit_finding *f);
	void *context;
	struct book *book;
	struct row_checksum_key key;
	int64_t now_us;
	struct subject subjects[AUDIT_CHUNK];
	int count;                 /* of subjects */
	struct audit_heads *heads; /* NULL: no heads are written */
};

#define AUDIT_ROW_MAX (ID_ACCOUNT_MAX + 64) /* bytes of a row's name in a finding */

/* Report a finding: audit_find about row seq of the account (seq 0: the account's own row),
 * audit_find_row about the row of that name. */
void audit_find(struct audit *A, const char *check, const char *table, const struct subject *s, int64_t seq,
                const char *format, ...) __attribute__((format(printf, 6, 7)));
void audit_find_row(struct audit *A, const char *check, const char *table, const char *row, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* The sum in decimal, for a finding; the result points into text. */
#define AUDIT_SUM_MAX 48
const char *audit_sum_text(audit_sum sum, char text[AUDIT_SUM_MAX]);

/* Check an entry, in order; then the end of the account's journal. */
void audit_journal_entry(struct audit *A, struct subject *s, const struct entries_row *e);
void audit_journal_end(struct audit *A, struct subject *s);

void audit_rows_account(struct audit *A, const struct subject *s);
void audit_rows_grant(struct audit *A, struct subject *s, const struct grants_row *g);
void audit_rows_hold(struct audit *A, struct subject *s, const struct holds_row *h);
/* Checks the holds in the account's row, and leaves none there: their texts are the database's. */
void audit_rows_packed_holds(struct audit *A, struct subject *s);
void audit_rows_usage(struct audit *A, struct subject *s, const struct usages_row *u);
void audit_rows_transaction(struct audit *A, struct subject *s, const struct transactions_row *t);
/* The counterpart of transactions of that type; -1: there is no such type. */
int audit_rows_counterpart(int64_t type);
/* Checks the request's row against the amounts of the transaction and the usage that it may name
 * (NULL: none). */
void audit_rows_request(struct audit *A, struct subject *s, const struct requests_row *q,
                        const int64_t *transaction_micros, const int64_t *usage_micros);
/* Compares the sums with the account's row, after all its rows have been seen. */
void audit_rows_end(struct audit *A, struct subject *s);

/* The aspects of a usage, a grant or a transaction that its checksum covers; each has a weight of its own. */
enum audit_aspect {
	ASPECT_AMOUNT,
	ASPECT_REMAINING,
	ASPECT_TYPE,
	ASPECT_BEFORE,
	ASPECT_AFTER,
	ASPECT_COUNTERPART,
	ASPECT_TIME,
	ASPECT_RECORD,
	ASPECT_COUNT
};
/* Adds the value, or a value that is itself a sum, to the checksum. */
void audit_row_checksum_add(const struct audit *A, row_checksum *sum, int64_t seq, enum audit_aspect aspect,
                            int64_t value);
void audit_row_checksum_add_sum(const struct audit *A, row_checksum *sum, int64_t seq, enum audit_aspect aspect,
                                row_checksum value);

/* Room for a row of any table that is streamed. */
union audit_row {
	struct row row;
	struct accounts_row account;
	struct entries_row entry;
	struct grants_row grant;
	struct holds_row hold;
	struct usages_row usage;
	struct transactions_row transaction;
	struct requests_row request;
};
/* "SELECT r.account_id,…,": all columns of the table under the alias r; others follow. */
void audit_select(struct buf *sql, enum table_id id);
/* Reads a row of a result whose first columns are the table's.  Texts stay in the database's buffer, until the next
 * row. */
void audit_read_row(const struct db_row *from, enum table_id id, union audit_row *to);

/* Names the rows behind sums that differ; 0, or -1 on a fault.  Uses the connection: nothing may be
 * streaming. */
int audit_explain(struct audit *A, const struct subject *s);

/* A question to the database about many accounts at once: account_id, name, detail of each wrong row. */
struct audit_query {
	const char *check, *table;
	const char *sql;
};
/* Asks the queries about all accounts, or about only one; 0, or -1 on a fault. */
int audit_ask(struct audit *A, const struct audit_query *queries, size_t count, const struct account_key *only);

/* audit_orders checks orders, bonuses and codes; audit_workspaces checks workspaces, plans and statements;
 * audit_recharges checks auto-recharge.  All check all accounts, or only one; 0, or -1 on a fault. */
int audit_orders(struct audit *A, const struct account_key *only);
int audit_workspaces(struct audit *A, const struct account_key *only);
int audit_recharges(struct audit *A, const struct account_key *only);

#endif
