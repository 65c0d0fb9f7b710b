/*
 * sse: finds the events and their data in a stream of server-sent events.  The stream comes in pieces that are cut
 * anywhere.  Keeps no bytes, so a line of any length costs no memory.  Pure; a struct sse belongs to one thread.
 * Source: WHATWG HTML, section 9.2.6.
 */
#ifndef OCTROI_METER_SSE_H
#define OCTROI_METER_SSE_H

#include <stdbool.h>
#include <stddef.h>

/* Zero-initialised before the stream's first byte. */
struct sse {
	enum { SSE_BOM, SSE_LINE, SSE_NAME, SSE_SPACE, SSE_VALUE, SSE_SKIP } state;
	size_t matched;   /* bytes of the byte order mark or of the name "data" */
	bool returned;    /* the last byte was a CR: a LF belongs to the same line end */
	bool has_data;    /* the event has a line of data */
	bool next_line;   /* the line of data is not the event's first */
	bool has_content; /* the event has a line that is not blank, perhaps a comment */
};

enum sse_kind {
	SSE_OTHER, /* bytes that are no data */
	SSE_DATA,  /* a part of the event's data; "\n" between two lines */
	SSE_END,   /* the event is whole */
	SSE_TAIL   /* the LF of a CR LF that was cut in between; it belongs to the bytes before */
};

struct sse_piece {
	enum sse_kind kind;
	const char *bytes; /* of SSE_DATA */
	size_t length;
	bool has_data, has_content; /* of SSE_END */
};

/* Takes the next piece off the front of the bytes.  Returns its length there, at least 1; length is at least 1. */
size_t sse_next(struct sse *s, const char *bytes, size_t length, struct sse_piece *piece);

#endif
