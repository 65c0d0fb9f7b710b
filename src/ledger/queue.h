/*
 * queue: commands that wait, and the one thread that leads.  As in LevelDB's writer queue, the leader takes all
 * waiting commands (bounded), works for all, and hands out the answers.  There are two kinds of waiters.  A waiting
 * thread has its commands on its stack and a completion of its own.  Posted commands have no thread that waits: their
 * done is called.
 *
 * A thread that comes while no thread leads becomes the leader.  After a leader the next one is a commit thread, which
 * only leads and looks for late waiters.  Without commit threads, the next leader is the first waiter.  A leader may
 * hand leadership over before its own batch is done.  So a few batches may be in flight at once, each with the
 * commands that its own leader took.
 */
#ifndef OCTROI_LEDGER_QUEUE_H
#define OCTROI_LEDGER_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/completion.h"
#include "base/lock.h"
#include "ledger/command.h"

enum queue_role {
	QUEUE_FULL,   /* the queue is full: nothing was queued */
	QUEUE_LATE,   /* the deadline passed before a leader took the waiter */
	QUEUE_QUEUED, /* the commands will be done */
	QUEUE_DONE,   /* a leader did the work; the answers are there */
	QUEUE_LEAD    /* the caller leads; then queue_take, work, queue_finish */
};

struct waiter {
	struct command *commands; /* an array */
	int count;
	int64_t deadline_us;
	/* Called outside the lock, once the answers are there, by the leader, or by the commit thread that found the
	 * waiter late.  May free the waiter.  NULL: a thread waits. */
	void (*done)(struct waiter *w);
	void *context;                /* for done */
	struct completion completion; /* signalled when role is no longer QUEUE_LATE */
	enum queue_role role;         /* written before the signal */
	bool called;                  /* under the queue's lock: taken, or next to lead */
	/* Under the queue's lock, set in the first waiter that a leader took: this batch has handed leadership over. */
	bool handed_over;
	struct waiter *next;
};

struct queue {
	struct lock lock;
	struct waiter *head, **tail; /* not taken yet */
	int waiting;                 /* commands in the queue */
	int max;
	int inflight, inflight_max; /* batches that were taken and are not finished */
	bool led;                   /* a thread leads or has been called to */
	bool blocked; /* a leader has handed over, and the next batch that finishes calls the next leader */
	bool commit_threads, closed;
	bool vacant;               /* a commit thread is to lead */
	struct signal_cond wanted; /* vacant or closed */
};

void queue_init(struct queue *q, int max, int inflight_max, bool commit_threads);
void queue_destroy(struct queue *q);

/* Queues the waiter, and returns FULL, LATE, DONE or LEAD; done must be NULL.  Takes and gives the lock. */
enum queue_role queue_wait(struct queue *q, struct waiter *w);
/* Queues the waiter where there are commit threads, and returns FULL, LEAD or QUEUED.  After QUEUED done is called,
 * perhaps before queue_post returns.  role is DONE then, or LATE when no leader took the waiter before its deadline. */
enum queue_role queue_post(struct queue *q, struct waiter *w);

/* For a commit thread: waits until it is to lead, or until posted waiters are late.  *late has late waiters, linked by
 * next and no longer queued, which the thread must tell; NULL: it leads.  False once the queue is closed. */
bool queue_lead(struct queue *q, struct waiter **late);
/* Makes every queue_lead return false.  No waiter may be queued any more. */
void queue_close(struct queue *q);

/* For the leader: takes the waiters, the oldest first, up to commands_max commands (but at least one
 * waiter), linked by next.  *commands counts the commands.  NULL when all have given up meanwhile; then none leads. */
struct waiter *queue_take(struct queue *q, int commands_max, int *commands);
/* For the leader, between queue_take and queue_finish: calls the next leader.  When inflight_max batches are in flight,
 * that happens as soon as one is finished.  The caller leads no more.  Does nothing while fewer commands than
 * waiting_min wait, or when the caller has handed over before. */
void queue_hand_over(struct queue *q, struct waiter *taken, int waiting_min);
/* Calls the next leader unless the caller has handed over, then tells the taken waiters, but not own (or NULL). */
void queue_finish(struct queue *q, struct waiter *taken, const struct waiter *own);
int queue_waiting(struct queue *q);

#endif
