/*
 * housekeeper: a thread that does, once a second, the work that may wait for the database.
 */
#ifndef OCTROI_WORKER_HOUSEKEEPER_H
#define OCTROI_WORKER_HOUSEKEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "db/pool.h"
#include "prices/price.h"
#include "worker/courier.h"
#include "worker/worker.h"

struct housekeeper;

struct housekeeper_options {
	const struct config *config;
	struct price_terms terms; /* for the prices, from the configuration */
	struct pool *readers;
	const struct worker_options *work;  /* for this thread to do; NULL: worker.c's own threads do it */
	const struct courier_options *tell; /* the same of courier.c's */
	bool (*wanted)(void *context);      /* true if there is work to do this second */
	void (*more)(void *context);        /* does further work */
	void *context;
};

/* NULL, logged, when no thread can be had.  The options are copied; the objects that they point to must outlive h. */
struct housekeeper *housekeeper_start(const struct housekeeper_options *options);
/* False when the thread still waits for the database at the deadline: it then goes on, and h is not freed. */
bool housekeeper_stop(struct housekeeper *h, int64_t deadline_us);

#endif
