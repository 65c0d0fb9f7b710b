/*
 * metrics: requests, outcomes and durations since the start, counted by every worker and shown to Prometheus.
 * Counters are atomic; nothing is locked.
 */
#ifndef OCTROI_ROUTES_METRICS_H
#define OCTROI_ROUTES_METRICS_H

#include <stdint.h>

#include "base/buf.h"
#include "ledger/outcome.h"

struct metrics;

enum metrics_route {
#define ROUTE(method, pattern, caller, listener, handler, cost, rows) METRICS_##handler,
#include "routes/routes.def"
#undef ROUTE
	METRICS_NO_ROUTE, /* no such path, or not with that method */
	METRICS_ROUTES
};

struct metrics *metrics_new(void); /* NULL, logged, when memory is short */
void metrics_free(struct metrics *m);

void metrics_note(struct metrics *m, enum metrics_route route, int status, enum outcome outcome, int64_t duration_us);

/* Appends all counters in Prometheus' text format. */
void metrics_write(const struct metrics *m, struct buf *out);
/* Single values and the lines that introduce them; type is "counter" or "gauge". */
void metrics_value(struct buf *out, const char *name, const char *type, const char *help, int64_t value);
void metrics_head(struct buf *out, const char *name, const char *type, const char *help);

#endif
