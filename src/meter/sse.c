#include "meter/sse.h"

#include <string.h>

#include "base/check.h"

static const char mark[] = "\xef\xbb\xbf";
static const char data_name[] = "data";

#define MARK_BYTES (sizeof(mark) - 1)
#define NAME_BYTES (sizeof(data_name) - 1)

/* Ends the line; a blank one ends the event. */
static void end_line(struct sse *s, struct sse_piece *piece)
{
	if (s->state == SSE_LINE) {
		*piece = (struct sse_piece){.kind = SSE_END, .has_data = s->has_data, .has_content = s->has_content};
		s->has_data = s->next_line = s->has_content = false;
	}
	if (s->state == SSE_NAME && s->matched == NAME_BYTES)
		s->has_data = true; /* "data" without a colon is an empty line of data */
	s->state = SSE_LINE;
	s->matched = 0;
}

/* Takes a byte that ends no line, outside of data. */
static void take_byte(struct sse *s, char c, struct sse_piece *piece)
{
	if (s->state == SSE_LINE || s->state == SSE_BOM) {
		s->state = SSE_NAME;
		s->matched = 0;
		s->has_content = true;
	}
	if (s->state != SSE_NAME)
		return;
	if (s->matched < NAME_BYTES && c == data_name[s->matched]) {
		s->matched++;
	} else if (s->matched == NAME_BYTES && c == ':') {
		if (s->has_data)
			*piece = (struct sse_piece){.kind = SSE_DATA, .bytes = "\n", .length = 1};
		s->has_data = true;
		s->state = SSE_SPACE;
	} else {
		s->state = SSE_SKIP;
	}
}

/* Takes a part of a line of data: all bytes up to the end of the line, or of the piece. */
static size_t take_data(struct sse *s, const char *bytes, size_t length, struct sse_piece *piece)
{
	const char *feed = memchr(bytes, '\n', length);
	const size_t to_feed = feed != NULL ? (size_t)(feed - bytes) : length;
	const char *back = memchr(bytes, '\r', to_feed);
	const size_t part = back != NULL ? (size_t)(back - bytes) : to_feed;

	s->state = SSE_VALUE;
	*piece = (struct sse_piece){.kind = SSE_DATA, .bytes = bytes, .length = part};
	return part;
}

/* True if the byte is a part of a byte order mark, which may stand before the first event. */
static bool is_mark(struct sse *s, char c)
{
	if (s->state != SSE_BOM)
		return false;
	if (s->matched < MARK_BYTES && c == mark[s->matched]) {
		s->matched++;
		s->has_content = true;
		return true;
	}
	s->state = SSE_LINE;
	s->matched = 0;
	return false;
}

size_t sse_next(struct sse *s, const char *bytes, size_t length, struct sse_piece *piece)
{
	size_t at = 0;

	CHECK(length > 0);
	*piece = (struct sse_piece){.kind = SSE_OTHER};
	while (at < length && piece->kind == SSE_OTHER) {
		const char c = bytes[at];
		const bool second = s->returned && c == '\n';

		s->returned = false;
		if (second && at == 0) {
			piece->kind = SSE_TAIL;
			return 1;
		}
		if (is_mark(s, c)) {
			at++;
		} else if (c == '\n' || c == '\r') {
			end_line(s, piece);
			at++;
			s->returned = c == '\r';
			if (s->returned && at < length && bytes[at] == '\n') {
				s->returned = false;
				at++;
			}
		} else if (s->state == SSE_SPACE && c == ' ') {
			s->state = SSE_VALUE;
			at++;
		} else if (s->state == SSE_SPACE || s->state == SSE_VALUE) {
			if (at > 0)
				return at; /* the data is a piece of its own */
			return take_data(s, bytes, length, piece);
		} else {
			take_byte(s, c, piece);
			at++;
		}
	}
	return at;
}
