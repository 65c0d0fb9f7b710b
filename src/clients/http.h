/*
 * http: one HTTP request to another server, by libcurl, which only http.c and smtp.c include.  Bounded in time and
 * in bytes, follows no redirect, uses no proxy of the environment, verifies TLS.  Headers and bodies may
 * hold secrets: nothing of them is ever logged here.  Thread-safe; waits on the calling thread, so never
 * call it with a lock held.
 */
#ifndef OCTROI_CLIENTS_HTTP_H
#define OCTROI_CLIENTS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define HTTP_HEADERS_MAX 8
#define HTTP_ERROR_MAX 256
#define HTTP_VALUE_MAX 256

struct http_request {
	const char *method;                    /* "GET" */
	const char *url;                       /* http or https */
	const char *headers[HTTP_HEADERS_MAX]; /* "Name: value", NULL after the last */
	const char *body;                      /* NULL: none */
	size_t body_length;
	int64_t deadline_us; /* monotonic; the request ends then */
	size_t answer_max;   /* of the body; a larger one is no answer */
	bool discard;        /* the body is read and dropped, whatever its size */
	bool outside_only;   /* connects to no address of this machine or of a private net (address.h) */
	const char *ca_file; /* certificates that are trusted instead of the system's; NULL or "": the system's */
};

struct http_answer {
	int status;                 /* 0: there was no answer */
	struct buf body;            /* http_answer_free gives it back */
	struct buf head;            /* header lines */
	bool refused;               /* an address was not connected to, because of outside_only */
	int64_t date_us;            /* of the Date header, to the second; 0: none */
	char error[HTTP_ERROR_MAX]; /* when there was no answer; never holds a part of the request */
};

/* 0, or -1 when there was no answer.  answer is initialised here; free it in both cases. */
int http_send(const struct http_request *request, struct http_answer *answer);
void http_answer_free(struct http_answer *answer);

/* An HTTP date in micros since 1970; 0: it is none. */
int64_t http_date_us(const char *text);

/* Begins libcurl, once in a process; for smtp.c. */
void http_begin(void);

/* A header of the answer, by its name in any case; "" when it did not come or is too long. */
void http_header(const struct http_answer *answer, const char *name, char value[HTTP_VALUE_MAX]);

#endif
