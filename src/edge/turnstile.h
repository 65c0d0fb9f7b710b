/*
 * turnstile: lets few threads at a time wait for events.  Each event wakes a thread if one waits; where many do, each
 * request wakes another, and switching between them costs more than most requests.  Where few do, the same ones go on
 * from event to event, and the others stay parked until all of those are busy.
 */
#ifndef OCTROI_EDGE_TURNSTILE_H
#define OCTROI_EDGE_TURNSTILE_H

#include <stdbool.h>

#include "base/lock.h"

struct turnstile {
	struct lock lock;
	struct signal_cond call;
	int max;
	int inside; /* or called to be */
	int parked; /* and not called yet */
	int called; /* and not on their way yet */
	bool open;
};

/* max: how many are inside at most, at least 1. */
void turnstile_init(struct turnstile *t, int max);
void turnstile_destroy(struct turnstile *t);

/* Returns once the thread may wait for events.  Takes and gives the lock, as all of these. */
void turnstile_enter(struct turnstile *t);
/* It has found one.  If nobody is left inside, one that is parked is called. */
void turnstile_leave(struct turnstile *t);
/* From now on everybody may enter. */
void turnstile_open(struct turnstile *t);

#endif
