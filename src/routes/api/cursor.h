/*
 * cursor: the place where the next page of a list begins, opaque to the caller.  A cursor names its list and
 * its owner, so that a foreign cursor is refused.  Pure.
 */
#ifndef OCTROI_ROUTES_API_CURSOR_H
#define OCTROI_ROUTES_API_CURSOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/id.h"

#define CURSOR_MAX 23 /* 16 bytes in base64url, and a NUL */

enum cursor_kind { CURSOR_TRANSACTIONS, CURSOR_USAGES, CURSOR_PRICES, CURSOR_ALERTS };

/* owner NULL for a list that belongs to nobody; seq > 0. */
void cursor_format(enum cursor_kind kind, const struct account_key *owner, int64_t seq, char out[CURSOR_MAX]);
/* 0, or -1 when the text is no cursor of that list. */
int cursor_parse(const char *text, enum cursor_kind kind, const struct account_key *owner, int64_t *seq);

#endif
