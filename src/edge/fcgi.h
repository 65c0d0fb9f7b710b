/*
 * fcgi: the only file that knows libfcgi.  libfcgi's calls block and read ahead, so it never reads from a connection.
 * A struct fcgi feeds it the bytes of one whole request (checked by frame.h) from a request buffer, a file in memory.
 * libfcgi gets the connection only to write the answer to.  So it cannot wait for a peer, read into the next request,
 * or close a descriptor that the conn_set still counts.
 *
 * A struct fcgi belongs to one thread at a time.  The request buffer is free again once the body is taken.  So a thread
 * needs one request buffer, however many requests wait for their answers.
 */
#ifndef OCTROI_EDGE_FCGI_H
#define OCTROI_EDGE_FCGI_H

#include <stdbool.h>
#include <stddef.h>

struct fcgi;
struct fcgi_reqbuf;

/* Call it once per process, before the first thread.  The signal handlers that libfcgi installs are undone.  0, or
 * -1, logged. */
int fcgi_init(void);

/* NULL, logged, when there is no memory or no descriptor. */
struct fcgi_reqbuf *fcgi_reqbuf_new(void);
void fcgi_reqbuf_free(struct fcgi_reqbuf *reqbuf); /* NULL is harmless */

/* NULL, logged, when there is no memory. */
struct fcgi *fcgi_new(void);
void fcgi_free(struct fcgi *f); /* NULL is harmless */

/* Reads, through the request buffer, the parameters of the one request in bytes, which may end within its body.  0;
 * -1, logged, when the buffer cannot be written or libfcgi refuses the request.  After 0, fcgi_end must follow. */
int fcgi_begin(struct fcgi *f, struct fcgi_reqbuf *reqbuf, const unsigned char *bytes, size_t length);
/* The parameters as "NAME=value", NULL at the end; valid until fcgi_end. */
const char *const *fcgi_parameters(const struct fcgi *f);
/* Copies at most max bytes of the body to out; returns how many.  Gives the request buffer back. */
size_t fcgi_body(struct fcgi *f, char *out, size_t max);
/* Writes the answer and the end of the request to the connection, which must be blocking.
 * 0, or -1 when the peer did not take it: nothing more may be written there. */
int fcgi_answer(struct fcgi *f, int connection, const char *bytes, size_t length);
/* Ends the request.  True when the web server asked to keep the connection. */
bool fcgi_end(struct fcgi *f);

#endif
