/*
 * queue: commands that wait, and the one thread that leads.  As LevelDB's writer queue: whoever leads takes all
 * that waits (bounded), works for all, and hands out the answers.  A waiter is a thread, with its commands on its
 * stack and a bell of its own, or commands that nobody waits for, which are done by a call.
 *
 * Who comes when nobody leads leads itself.  After a leader the next one is a lane, a thread that does nothing else,
 * or, where there are no lanes, the first that waits.  A leader may let the next one lead before its own batch is done:
 * a few may be under way at once, each with what its own leader took.
 */
#ifndef OCTROI_LEDGER_QUEUE_H
#define OCTROI_LEDGER_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bell.h"
#include "base/lock.h"
#include "ledger/command.h"

enum queue_role {
	QUEUE_FULL,   /* bounded at birth: nothing was queued */
	QUEUE_LATE,   /* the deadline passed before a leader took it */
	QUEUE_QUEUED, /* it will be done */
	QUEUE_DONE,   /* a leader did the work; the answers are there */
	QUEUE_LEAD    /* the caller leads; then queue_take, work, queue_finish */
};

struct waiter {
	struct command *commands; /* an array */
	int count;
	int64_t deadline_us;
	/* Called by the leader, outside the lock, once the answers are there; may free the waiter.  NULL: a thread
	 * waits. */
	void (*done)(struct waiter *w);
	void *context;        /* done's */
	struct bell bell;     /* rung when role is no longer QUEUE_LATE */
	enum queue_role role; /* written before the bell rings */
	bool called;          /* under the queue's lock: taken, or next to lead */
	bool passed;          /* so too, of the first that a leader took: another leads */
	struct waiter *next;
};

struct queue {
	struct lock lock;
	struct waiter *head, **tail; /* not taken yet */
	int waiting;                 /* commands in the queue */
	int max;
	int under_way, under_way_max; /* batches that were taken and are not finished */
	bool led;     /* some thread leads or has been called to */
	bool blocked; /* a leader has passed, and whoever finishes calls the next */
	bool lanes, closed;
	bool vacant;             /* a lane is to lead */
	struct signal_cond lane; /* vacant or closed */
};

void queue_init(struct queue *q, int max, int under_way_max, bool lanes);
void queue_destroy(struct queue *q);

/* Waits for one of FULL, LATE, DONE and LEAD; done must be NULL.  Takes and gives the lock. */
enum queue_role queue_wait(struct queue *q, struct waiter *w);
/* Where there are lanes.  FULL, LEAD, or QUEUED: then done is called, perhaps before this returns; role is DONE, or
 * LATE when no leader took it before its deadline. */
enum queue_role queue_post(struct queue *q, struct waiter *w);

/* For a lane: waits until it is to lead, or until posted waiters are late: then it has *late, linked by next, no
 * longer queued, and tells them.  False once the queue is closed. */
bool queue_lead(struct queue *q, struct waiter **late);
/* Lets every queue_lead return false; nobody may come any more. */
void queue_close(struct queue *q);

/* For the leader: all that waits, the longest first, up to commands_max commands (but at least one
 * waiter), linked by next.  *commands counts them.  NULL when all have given up meanwhile; then nobody leads. */
struct waiter *queue_take(struct queue *q, int commands_max, int *commands);
/* For the leader, between take and finish: calls the next leader, at once or, when as many batches are under way as
 * may be, as soon as one is finished.  The caller leads no more.  Does nothing while fewer commands than waiting_min
 * wait, or when it has passed. */
void queue_pass(struct queue *q, struct waiter *taken, int waiting_min);
/* Passes unless the caller has, then tells the taken waiters, but for the caller's own (or NULL). */
void queue_finish(struct queue *q, struct waiter *taken, const struct waiter *own);
int queue_waiting(struct queue *q);

#endif
