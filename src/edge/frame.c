#include "edge/frame.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"

#define BEGIN_BYTES 8
#define VERSION 1
#define ROLE_RESPONDER 1
#define UNKNOWN_ROLE 3

enum record_type { BEGIN_REQUEST = 1, END_REQUEST = 3, PARAMS = 4, STDIN = 5 };

/* Position in the name-value pairs; pairs cross record borders freely. */
struct pairs {
	enum { PAIR_NAME_LENGTH, PAIR_VALUE_LENGTH, PAIR_NAME, PAIR_VALUE } expects;
	unsigned length_bytes_left; /* of a four-byte length that has begun, else 0 */
	size_t name_length;
	size_t value_length;
	size_t left;  /* of the name or value that is being walked */
	size_t total; /* content of all PARAMS records so far */
};

struct frame_record frame_record(const unsigned char header[FRAME_HEADER_BYTES])
{
	return (struct frame_record){
		.type = header[1],
		.id = (unsigned)header[2] << 8 | header[3],
		.content_length = (size_t)header[4] << 8 | header[5],
		.padding_length = header[FRAME_PADDING_AT],
	};
}

/* Adds one byte to a length; true when the length is whole. */
static bool length_byte(struct pairs *p, size_t *length, unsigned char byte)
{
	if (p->length_bytes_left > 0) {
		*length = *length << 8 | byte;
		return --p->length_bytes_left == 0;
	}
	*length = byte & 0x7f;
	if ((byte & 0x80) != 0)
		p->length_bytes_left = 3;
	return (byte & 0x80) == 0;
}

/* Names become the part before '=' of a C string, so they may hold neither '=' nor NUL, nor be empty. */
static bool name_plain(const unsigned char *bytes, size_t length)
{
	return memchr(bytes, '=', length) == NULL && memchr(bytes, '\0', length) == NULL;
}

/* Called once both lengths are known.  Refuses a pair that cannot fit before its text has come. */
static enum frame_verdict pair_begin(struct pairs *p)
{
	if (p->name_length > FRAME_PARAMS_MAX || p->value_length > FRAME_PARAMS_MAX)
		return FRAME_TOO_BIG;
	if (p->name_length == 0)
		return FRAME_BAD;
	p->expects = PAIR_NAME;
	p->left = p->name_length;
	return FRAME_MORE;
}

/* Walks the part of a name or a value that has come.  Returns its length, or 0 when it is unacceptable. */
static size_t pair_text(struct pairs *p, const unsigned char *bytes, size_t length)
{
	size_t part = length < p->left ? length : p->left;
	bool plain = p->expects == PAIR_NAME ? name_plain(bytes, part) : memchr(bytes, '\0', part) == NULL;

	if (!plain)
		return 0;
	p->left -= part;
	if (p->left == 0 && p->expects == PAIR_NAME) {
		p->expects = PAIR_VALUE;
		p->left = p->value_length;
	}
	if (p->left == 0 && p->expects == PAIR_VALUE)
		p->expects = PAIR_NAME_LENGTH;
	return part;
}

/* Walks the content of one PARAMS record, or the part of it that has come.  FRAME_MORE, FRAME_TOO_BIG or FRAME_BAD. */
static enum frame_verdict pairs_walk(struct pairs *p, const unsigned char *bytes, size_t length)
{
	enum frame_verdict verdict = FRAME_MORE;
	size_t at = 0;

	while (at < length && verdict == FRAME_MORE) {
		size_t walked;

		switch (p->expects) {
		case PAIR_NAME_LENGTH:
			if (length_byte(p, &p->name_length, bytes[at]))
				p->expects = PAIR_VALUE_LENGTH;
			at++;
			break;
		case PAIR_VALUE_LENGTH:
			if (length_byte(p, &p->value_length, bytes[at]))
				verdict = pair_begin(p);
			at++;
			break;
		case PAIR_NAME:
		case PAIR_VALUE:
			walked = pair_text(p, bytes + at, length - at);
			if (walked == 0)
				verdict = FRAME_BAD;
			at += walked;
			break;
		}
	}
	return verdict;
}

static bool pairs_whole(const struct pairs *p)
{
	return p->expects == PAIR_NAME_LENGTH && p->length_bytes_left == 0;
}

/* Inspects the first record.  FRAME_READY: it is whole and acceptable. */
static enum frame_verdict begin_inspect(const unsigned char *bytes, size_t length)
{
	struct frame_record r;
	unsigned role;

	if (length > 0 && bytes[0] != VERSION)
		return FRAME_BAD;
	if (length < FRAME_HEADER_BYTES)
		return FRAME_MORE;
	r = frame_record(bytes);
	if (r.type != BEGIN_REQUEST || r.id == 0 || r.content_length != BEGIN_BYTES)
		return FRAME_BAD;
	if (length < FRAME_HEADER_BYTES + BEGIN_BYTES + r.padding_length)
		return FRAME_MORE;
	role = (unsigned)bytes[FRAME_HEADER_BYTES] << 8 | bytes[FRAME_HEADER_BYTES + 1];
	return role == ROLE_RESPONDER ? FRAME_READY : FRAME_ROLE;
}

/* Inspects one PARAMS record.  there: number of bytes that have come since its content began. */
static enum frame_verdict params_inspect(struct pairs *p, const struct frame_record *r, const unsigned char *content,
                                         size_t there)
{
	if (r->content_length == 0)
		return pairs_whole(p) ? FRAME_MORE : FRAME_BAD;
	p->total += r->content_length;
	if (p->total > FRAME_PARAMS_MAX)
		return FRAME_TOO_BIG;
	return pairs_walk(p, content, there < r->content_length ? there : r->content_length);
}

/* Inspects the records after the first, of request id; they begin at offset at. */
static enum frame_verdict streams_inspect(const unsigned char *bytes, size_t length, size_t at, unsigned id,
                                          size_t *used)
{
	struct pairs pairs = {.expects = PAIR_NAME_LENGTH};
	unsigned stream = PARAMS;

	for (;;) {
		enum frame_verdict so_far = stream == PARAMS ? FRAME_MORE : FRAME_BODY;
		enum frame_verdict verdict = FRAME_MORE;
		struct frame_record r;
		size_t there;

		if (at < length && bytes[at] != VERSION)
			return FRAME_BAD;
		if (length - at < FRAME_HEADER_BYTES)
			return so_far;
		r = frame_record(bytes + at);
		if (r.type != stream || r.id != id)
			return FRAME_BAD;
		at += FRAME_HEADER_BYTES;
		there = length - at;
		if (stream == PARAMS)
			verdict = params_inspect(&pairs, &r, bytes + at, there);
		if (verdict != FRAME_MORE)
			return verdict;
		if (there < r.content_length + r.padding_length)
			return so_far;
		at += r.content_length + r.padding_length;
		if (r.content_length > 0)
			continue;
		if (stream == STDIN) {
			*used = at;
			return FRAME_READY;
		}
		stream = STDIN;
	}
}

enum frame_verdict frame_inspect(const unsigned char *bytes, size_t length, size_t *used)
{
	enum frame_verdict verdict = begin_inspect(bytes, length);
	struct frame_record begin;

	if (verdict != FRAME_READY)
		return verdict;
	begin = frame_record(bytes);
	return streams_inspect(bytes, length, FRAME_HEADER_BYTES + BEGIN_BYTES + begin.padding_length, begin.id, used);
}

enum frame_verdict frame_walk(struct frame_walk *walk, const unsigned char *bytes, size_t length, size_t *used)
{
	for (size_t at = 0; at < length;) {
		size_t part = length - at < walk->skip ? length - at : walk->skip;
		struct frame_record r;

		at += part;
		walk->skip -= part;
		if (walk->skip == 0 && walk->last) {
			*used = at;
			return FRAME_READY;
		}
		if (at == length)
			break;
		walk->header[walk->header_length++] = bytes[at++];
		if (walk->header[0] != VERSION)
			return FRAME_BAD;
		if (walk->header_length < FRAME_HEADER_BYTES)
			continue;
		r = frame_record(walk->header);
		walk->header_length = 0;
		walk->skip = r.content_length + r.padding_length;
		walk->last = r.type == STDIN && r.content_length == 0;
		if (walk->last && walk->skip == 0) {
			*used = at;
			return FRAME_READY;
		}
	}
	return FRAME_MORE;
}

void frame_refuse_role(const unsigned char *bytes, unsigned char out[FRAME_END_BYTES])
{
	CHECK(bytes[0] == VERSION && bytes[1] == BEGIN_REQUEST);
	memset(out, 0, FRAME_END_BYTES);
	out[0] = VERSION;
	out[1] = END_REQUEST;
	out[2] = bytes[2];
	out[3] = bytes[3];
	out[5] = FRAME_END_BYTES - FRAME_HEADER_BYTES;
	out[FRAME_HEADER_BYTES + 4] = UNKNOWN_ROLE;
}
