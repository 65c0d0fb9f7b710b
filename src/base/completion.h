/*
 * completion: one thread waits until another signals the end of some work (futex(2)).  Unlike a condition, a
 * completion remembers the signal.  The woken thread takes no lock: the signaller of many completions would still
 * hold it.
 */
#ifndef OCTROI_BASE_COMPLETION_H
#define OCTROI_BASE_COMPLETION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct completion {
	atomic_int signalled;
};

void completion_init(struct completion *c);
/* The woken thread may give the completion's memory up at once, even before completion_signal returns. */
void completion_signal(struct completion *c);
/* True once it is signalled, false when the monotonic deadline (clock_monotonic_us) passed; negative: for ever. */
bool completion_wait_until(struct completion *c, int64_t deadline_us);

#endif
