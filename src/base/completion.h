/*
 * bell: one thread waits until another rings (futex(2)).  Unlike a condition, a bell remembers that it
 * was rung.  The woken thread takes no lock: the ringer of many bells would still hold it.
 */
#ifndef OCTROI_BASE_COMPLETION_H
#define OCTROI_BASE_COMPLETION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct bell {
	atomic_int rung;
};

void bell_init(struct bell *b);
/* The woken thread may give the bell's memory up at once, even before bell_ring returns. */
void bell_ring(struct bell *b);
/* True when it rang, false when the monotonic deadline (clock_monotonic_us) passed; negative: for ever. */
bool bell_wait_until(struct bell *b, int64_t deadline_us);

#endif
