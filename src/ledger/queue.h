/*
 * queue: threads that wait with their commands, and the one that leads.  As LevelDB's writer queue: the
 * thread at the head takes all that waits (bounded), works for all, and wakes them with their answers.
 * Every waiter stands on its thread's stack with a bell of its own, and is woken outside the lock.
 */
#ifndef OCTROI_LEDGER_QUEUE_H
#define OCTROI_LEDGER_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bell.h"
#include "base/lock.h"
#include "ledger/command.h"

enum queue_role {
	QUEUE_FULL, /* bounded at birth: nothing was queued */
	QUEUE_LATE, /* the deadline passed before a leader took it */
	QUEUE_DONE, /* a leader did the work; the answers are there */
	QUEUE_LEAD  /* the caller leads; then queue_take, work, queue_finish */
};

struct waiter {
	struct command *commands; /* an array */
	int count;
	int64_t deadline_us;
	struct bell bell;     /* rung when role is no longer QUEUE_LATE */
	enum queue_role role; /* written before the bell rings */
	bool called;          /* under the queue's lock: taken, or next to lead */
	struct waiter *next;
};

struct queue {
	struct lock lock;
	struct waiter *head, **tail; /* not taken yet */
	int waiting;                 /* commands in the queue */
	int max;
	bool led; /* some thread leads or has been called to */
};

void queue_init(struct queue *q, int max);
void queue_destroy(struct queue *q);

/* Waits for one of these.  Takes and gives the lock. */
enum queue_role queue_wait(struct queue *q, struct waiter *w);

/* For the leader: all that waits, its own included and first, up to commands_max commands (but at least
 * one waiter), linked by next.  *commands counts them. */
struct waiter *queue_take(struct queue *q, int commands_max, int *commands);
/* Calls the next leader if anybody waits, then wakes the taken waiters. */
void queue_finish(struct queue *q, struct waiter *taken);
int queue_waiting(struct queue *q);

#endif
