/*
 * loop: the one event thread: an epoll set whose sources are called when their descriptors are ready, and a tick each
 * second.  All functions, and all that they call, run on that thread.
 */
#ifndef OCTROI_METER_LOOP_H
#define OCTROI_METER_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;

struct loop_source {
	int fd;
	void (*ready)(struct loop_source *source, uint32_t events);
	uint32_t events; /* that are watched; 0: none */
};

struct loop *loop_new(void); /* NULL, logged, when something outside failed */
void loop_free(struct loop *l);

/* Watches the source for the events (EPOLLIN …, level-triggered) instead of those before; 0: for none.  After that
 * the source is not called for events that have come already.  -1, logged, when epoll refuses. */
int loop_watch(struct loop *l, struct loop_source *source, uint32_t events);

/* Waits for events until the monotonic time, at most; signals of the mask are let in meanwhile.  Calls the sources. */
void loop_wait(struct loop *l, int64_t until_us, const sigset_t *mask);

#endif
