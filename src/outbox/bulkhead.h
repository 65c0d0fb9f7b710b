/*
 * bulkhead: places for requests that wait for somebody else's server, fewer than there are workers, so
 * that however slow that server is, the guard's requests find a worker.  Thread-safe; never waits.
 */
#ifndef OCTROI_OUTBOX_BULKHEAD_H
#define OCTROI_OUTBOX_BULKHEAD_H

#include <stdatomic.h>
#include <stdbool.h>

struct bulkhead {
	_Atomic int free;
};

void bulkhead_init(struct bulkhead *b, int places);
/* False when all places are taken: to be refused at once.  Leave it after true. */
bool bulkhead_enter(struct bulkhead *b);
void bulkhead_leave(struct bulkhead *b);

#endif
