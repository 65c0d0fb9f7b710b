/*
 * relay: one request of a client, from its parameters to its settlement: authorize, ask the provider, pass the answer
 * on, settle.  No request goes out that octroi did not authorize, or for which it gave a grace before (leeway).
 * Each hold is settled by the spool.  All of it runs on the loop's thread.
 */
#ifndef OCTROI_METER_RELAY_H
#define OCTROI_METER_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "meter/asker.h"
#include "meter/channel.h"
#include "meter/leeway.h"
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
	int64_t draining;               /* now */
	int64_t graces, graces_refused; /* requests that went out by a grace; those that octroi did not book */
	int64_t lost_micros;            /* of the latter */
};

struct relays {
	const struct meter_config *config;
	struct meter_provider providers[METER_PROVIDERS];
	struct transfers *transfers;
	struct asker *asker;
	struct spool *spool;
	struct leeway *leeway; /* NULL: no request goes out without octroi's answer */
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

/* spool_events' functions; their context is struct relays. */
void relay_kept(void *context, const char *name, bool kept);
void relay_booked(void *context, const char *name, const char *account, int64_t micros, const char *hold);

/* Extends holds, and cuts silent providers and long drains; once a second. */
void relay_tick(struct relays *all);
/* Cuts all that is left, and settles it. */
void relay_cut_all(struct relays *all);

#endif
