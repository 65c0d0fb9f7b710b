/*
 * origin: the page that a browser's request comes from, for callers whose browser sends credentials by itself.
 */
#ifndef OCTROI_ROUTES_AUTH_ORIGIN_H
#define OCTROI_ROUTES_AUTH_ORIGIN_H

#include <stdbool.h>

#include "edge/request.h"

/* Whether the request says that a page of another origin sent it.  The own origin is that of public_url; where that is
 * empty, the host that the request was sent to.  Programs that are no browser say nothing, and are not foreign. */
bool origin_is_foreign(const struct request *r, const char *public_url);

#endif
