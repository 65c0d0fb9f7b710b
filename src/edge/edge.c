#define _GNU_SOURCE
#include "base/memory.h"
#include "edge/edge.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "edge/conn_set.h"
#include "edge/fcgi.h"
#include "edge/listen.h"
#include "edge/workers.h"

/* Descriptors for everything that is no connection: workers' files, database, log, sockets. */
#define DESCRIPTORS_RESERVED 256
/* Limit of the send timeout: a write of which the peer takes nothing for that long has failed. */
#define SEND_TIMEOUT_MS_MAX 5000

struct edge {
	struct conn_set *conn_set;
	struct workers *workers;
	bool ended; /* the workers are joined */
};

/* Raises the limit of descriptors as far as possible.  Returns how many connections it allows, at most
 * connections_max. */
static int connections_possible(const struct edge_options *options)
{
	struct rlimit limit;
	int64_t others = DESCRIPTORS_RESERVED + options->threads;
	int64_t possible;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return options->connections_max;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur >= (rlim_t)(options->connections_max + others))
		return options->connections_max;
	possible = (int64_t)limit.rlim_cur > others + 1 ? (int64_t)limit.rlim_cur - others : 1;
	log_event(LOG_LEVEL_INFO, "connections_limited", LOG_NUMBER("wanted", options->connections_max),
	          LOG_NUMBER("possible", possible));
	return (int)possible;
}

struct edge *edge_start(const struct edge_options *options)
{
	struct edge *e = memory_part("edge", sizeof(*e));
	struct conn_set_options set = {
		.public_fd = options->public_fd,
		.internal_fd = options->internal_fd,
		.send_timeout_ms = options->request_timeout_ms,
		.idle_timeout_ms = options->idle_timeout_ms,
	};

	CHECK(options->handler != NULL);
	if (e == NULL)
		return NULL;
	if (set.send_timeout_ms > SEND_TIMEOUT_MS_MAX)
		set.send_timeout_ms = SEND_TIMEOUT_MS_MAX;
	set.connections_max = connections_possible(options);
	if (fcgi_init() < 0)
		goto fail;
	e->conn_set = conn_set_new(&set);
	if (e->conn_set == NULL)
		goto fail;
	e->workers = workers_start(options, e->conn_set);
	if (e->workers == NULL)
		goto fail;
	return e;
fail:
	conn_set_free(e->conn_set);
	free(e);
	return NULL;
}

bool edge_drain(struct edge *e, int64_t timeout_ms)
{
	int64_t now_us = clock_monotonic_us();
	int64_t timeout_us = timeout_ms * CLOCK_US_PER_MS;
	struct edge_counts left;

	conn_set_drain(e->conn_set);
	/* The last tenth of the time is left for workers to notice that their connection is cut. */
	if (!conn_set_empty_until(e->conn_set, now_us + timeout_us - timeout_us / 10)) {
		conn_set_count(e->conn_set, &left);
		log_event(LOG_LEVEL_WARNING, "drain_cut", LOG_NUMBER("connections", left.connections));
	}
	conn_set_quit(e->conn_set);
	e->ended = workers_join(e->workers, now_us + timeout_us);
	if (!e->ended)
		log_event(LOG_LEVEL_WARNING, "drain_incomplete", LOG_NUMBER("timeout_ms", timeout_ms));
	return e->ended;
}

void edge_free(struct edge *e)
{
	if (e == NULL)
		return;
	/* A worker that is still in the handler goes on using all of e until the process ends. */
	if (!e->ended)
		return;
	workers_free(e->workers);
	conn_set_free(e->conn_set);
	free(e);
}

void edge_resume(const struct request *request)
{
	workers_resume(request->exchange);
}

void edge_reap(struct edge *e)
{
	conn_set_reap(e->conn_set);
}

int edge_listen(const char *address)
{
	return listen_open(address);
}

void edge_count(struct edge *e, struct edge_counts *counts)
{
	conn_set_count(e->conn_set, counts);
	workers_count(e->workers, counts);
}
