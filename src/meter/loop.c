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
#define OWNERS_MORE 1024

struct loop {
	int epoll;
	struct epoll_event events[EVENTS_MAX]; /* the batch that is being served */
	int count, at;
	/* The source of each descriptor.  libcurl may close a descriptor before it says so; the number may be another
	 * source's by then. */
	struct loop_source **owners;
	int owner_count;
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
	free(l->owners);
	free(l);
}

/* Makes room for the descriptor among the owners.  -1 when memory is short. */
static int make_room(struct loop *l, int fd)
{
	const int count = fd + OWNERS_MORE;
	struct loop_source **more;

	if (fd < l->owner_count)
		return 0;
	more = realloc(l->owners, (size_t)count * sizeof(*more));
	if (more == NULL) {
		memory_missing("loop");
		return -1;
	}
	memset(more + l->owner_count, 0, (size_t)(count - l->owner_count) * sizeof(*more));
	l->owners = more;
	l->owner_count = count;
	return 0;
}

/* Forgets the events of a source in the batch that is being served: its owner may free it. */
static void forget_events(struct loop *l, const struct loop_source *source)
{
	for (int i = l->at; i < l->count; i++)
		if (l->events[i].data.ptr == source)
			l->events[i].data.ptr = NULL;
}

/* Stops watching.  A descriptor that is closed already, or another source's, is left alone. */
static void unwatch(struct loop *l, struct loop_source *source)
{
	forget_events(l, source);
	source->events = 0;
	if (l->owners[source->fd] != source)
		return;
	l->owners[source->fd] = NULL;
	(void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, source->fd, NULL);
}

int loop_watch(struct loop *l, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};
	const bool own = source->fd < l->owner_count && l->owners[source->fd] == source;
	int result;

	if (events == 0) {
		if (source->events != 0)
			unwatch(l, source);
		return 0;
	}
	if (own && events == source->events)
		return 0;
	if (make_room(l, source->fd) < 0)
		return -1;
	result = epoll_ctl(l->epoll, own ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, source->fd, &event);
	if (result < 0 && own && errno == ENOENT) /* closed, and opened again under the same number */
		result = epoll_ctl(l->epoll, EPOLL_CTL_ADD, source->fd, &event);
	if (result < 0) {
		log_event(LOG_LEVEL_ERROR, "epoll_failed", LOG_TEXT("error", strerror(errno)));
		return -1;
	}
	l->owners[source->fd] = source;
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
