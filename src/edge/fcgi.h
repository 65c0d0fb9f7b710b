/*
 * fcgi: the only file that knows libfcgi.  libfcgi's calls block and read ahead, so it never reads from a connection.
 * A loan feeds it the bytes of one whole request (checked by frame.h) from a tape, a file in memory.  The loan gives
 * it the connection only to write the answer to.  So libfcgi cannot wait for a peer, swallow the next request, or
 * close a descriptor that the lobby still counts.
 *
 * One loan belongs to one thread at a time.  The tape is free again once the body is taken.  So a thread needs one
 * tape, however many loans wait for their answers.
 */
#ifndef OCTROI_EDGE_FCGI_H
#define OCTROI_EDGE_FCGI_H

#include <stdbool.h>
#include <stddef.h>

struct fcgi;
struct fcgi_tape;

/* Call it once per process, before the first thread.  The signal handlers that libfcgi installs are undone.  0, or
 * -1, logged. */
int fcgi_init(void);

/* NULL, logged, when there is no memory or no descriptor. */
struct fcgi_tape *fcgi_tape_new(void);
void fcgi_tape_free(struct fcgi_tape *tape); /* NULL is harmless */

/* NULL, logged, when there is no memory. */
struct fcgi *fcgi_new(void);
void fcgi_free(struct fcgi *f); /* NULL is harmless */

/* Reads, through the tape, the parameters of the one request in bytes, which may end within its body.  0; -1,
 * logged, when the tape cannot be written or libfcgi refuses the request.  After 0, fcgi_end must follow. */
int fcgi_begin(struct fcgi *f, struct fcgi_tape *tape, const unsigned char *bytes, size_t length);
/* The parameters as "NAME=value", NULL at the end; valid until fcgi_end. */
const char *const *fcgi_parameters(const struct fcgi *f);
/* Copies at most max bytes of the body to out; returns how many.  Gives the tape back. */
size_t fcgi_body(struct fcgi *f, char *out, size_t max);
/* Writes the answer and the end of the request to the connection, which must be blocking.
 * 0, or -1 when the peer did not take it: nothing more may be written there. */
int fcgi_answer(struct fcgi *f, int connection, const char *bytes, size_t length);
/* Ends the loan.  True when the web server asked to keep the connection. */
bool fcgi_end(struct fcgi *f);

#endif
