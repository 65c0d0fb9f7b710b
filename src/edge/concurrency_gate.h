/*
 * concurrency_gate: limits how many threads wait for events at once.  Each event wakes a thread if one waits.  If many
 * wait, each request wakes another thread, and switching between them costs more than most requests.  If few wait, the
 * same threads go on from event to event.  The others stay parked until all of those are busy.
 */
#ifndef OCTROI_EDGE_CONCURRENCY_GATE_H
#define OCTROI_EDGE_CONCURRENCY_GATE_H

#include <stdbool.h>

#include "base/lock.h"

struct concurrency_gate {
	struct lock lock;
	struct signal_cond call;
	int max;
	int inside; /* or called to be inside */
	int parked; /* and not called yet */
	int called; /* and not yet awake */
	bool open;
};

/* max: the limit of threads inside, at least 1. */
void concurrency_gate_init(struct concurrency_gate *g, int max);
void concurrency_gate_destroy(struct concurrency_gate *g);

/* Returns once the thread may wait for events.  Takes and gives the lock, as all these functions do. */
void concurrency_gate_enter(struct concurrency_gate *g);
/* The thread has found an event.  If no thread is left inside, a parked one is called. */
void concurrency_gate_leave(struct concurrency_gate *g);
/* From now on every thread may enter. */
void concurrency_gate_open(struct concurrency_gate *g);

#endif
