/*
 * workers: the threads that read requests, call the handler and write answers.  Each waits in the conn_set on its own.
 * Their stacks are small, and their buffers grow only with use.
 */
#ifndef OCTROI_EDGE_WORKERS_H
#define OCTROI_EDGE_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

#include "edge/conn_set.h"
#include "edge/options.h"

struct workers;

/* Starts options->threads threads with all signals blocked.  NULL, logged, when something outside
 * failed; then none runs.  The set must outlive them. */
struct workers *workers_start(const struct edge_options *options, struct conn_set *set);
/* After conn_set_quit: waits for the threads to end and for the requests that were left for later.  False when the
 * deadline came first (some are still in the handler). */
bool workers_join(struct workers *W, int64_t deadline_us);
/* After workers_join returned true. */
void workers_free(struct workers *W);

/* Writes the answer of an exchange that was left for later, and gives the exchange up.  Any thread; see edge_resume. */
void workers_resume(struct exchange *x);

void workers_count(const struct workers *W, struct edge_counts *counts);

#endif
