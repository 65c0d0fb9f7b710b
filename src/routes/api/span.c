#include "routes/api/span.h"

#include "queries/insight.h"
#include "routes/api/render.h"

void span_parse(struct parse *p, struct reader_span *span)
{
	span->from_us = parse_time(p, "from");
	span->to_us = parse_time(p, "to");
	if (span->from_us != 0 && span->to_us != 0 && span->to_us <= span->from_us)
		parse_wrong(p, "to", PARSE_ORDER);
}

bool span_complete(struct call *c, const struct zone *z, int64_t now_us, struct reader_span *span)
{
	if (span->to_us == 0)
		span->to_us = now_us + 1;
	if (span->from_us == 0)
		span->from_us = zone_instant(z, zone_local_month(zone_local(z, span->to_us - 1)));
	if (span->to_us - span->from_us <= INSIGHT_SPAN_MAX_US)
		return true;
	render_said(c, OUTCOME_INVALID_REQUEST, "from", SENTENCE_SPAN_TOO_LONG);
	return false;
}
