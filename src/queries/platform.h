/*
 * platform: lists for an operator's pages, of all accounts or of one.  platform_lists.def has the members of their
 * rows.  Only reads.  One connection, its thread.
 */
#ifndef OCTROI_QUERIES_PLATFORM_H
#define OCTROI_QUERIES_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/id.h"
#include "db/db.h"
#include "queries/reader.h"

#define PLATFORM_COLUMNS_MAX 16

enum platform_list {
#define LIST(NAME, columns) PLATFORM_##NAME,
#include "queries/platform_lists.def"
#undef LIST
	PLATFORM_LISTS
};

enum platform_kind {
	PLATFORM_TEXT, /* left out where it is "" */
	PLATFORM_KEY,  /* a text that is always there */
	PLATFORM_INT,
	PLATFORM_TIME, /* micros since 1970; 0: never */
	PLATFORM_ID,   /* the number of a row of the account */
	PLATFORM_NAME, /* a number that name has a name for; "" is left out */
};
struct platform_column {
	const char *key;
	enum platform_kind kind;
	const char *(*name)(int64_t number); /* of PLATFORM_NAME */
};
/* The columns of a list; the last has no key. */
const struct platform_column *platform_columns(enum platform_list list);

struct platform_cell {
	const char *text; /* of TEXT and KEY */
	int64_t number;   /* of the others */
};
struct platform_row {
	struct platform_cell cells[PLATFORM_COLUMNS_MAX];
};
struct platform_page {
	struct platform_row *rows;
	int count;
	bool more; /* others follow, that are older or come later */
};
/* Reads at most limit rows, with texts in the arena.  key: of the lists of one account; span: of SETTLEMENTS.  0, or
 * -1 on a fault. */
int platform_read(struct db *d, struct arena *a, enum platform_list list, const struct account_key *key,
                  const struct reader_span *span, int limit, struct platform_page *page);

/* Accounts in the order of their keys. */
#define PLATFORM_SCAN_MAX 20000
struct platform_search {
	const char *match;               /* within id, address or name; NULL: any */
	int64_t status;                  /* enum account_status; -1: any */
	bool debt;                       /* only with a balance below zero */
	const struct account_key *after; /* NULL: from the first */
	int limit;
};
/* Looks through at most PLATFORM_SCAN_MAX accounts.  *next is the last account that was looked at, where others follow;
 * "" at the end.  There may be fewer rows than limit, or none, though others follow.  0, or -1 on a fault. */
int platform_accounts(struct db *d, struct arena *a, const struct platform_search *search, struct platform_page *page,
                      const char **next);

#endif
