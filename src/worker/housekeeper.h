/*
 * housekeeper: a thread that does once a second what may wait for the database.
 */
#ifndef OCTROI_WORKER_HOUSEKEEPER_H
#define OCTROI_WORKER_HOUSEKEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "db/pool.h"
#include "prices/price.h"
#include "worker/worker.h"

struct housekeeper;

struct housekeeper_options {
	const struct config *config;
	struct price_terms terms;          /* that prices are to have, as the configuration says */
	struct pool *readers;
	const struct worker_options *work; /* to be done by this thread; NULL: worker.c's own threads do it */
	bool (*wanted)(void *context);     /* whether anything is to be done this second */
	void (*more)(void *context);       /* what else is to be done */
	void *context;
};

/* NULL, logged, when there is no thread to be had.  The options are copied; what they point to outlives it. */
struct housekeeper *housekeeper_start(const struct housekeeper_options *options);
/* False when it is still waiting for the database at the deadline: then it goes on, and is not freed. */
bool housekeeper_stop(struct housekeeper *h, int64_t deadline_us);

#endif
