/*
 * transfer: HTTP requests to other servers, hundreds at once on the loop's thread, by libcurl's multi interface.  TLS
 * is verified, no redirect is followed, no proxy of the environment is used.  A receiver that cannot take more pauses
 * the transfer, so that the server is read no further.  Nothing of a request is ever logged here.
 */
#ifndef OCTROI_METER_TRANSFER_H
#define OCTROI_METER_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "meter/loop.h"

#define TRANSFER_HEADERS_MAX 16
#define TRANSFER_ERROR_MAX 128

struct transfers;
struct transfer;

enum transfer_end {
	TRANSFER_WHOLE,     /* the answer came whole */
	TRANSFER_NOT_SENT,  /* no byte of the request has left */
	TRANSFER_BROKEN_OFF /* anything else */
};

struct transfer_options {
	const char *method, *url;
	const char *socket; /* path of a unix socket that is connected to; NULL: the URL's host */
	const char *headers[TRANSFER_HEADERS_MAX]; /* "Name: value", NULL after the last */
	char *body;                                /* NULL: none; the transfer frees it */
	size_t body_length;
	int64_t connect_ms;
	int64_t whole_ms; /* the request ends then; 0: no limit */
	/* The status, then each header line of the answer without its end; "" is the last.  A further status begins
	 * anew. */
	void (*on_status)(void *context, int status);
	void (*on_header)(void *context, const char *line, size_t length);
	/* False: nothing was taken, and the transfer is paused until transfer_resume. */
	bool (*on_body)(void *context, const char *bytes, size_t length);
	/* The last call; the transfer is gone after that. */
	void (*on_end)(void *context, enum transfer_end end, const char *error);
	void *context;
};

/* ca_file: certificates that are trusted instead of the system's; "": the system's.  NULL, logged, when something
 * outside failed. */
struct transfers *transfers_new(struct loop *l, const char *ca_file);
/* Cancels what is left. */
void transfers_free(struct transfers *T);

/* NULL when memory is short: then the body is freed, and nothing is called. */
struct transfer *transfer_begin(struct transfers *T, const struct transfer_options *options);
/* Not from within a call of this transfer. */
void transfer_resume(struct transfer *t);
/* Cuts the transfer; nothing is called for it any more.  Not from within a call of this transfer.  True if a part of
 * the request may have left. */
bool transfer_cancel(struct transfer *t);

/* Does what is due by time; called after each loop_wait.  The monotonic time of the next such call is the result. */
int64_t transfers_tick(struct transfers *T);

#endif
