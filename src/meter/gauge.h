/*
 * gauge: reads a provider's answer while it is passed on: events or one document, cut anywhere.  Keeps the tally, and
 * takes out the chunk of usage that the client did not ask for.  Pure but for the memory of bounded buffers; one thread
 * at a time.
 */
#ifndef OCTROI_METER_GAUGE_H
#define OCTROI_METER_GAUGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "meter/skim.h"
#include "meter/sse.h"
#include "meter/tally.h"

/* An event that may be the chunk of usage is held back until its end, or this length. */
#define GAUGE_HELD_MAX ((size_t)16 * 1024)
#define GAUGE_START_BYTES 8

struct gauge {
	bool events, hides;
	struct sse sse;
	struct skim skim;
	struct tally tally;
	struct buf held;
	bool hidden;                   /* the event before was taken out */
	bool passing;                  /* the event is longer than GAUGE_HELD_MAX: no chunk of usage */
	char start[GAUGE_START_BYTES]; /* of the event's data */
	size_t start_length;
};

void gauge_init(struct gauge *g);
void gauge_free(struct gauge *g);
/* Before the first byte.  events: the answer is a stream of events.  hides: the chunk of usage is taken out. */
void gauge_begin(struct gauge *g, bool events, bool hides);
/* Reads bytes, and appends those for the client to out. */
void gauge_feed(struct gauge *g, const char *bytes, size_t length, struct buf *out);
/* The answer is at its end.  Appends what is left for the client. */
void gauge_end(struct gauge *g, struct buf *out);

#endif
