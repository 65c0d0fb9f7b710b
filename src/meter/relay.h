/*
 * relay: one request of a client, from its parameters to its settlement: authorize, ask the provider, pass the answer
 * on, settle.  No request goes out that octroi did not authorize, and each hold is settled by the spool.  All of it
 * runs on the loop's thread.
 */
#ifndef OCTROI_METER_RELAY_H
#define OCTROI_METER_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "meter/asker.h"
#include "meter/channel.h"
#include "meter/meter_config.h"
#include "meter/spool.h"
#include "meter/transfer.h"

/* For metrics. */
struct relay_counts {
	int64_t streams;         /* requests that have begun and not ended */
	int64_t answered[6];     /* by the first digit of the status; 0: none was sent */
	int64_t settled[3];      /* by enum tally_outcome */
	int64_t estimated;       /* settled with an estimate */
	int64_t closed, drained; /* streams whose client went, by policy */
	int64_t drained_bytes;
	int64_t provider_errors;
	int64_t draining; /* now */
};

struct relays {
	const struct meter_config *config;
	struct meter_provider providers[METER_PROVIDERS];
	struct transfers *transfers;
	struct asker *asker;
	struct spool *spool;
	/* Appends the metrics. */
	void (*metrics)(struct relays *all, struct buf *out);
	struct relay_counts counts;
	struct relay *first;
	int64_t ended; /* relays since the start */
	bool stopping;
};

/* channel_options' functions; begin's context is struct relays. */
void *relay_begin(void *context, struct channel *c, const char *const *parameters, enum channel_defect defect);
void relay_gone(void *request);
void relay_room(void *request);

/* Extends holds, and cuts silent providers and long drains; once a second. */
void relay_tick(struct relays *all);
/* Cuts all that is left, and settles it. */
void relay_cut_all(struct relays *all);

#endif
