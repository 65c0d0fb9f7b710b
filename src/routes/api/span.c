#include "routes/api/span.h"

#include "queries/insight.h"
#include "routes/api/render.h"

#include <string.h>

#define TIME_BYTES_MAX 64

static void check_order(struct parse *p, const struct reader_span *span)
{
	if (span->from_us != 0 && span->to_us != 0 && span->to_us <= span->from_us)
		parse_wrong(p, "to", PARSE_ORDER);
}

void span_parse(struct parse *p, struct reader_span *span)
{
	span->from_us = parse_time(p, "from");
	span->to_us = parse_time(p, "to");
	check_order(p, span);
}

static int64_t parse_local(struct parse *p, const char *name, const struct zone *z)
{
	const int64_t time_us = parse_time(p, name);
	const char *text = parse_bytes(p, name, TIME_BYTES_MAX);

	return text != NULL && strlen(text) == strlen("2026-11-21") ? zone_instant(z, time_us) : time_us;
}

void span_parse_local(struct parse *p, const struct zone *z, struct reader_span *span)
{
	span->from_us = parse_local(p, "from", z);
	span->to_us = parse_local(p, "to", z);
	check_order(p, span);
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
