/*
 * turnstile: lets few threads at a time wait for events.  Each event wakes a thread if one waits.  If many wait, each
 * request wakes another thread, and switching between them costs more than most requests.  If few wait, the same
 * threads go on from event to event.  The others stay parked until all of those are busy.
 */
#ifndef OCTROI_EDGE_CONCURRENCY_GATE_H
#define OCTROI_EDGE_CONCURRENCY_GATE_H

#include <stdbool.h>

#include "base/lock.h"

struct turnstile {
	struct lock lock;
	struct signal_cond call;
	int max;
	int inside; /* or called to be inside */
	int parked; /* and not called yet */
	int called; /* and not yet awake */
	bool open;
};

/* max: how many are inside at most, at least 1. */
void turnstile_init(struct turnstile *t, int max);
void turnstile_destroy(struct turnstile *t);

/* Returns once the thread may wait for events.  Takes and gives the lock, as all these functions do. */
void turnstile_enter(struct turnstile *t);
/* The thread has found an event.  If no thread is left inside, a parked one is called. */
void turnstile_leave(struct turnstile *t);
/* From now on every thread may enter. */
void turnstile_open(struct turnstile *t);

#endif
