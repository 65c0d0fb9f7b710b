#include "meter/gauge.h"

#include <string.h>

static const char done[] = "[DONE]";

void gauge_init(struct gauge *g)
{
	*g = (struct gauge){0};
	skim_init(&g->skim);
	tally_init(&g->tally);
	buf_init(&g->held, 2 * GAUGE_HELD_MAX);
}

void gauge_free(struct gauge *g)
{
	skim_free(&g->skim);
	tally_free(&g->tally);
	buf_free(&g->held);
}

void gauge_begin(struct gauge *g, bool events, bool hides)
{
	g->events = events;
	g->hides = hides && events;
}

static void take_data_part(struct gauge *g, const struct sse_piece *piece)
{
	const size_t room = GAUGE_START_BYTES - g->start_length;
	const size_t part = piece->length < room ? piece->length : room;

	memcpy(g->start + g->start_length, piece->bytes, part);
	g->start_length += part;
	skim_feed(&g->skim, piece->bytes, piece->length);
}

static bool is_done(const struct gauge *g)
{
	return g->start_length == strlen(done) && memcmp(g->start, done, g->start_length) == 0;
}

/* True if the event is the chunk that only brings the usage. */
static bool is_extra(const struct gauge *g)
{
	return g->hides && !g->passing && g->skim.has_usage && g->skim.choices == 0;
}

/* The event is whole; its bytes go to the client, or nowhere. */
static void end_event(struct gauge *g, const struct sse_piece *piece, struct buf *out)
{
	const bool extra = piece->has_data && is_extra(g);

	if (piece->has_data && is_done(g))
		g->tally.whole = true;
	else if (piece->has_data)
		tally_document(&g->tally, &g->skim);
	if (piece->has_data)
		skim_begin(&g->skim);
	g->start_length = 0;
	if (!extra && g->held.length > 0)
		buf_add(out, g->held.data, g->held.length);
	buf_reset(&g->held);
	g->passing = false;
	g->hidden = extra;
}

/* Holds bytes of the event back, or passes them on if the event is too long to be a chunk of usage. */
static void hold_back(struct gauge *g, const char *bytes, size_t length, struct buf *out)
{
	/* Between two events there are only line ends. */
	if (!g->hides || g->passing || (g->held.length == 0 && !g->sse.has_content)) {
		buf_add(out, bytes, length);
		return;
	}
	if (g->held.length + length > GAUGE_HELD_MAX) {
		if (g->held.length > 0)
			buf_add(out, g->held.data, g->held.length);
		buf_add(out, bytes, length);
		buf_reset(&g->held);
		g->passing = true;
		return;
	}
	buf_add(&g->held, bytes, length);
	if (!buf_ok(&g->held)) /* no memory: the client would miss bytes */
		out->failed = true;
}

void gauge_feed(struct gauge *g, const char *bytes, size_t length, struct buf *out)
{
	if (!g->events) {
		skim_feed(&g->skim, bytes, length);
		tally_texts(&g->tally, &g->skim);
		buf_add(out, bytes, length);
		return;
	}
	for (size_t at = 0; at < length;) {
		struct sse_piece piece;
		const size_t used = sse_next(&g->sse, bytes + at, length - at, &piece);

		if (piece.kind != SSE_TAIL || !g->hidden || g->held.length > 0)
			hold_back(g, bytes + at, used, out);
		if (piece.kind == SSE_DATA)
			take_data_part(g, &piece);
		else if (piece.kind == SSE_END)
			end_event(g, &piece, out);
		at += used;
	}
}

void gauge_end(struct gauge *g, struct buf *out)
{
	const struct sse_piece rest = {.kind = SSE_END, .has_data = g->sse.has_data, .has_content = true};

	skim_end(&g->skim);
	if (!g->events)
		tally_document(&g->tally, &g->skim);
	else
		end_event(g, &rest, out); /* an event without its blank line */
}
