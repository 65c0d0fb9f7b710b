/*
 * asker: requests to octroi's API by the meter's own key, on the loop's thread.  An answer is collected, bounded, and
 * parsed.  Nothing of a request or of a key is ever logged here.
 */
#ifndef OCTROI_METER_ASKER_H
#define OCTROI_METER_ASKER_H

#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "meter/transfer.h"

struct asker;

/* url: http://…, https://… or unix:/path, without a slash at its end.  NULL, logged, when memory is short. */
struct asker *asker_new(struct transfers *transfers, const char *url, const char *key);
/* After transfers_free: requests without an answer end with it. */
void asker_free(struct asker *a);

#define ASKER_NOT_SENT (-1) /* no byte of the request has left */

/* status 0: there was no answer; answer NULL: its body is no JSON.  The document lives for the call only. */
typedef void asker_done(void *context, int status, const struct json *answer);

struct asking;

/* Posts the body, or gets the path without one (body NULL).  NULL when memory is short: then nothing is called. */
struct asking *asker_ask(struct asker *a, const char *path, const struct buf *body, asker_done *done, void *context);
/* Nothing is called any more; the request may have its effect all the same. */
void asker_forget(struct asking *asking);

/* Requests that got no answer, or 5xx, since the start. */
int64_t asker_errors(const struct asker *a);

#endif
