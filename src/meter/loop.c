#define _GNU_SOURCE
#include "meter/loop.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#define EVENTS_MAX 256

struct loop {
	int epoll;
	struct epoll_event events[EVENTS_MAX]; /* the batch that is being served */
	int count, at;
};

struct loop *loop_new(void)
{
	struct loop *l = memory_part("loop", sizeof(*l));

	if (l == NULL)
		return NULL;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll >= 0)
		return l;
	log_event(LOG_LEVEL_ERROR, "epoll_failed", LOG_TEXT("error", strerror(errno)));
	free(l);
	return NULL;
}

void loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	close(l->epoll);
	free(l);
}

/* Forgets the events of a source in the batch that is being served: its owner may free it. */
static void forget_events(struct loop *l, const struct loop_source *source)
{
	for (int i = l->at; i < l->count; i++)
		if (l->events[i].data.ptr == source)
			l->events[i].data.ptr = NULL;
}

int loop_watch(struct loop *l, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};
	const int operation = source->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;

	if (events == source->events)
		return 0;
	if (events == 0)
		forget_events(l, source);
	if (epoll_ctl(l->epoll, operation, source->fd, &event) < 0) {
		log_event(LOG_LEVEL_ERROR, "epoll_failed", LOG_TEXT("error", strerror(errno)));
		return -1;
	}
	source->events = events;
	return 0;
}

void loop_wait(struct loop *l, int64_t until_us, const sigset_t *mask)
{
	const int64_t left_us = until_us - clock_monotonic_us();
	const int left_ms = left_us <= 0 ? 0 : (int)((left_us + CLOCK_US_PER_MS - 1) / CLOCK_US_PER_MS);

	l->count = epoll_pwait(l->epoll, l->events, EVENTS_MAX, left_ms, mask);
	CHECK(l->count >= 0 || errno == EINTR);
	for (l->at = 0; l->at < l->count; l->at++) {
		struct loop_source *source = l->events[l->at].data.ptr;

		if (source != NULL)
			source->ready(source, l->events[l->at].events);
	}
	l->count = 0;
}
