/*
 * batch: commands of many threads as one transaction, and what its three steps share: prefetch.c, decide/ and
 * persist.c.  attempt.c puts them in order and decides what an error means.  A batch belongs to the leader's thread.
 */
#ifndef OCTROI_LEDGER_BATCH_H
#define OCTROI_LEDGER_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "db/db.h"
#include "ledger/command.h"
#include "ledger/options.h"
#include "ledger/rows/rows.h"
#include "prices/book.h"

#define BATCH_ID_BYTES 16

/* How far an attempt came. */
enum batch_phase { BATCH_BEGIN, BATCH_ROWS, BATCH_PERSIST };

struct batch {
	const struct ledger_options *options;
	struct arena *arena;
	struct rows *rows;
	struct buf sql;
	struct book *book;  /* the newest that was seen; held */
	int64_t deadline_us;
	enum batch_phase phase;

	struct command **commands;
	int count;
	unsigned char id[BATCH_ID_BYTES]; /* of the marker row */
	bool unknown;       /* an earlier run may have been committed under this id */
	int64_t now_us;     /* the database's */

	void (*committing)(void *context);
	void *context;

	int64_t retries, splits, unknowns; /* of this run */
};

/* 0, or -1 when memory is short.  committing is called before the COMMIT is sent, perhaps more than once in a run. */
int batch_init(struct batch *b, const struct ledger_options *options, void (*committing)(void *context),
               void *context);
void batch_free(struct batch *b);

/* A new id, in time order, so that markers are inserted side by side and pruned by range: by the database's clock, or
 * another octroi, whose machine is ahead, would prune those of this one too soon. */
void batch_new_id(struct batch *b);
/* The deadline has passed by a second.  Nothing more is asked of the database then: each question may take a
 * db_timeout. */
bool batch_is_late(const struct batch *b);
/* The row that says that the batch was committed, to b->sql. */
void batch_marker(struct batch *b);

#endif
