/*
 * frame: inspects the bytes that have come over a FastCGI connection, before libfcgi may see them.  Says whether they
 * begin with one whole, acceptable request.  libfcgi asserts on impossible lengths, answers GET_VALUES with an
 * unbounded sprintf, blocks on half a request and reads past the end of one.  frame lets no such input through.
 * Pure.  Source: FastCGI specification 1.0, sections 3 and 5.
 */
#ifndef OCTROI_EDGE_FRAME_H
#define OCTROI_EDGE_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#define FRAME_PARAMS_MAX (64 * 1024)
#define FRAME_BODY_MAX (128 * 1024)

#define FRAME_HEADER_BYTES 8
#define FRAME_PADDING_AT 6 /* in a header */

/* A record's header; its content and its padding follow it. */
struct frame_record {
	unsigned type;
	unsigned id;
	size_t content_length;
	size_t padding_length;
};

struct frame_record frame_record(const unsigned char header[FRAME_HEADER_BYTES]);

enum frame_verdict {
	FRAME_MORE,    /* nothing wrong so far, not whole yet */
	FRAME_READY,   /* parameters and body are all there */
	FRAME_BODY,    /* parameters are all there, the body is still coming */
	FRAME_ROLE,    /* another role than RESPONDER: to be answered UNKNOWN_ROLE */
	FRAME_TOO_BIG, /* parameters over FRAME_PARAMS_MAX */
	FRAME_BAD      /* not FastCGI as a web server speaks it: close */
};

/* With FRAME_READY *used is the request's length in bytes; the bytes after it belong to the next request. */
enum frame_verdict frame_inspect(const unsigned char *bytes, size_t length, size_t *used);

/* A walk from record to record that finds the end of a request whose rest is not wanted.  Zero-initialised before
 * the request's first byte. */
struct frame_walk {
	unsigned char header[FRAME_HEADER_BYTES];
	size_t header_length; /* of a header that has come in part */
	size_t skip;          /* bytes left of the current record */
	bool last;            /* the current record is the request's end */
};

/* FRAME_READY, with *used the number of these bytes that still belong to the request; FRAME_MORE; or FRAME_BAD. */
enum frame_verdict frame_walk(struct frame_walk *walk, const unsigned char *bytes, size_t length, size_t *used);

#define FRAME_END_BYTES 16

/* The END_REQUEST record (UNKNOWN_ROLE) that answers a request judged FRAME_ROLE. */
void frame_refuse_role(const unsigned char *bytes, unsigned char out[FRAME_END_BYTES]);

#endif
