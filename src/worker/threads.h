/*
 * threads: the threads of a part that does due work.  Each calls the part's step, again while the step did something,
 * and then rests.  Threads that share work rest until threads_wake; the first of them looks each second as well.
 */
#ifndef OCTROI_WORKER_THREADS_H
#define OCTROI_WORKER_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#define THREADS_MAX 16

struct threads;

struct threads_options {
	const char *part; /* for the log */
	int count;        /* at most THREADS_MAX */
	int apart;        /* the first ones, which share no work: they look each second, and are not woken */
	/* Does a piece of work.  Above 0 when there was some.  thread: from 0 to count - 1. */
	int (*step)(struct threads *t, int thread, void *context);
	void *context;
};

/* NULL when no thread can be started, or memory is short. */
struct threads *threads_start(const struct threads_options *options);
/* The number of threads that could be started; 0 of NULL. */
int threads_count(const struct threads *t);
/* Wakes a thread that shares work, for there may be more.  A step calls it. */
void threads_wake(struct threads *t);
/* False when a step still runs at the monotonic deadline: the threads and their context must then stay.  Harmless with
 * NULL. */
bool threads_stop(struct threads *t, int64_t deadline_us);

#endif
