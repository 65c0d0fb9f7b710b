/*
 * queue: threads that wait with their commands, and the one that leads.  As LevelDB's writer queue: the
 * thread at the head takes all that waits (bounded), works for all, and wakes them with their answers.
 * Every waiter stands on its thread's stack with a condition of its own.
 */
#ifndef OCTROI_LEDGER_QUEUE_H
#define OCTROI_LEDGER_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "ledger/command.h"

struct waiter {
	struct command *commands; /* an array */
	int count;
	int64_t deadline_us;
	struct signal_cond cond;
	bool taken, done;         /* under the queue's lock */
	struct waiter *next;
};

struct queue {
	struct lock lock;
	struct waiter *head, **tail; /* not taken yet */
	int waiting;                 /* commands in the queue */
	int max;
	bool led;                    /* some thread leads */
};

void queue_init(struct queue *q, int max);
void queue_destroy(struct queue *q);

enum queue_role {
	QUEUE_FULL,    /* bounded at birth: nothing was queued */
	QUEUE_LATE,    /* the deadline passed before a leader took it */
	QUEUE_DONE,    /* a leader did the work; the answers are there */
	QUEUE_LEAD     /* the caller leads; then queue_take, work, queue_finish */
};
/* Waits for one of these.  Takes and gives the lock. */
enum queue_role queue_wait(struct queue *q, struct waiter *w);

/* For the leader: all that waits, its own included and first, up to commands_max commands (but at least
 * one waiter), linked by next.  *commands counts them. */
struct waiter *queue_take(struct queue *q, int commands_max, int *commands);
/* Wakes the taken waiters, and the next leader if anybody waits. */
void queue_finish(struct queue *q, struct waiter *taken);
int queue_waiting(struct queue *q);

#endif
