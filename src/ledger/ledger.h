/*
 * ledger: the only way to move money.  Commands of many threads are combined into one transaction.
 * prefetch locks and loads, decide decides without I/O, persist writes and commits.  Then every thread
 * has its own answer.  See src/README.md.
 */
#ifndef OCTROI_LEDGER_LEDGER_H
#define OCTROI_LEDGER_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/command.h"
#include "ledger/options.h"
#include "ledger/queue.h"
#include "prices/book.h"

struct ledger;

/* LEDGER_INFLIGHT_MAX: batches that may be in flight at once where there are commit threads.  One more commit thread
 * leads or looks for late waiters meanwhile.  One more connection is for sweeping and the price book. */
#define LEDGER_INFLIGHT_MAX 4
#define LEDGER_COMMIT_THREADS (LEDGER_INFLIGHT_MAX + 1)
#define LEDGER_CONNECTIONS (LEDGER_INFLIGHT_MAX + 1)

/* NULL, logged, when memory or threads are short. */
struct ledger *ledger_new(const struct ledger_options *options);
/* No other thread may be inside. */
void ledger_free(struct ledger *l);

/*
 * Runs the command and returns once its effect is committed, or it was refused and changed nothing.
 * The answer is in command->answer.  OUTCOME_UNAVAILABLE: the database could not be asked, or the
 * monotonic deadline passed.  The command may have taken effect then; it is safe to repeat it with the
 * same request id.  Any thread; takes the ledger's lock.
 */
void ledger_submit(struct ledger *l, struct command *command, int64_t deadline_us);
/*
 * Runs the commands of w for a thread that does not want to wait.  False: they are done, and the answers are there.
 * True: w->done will be called with the answers, on another thread, perhaps before ledger_post returns.  w and its
 * commands must live until then.  Without commit threads ledger_post waits, and returns false.
 */
bool ledger_post(struct ledger *l, struct waiter *w);
/* Runs many commands, in order.  They may share a batch, but each fails on its own. */
void ledger_submit_many(struct ledger *l, struct command *commands, int count, int64_t deadline_us);

/* The last account that a sweep has looked at for open holds; all zero: none of this round. */
struct sweep_place {
	struct account_key account;
	int64_t open_holds; /* of the accounts of this round so far */
	bool begun;
};

/* Touches up to max accounts that are due (expired holds and grants).  For expired holds it looks at the next 4,096
 * accounts behind the place, and moves the place.  Returns the number of accounts, or -1 on a fault.  The place is the
 * caller's. */
int ledger_sweep(struct ledger *l, struct sweep_place *place, int max, int64_t deadline_us);

/* Removes up to 10,000 markers of batches that are more than an hour old.  Returns their number, or -1 on a fault. */
int ledger_prune(struct ledger *l, int64_t deadline_us);

/* The price book as the database had it at most age_us ago (0: as it has it now); NULL on a fault.  The book may be
 * older while another thread with age_us > 0 asks the database for it.  The caller releases the book. */
struct book *ledger_book(struct ledger *l, int64_t age_us, int64_t deadline_us);

struct ledger_counts {
	int64_t batches, commands, retries, splits, unknown_commits, refused_full, queued;
	int64_t batch_size[12]; /* batches of 1, 2, 3-4, 5-8, … commands */
	int64_t outcome[OUTCOME_COUNT];
	int64_t grace_uses, grace_micros; /* uses of a grace that were booked, and what they counted */
	int64_t incomplete;               /* settlements with a price that stands in for another, or without a count */
	int64_t open_holds;               /* of all accounts, by the last whole round of sweeps; -1: not known yet */
};
void ledger_count(struct ledger *l, struct ledger_counts *counts);

#endif
