/*
 * span: from and to of a query: times, at most 400 days apart, without which it is this month up to now.
 */
#ifndef OCTROI_ROUTES_API_SPAN_H
#define OCTROI_ROUTES_API_SPAN_H

#include "base/zone.h"
#include "queries/reader.h"
#include "routes/api/call.h"
#include "routes/api/parse.h"

/* 0 where it is not given. */
void span_parse(struct parse *p, struct reader_span *span);
/* Fills in what was not given: to: now; from: the beginning of the month that its end lies in.  False, rendered, when
 * it is too long. */
bool span_complete(struct call *c, const struct zone *z, int64_t now_us, struct reader_span *span);

#endif
