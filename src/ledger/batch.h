/*
 * batch: commands of many threads as one transaction.  The three steps are prefetch.c, decide/ and
 * persist.c; batch_run puts them in order and decides what an error means.
 * A batch belongs to the leader's thread.
 */
#ifndef OCTROI_LEDGER_BATCH_H
#define OCTROI_LEDGER_BATCH_H

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "db/db.h"
#include "ledger/command.h"
#include "ledger/options.h"
#include "ledger/rows/rows.h"
#include "prices/book.h"

#define BATCH_ID_BYTES 16

struct batch {
	const struct ledger_options *options;
	struct arena *arena;
	struct rows *rows;
	struct buf sql;
	struct book *book;  /* the newest that was seen; held */
	int64_t deadline_us;

	struct command **commands;
	int count;
	unsigned char id[BATCH_ID_BYTES]; /* of the marker row */
	bool unknown;       /* an earlier run may have been committed under this id */
	int64_t now_us;     /* the database's */

	void (*committing)(void *context);
	void *context;

	int64_t retries, splits, unknowns; /* of this run */
};

/* 0, or -1 when memory is short.  committing is called before persist_commit, so perhaps more than once in a run. */
int batch_init(struct batch *b, const struct ledger_options *options, void (*committing)(void *context),
               void *context);
void batch_free(struct batch *b);

/* Runs the commands on the connection; every command has its answer afterwards, whatever happened. */
void batch_run(struct batch *b, struct db *d, struct command **commands, int count, int64_t deadline_us);

/* The steps.  prefetch_begin: the transaction begun, the marker if the batch is unknown, the accounts locked, the
 * clock, the price version and what the commands name; prefetch_rows: what the accounts, as they are, want besides. */
enum db_result prefetch_begin(struct batch *b, struct db *d);
enum db_result prefetch_rows(struct batch *b, struct db *d);
/* persist_rows writes what of the changes goes ahead of the last message, which persist_commit sends: the rest and the
 * COMMIT, or a ROLLBACK when nothing changed. */
enum db_result persist_rows(struct batch *b, struct db *d);
enum db_result persist_commit(struct batch *b, struct db *d);
/* The row that says that the batch was committed, to b->sql. */
void persist_marker(struct batch *b);

#endif
