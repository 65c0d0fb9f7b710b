/*
 * etag: answers that are the same for everybody, and may be kept for a while by browsers and caches (RFC 9110 section
 * 13.1.2, RFC 9111).
 */
#ifndef OCTROI_ROUTES_API_ETAG_H
#define OCTROI_ROUTES_API_ETAG_H

#include <stdbool.h>

#include "base/digest.h"
#include "routes/api/call.h"

/* Names the answer by a digest of all its parts, and lets it be kept for a minute.  True: the caller has the answer
 * already, and 304 is rendered; nothing more is to be rendered. */
bool etag_known(struct call *c, const unsigned char digest[DIGEST_BYTES]);

#endif
