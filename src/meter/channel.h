/*
 * channel: FastCGI connections of the web server, on the loop's thread.  Each has one request at a time, whose body is
 * bounded, and whose answer is written as it comes.  libfcgi is not used here: its calls block, so that each stream
 * would need a thread.  edge/frame.h judges the parameters, as for octroi.
 */
#ifndef OCTROI_METER_CHANNEL_H
#define OCTROI_METER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "meter/loop.h"

/* Bytes that wait for the client; beyond that the provider is read no further. */
#define CHANNEL_WAITING_MAX ((size_t)64 * 1024)

struct channels;
struct channel;

enum channel_defect { CHANNEL_SOUND, CHANNEL_BODY_TOO_BIG, CHANNEL_NO_MEMORY };

struct channel_options {
	int listen_fd;
	int channels_max;
	size_t body_max;   /* of one request */
	size_t memory_max; /* of all bodies */
	/* A whole request has come: its parameters as "NAME=value", NULL at the end, and its body (channel_body).  The
	 * parameters live until this returns.  Returns the request, for the other calls. */
	void *(*begin)(void *context, struct channel *c, const char *const *parameters, enum channel_defect defect);
	/* The client has gone, or takes nothing any more; channel_end must follow, at once or later. */
	void (*gone)(void *request);
	/* The client has taken bytes, so that there is room again. */
	void (*room)(void *request);
	void *context;
};

struct channels *channels_new(struct loop *l, const struct channel_options *options); /* NULL, logged */
/* Accepts no more. */
void channels_drain(struct channels *C);
void channels_free(struct channels *C);
/* Cuts clients that take nothing; once a second. */
void channels_tick(struct channels *C);
int64_t channels_busy(const struct channels *C); /* requests that have begun and not ended */

/* The request's body. */
const struct buf *channel_body(const struct channel *c);
/* Frees the body. */
void channel_drop_body(struct channel *c);
/* Sends bytes of the answer: the CGI head first, then the body. */
void channel_write(struct channel *c, const void *bytes, size_t length);
/* True if so many bytes wait that no more should be written now. */
bool channel_is_full(const struct channel *c);
/* Lets channel_end close the connection instead of ending the answer: the client sees that it is not whole. */
void channel_break(struct channel *c);
/* Ends the answer, or the request of a client that has gone.  The channel is not the caller's any more. */
void channel_end(struct channel *c);

#endif
