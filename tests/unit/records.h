/*
 * records: FastCGI as a web server would write it, and as it never would, appended to a buffer.
 */
#ifndef OCTROI_TESTS_RECORDS_H
#define OCTROI_TESTS_RECORDS_H

#include <stdint.h>
#include <string.h>

#include "base/buf.h"

enum { BEGIN_REQUEST = 1, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES };
enum { RESPONDER = 1, AUTHORIZER, FILTER };

static inline void add_record(struct buf *out, int type, int id, const void *content, size_t length,
                              unsigned char padding)
{
	const unsigned char header[8] = {1,
	                                 (unsigned char)type,
	                                 (unsigned char)(id >> 8),
	                                 (unsigned char)id,
	                                 (unsigned char)(length >> 8),
	                                 (unsigned char)length,
	                                 padding,
	                                 0};
	static const unsigned char zeros[255];

	buf_add(out, header, sizeof(header));
	buf_add(out, content, length);
	buf_add(out, zeros, padding);
}

static inline void add_begin(struct buf *out, int id, int role, bool keep)
{
	const unsigned char body[8] = {(unsigned char)(role >> 8), (unsigned char)role, keep};

	add_record(out, BEGIN_REQUEST, id, body, sizeof(body), 0);
}

static inline void add_length(struct buf *out, size_t length, bool wide)
{
	const unsigned char four[4] = {(unsigned char)(length >> 24 | 0x80), (unsigned char)(length >> 16),
	                               (unsigned char)(length >> 8), (unsigned char)length};

	if (wide || length > 127)
		buf_add(out, four, 4);
	else
		buf_add(out, four + 3, 1);
}

static inline void add_pair(struct buf *out, const char *name, const char *value)
{
	add_length(out, strlen(name), false);
	add_length(out, strlen(value), false);
	buf_add_text(out, name);
	buf_add_text(out, value);
}

/* The content in records of at most part bytes, and the empty one that ends the stream. */
static inline void add_stream(struct buf *out, int type, int id, const void *content, size_t length, size_t part)
{
	const unsigned char *at = content;

	for (; length > 0; at += part < length ? part : length, length -= part < length ? part : length)
		add_record(out, type, id, at, part < length ? part : length, (unsigned char)(length % 8));
	add_record(out, type, id, NULL, 0, 0);
}

#endif
