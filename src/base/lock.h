/*
 * lock: a mutex that knows its owner, and a condition with a monotonic deadline.  Functions that need
 * a lock assert that in code, after Varnish's Lck_AssertHeld.  Any failure of pthread is a bug
 * (abort).
 */
#ifndef OCTROI_BASE_LOCK_H
#define OCTROI_BASE_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct lock {
	pthread_mutex_t mutex;
	pthread_t owner; /* meaningful while held */
	bool held;       /* written by the owner only */
};

struct signal_cond {
	pthread_cond_t cond;
};

void lock_init(struct lock *l);
void lock_destroy(struct lock *l);
void lock_take(struct lock *l);
void lock_give(struct lock *l);
/* Aborts unless the calling thread holds it. */
void lock_assert_held(const struct lock *l);

void cond_init(struct signal_cond *c);
void cond_destroy(struct signal_cond *c);
void cond_signal(struct signal_cond *c);
void cond_broadcast(struct signal_cond *c);
/* Gives l, waits, takes l again.  True when signalled (or spuriously), false when the monotonic
 * deadline (clock_monotonic_us) passed; a negative deadline waits for ever.  l must be held. */
bool cond_wait_until(struct signal_cond *c, struct lock *l, int64_t deadline_us);

#endif
