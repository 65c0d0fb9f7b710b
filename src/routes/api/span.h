/*
 * span: the times from and to of a query, at most 400 days apart.  Without them the span is this month up to now.
 */
#ifndef OCTROI_ROUTES_API_SPAN_H
#define OCTROI_ROUTES_API_SPAN_H

#include "base/zone.h"
#include "queries/reader.h"
#include "routes/api/call.h"
#include "routes/api/parse.h"

/* Reads from and to; 0 for an absent one.  A date alone is its midnight in UTC. */
void span_parse(struct parse *p, struct reader_span *span);
/* As span_parse, of the same query; but a date alone is the beginning of that day in the zone. */
void span_parse_local(struct parse *p, const struct zone *z, struct reader_span *span);
/* Fills in absent times.  The default of to is now; of from, the beginning of the month that the end lies in.  False,
 * rendered, when the span is too long. */
bool span_complete(struct call *c, const struct zone *z, int64_t now_us, struct reader_span *span);

#endif
