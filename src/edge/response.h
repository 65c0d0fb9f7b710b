/*
 * response: the answer to a caller.  A route fills it in; the edge writes it out in one go.  Header values are
 * checked: a control character in one is a bug of the route, and is not passed on.
 */
#ifndef OCTROI_EDGE_RESPONSE_H
#define OCTROI_EDGE_RESPONSE_H

#include <stdbool.h>

#include "base/buf.h"

#define RESPONSE_BODY_MAX (1024 * 1024)
#define RESPONSE_HEADERS_MAX (8 * 1024)

struct response {
	int status;               /* 200 until said otherwise */
	const char *content_type; /* application/json until said otherwise; NULL: no body */
	struct buf headers;       /* "Name: value\r\n" lines */
	struct buf body;
	const char *outcome; /* name for log and metrics, such as "INSUFFICIENT_CREDITS" or "OK" */
};

void response_init(struct response *r);
void response_free(struct response *r);
/* Empties r for the next request; memory stays, but for a large body's. */
void response_reset(struct response *r);
void response_header(struct response *r, const char *name, const char *value);

/* The words after a status in HTTP's first line, "OK" after 200; "Other" for a status that is not octroi's own. */
const char *response_reason(int status);

/* For the edge: appends the whole answer as a web server expects it from CGI, X-Request-Id included.  A 503 replaces
 * an answer that outgrew its buffers.  Returns the status that out holds. */
int response_render(const struct response *r, const char *request_id, struct buf *out);

#endif
