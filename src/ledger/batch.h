/*
 * batch: commands of many threads as one transaction, and the state that its three steps share: prefetch.c, decide/
 * and persist.c.  attempt.c runs them in order and handles their errors.  A batch belongs to the leader's thread.
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

/* The step that an attempt has reached. */
enum batch_phase { BATCH_BEGIN, BATCH_ROWS, BATCH_PERSIST };

struct batch {
	const struct ledger_options *options;
	struct arena *arena;
	struct rows *rows;
	struct buf sql;
	struct book *book; /* the newest price book that was seen; held */
	int64_t deadline_us;
	enum batch_phase phase;

	struct command **commands;
	int count;
	unsigned char id[BATCH_ID_BYTES]; /* of the marker row */
	bool unknown;                     /* an earlier run may have been committed under this id */
	int64_t now_us;                   /* the database's clock */

	void (*committing)(void *context);
	void *context;

	int64_t retries, splits, unknowns; /* of this run */
};

/* 0, or -1 when memory is short.  committing is called before the COMMIT is sent, perhaps more than once in a run. */
int batch_init(struct batch *b, const struct ledger_options *options, void (*committing)(void *context), void *context);
void batch_free(struct batch *b);

/* Makes a new id, in time order, so that markers are inserted side by side and pruned by range.  The time is the
 * database's.  With local clocks, an octroi whose machine is ahead would prune the markers of another too soon. */
void batch_new_id(struct batch *b);
/* True if the deadline has passed by a second.  No further statement is sent then: each may take a db_timeout. */
bool batch_is_late(const struct batch *b);
/* Adds to b->sql the INSERT of the marker, the row that says that the batch was committed. */
void batch_marker(struct batch *b);

#endif
