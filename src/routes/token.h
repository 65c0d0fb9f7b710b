/*
 * token: browser tokens, JWTs signed with HS256 by octroi itself (cjose; the only file that
 * includes it). The algorithm is pinned; a token cannot choose it.  RFC 7519, RFC 8725.
 */
#ifndef OCTROI_ROUTES_TOKEN_H
#define OCTROI_ROUTES_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

#define TOKEN_LIFE_MAX_SECONDS 900
#define TOKEN_SECRET_MIN 32

/* The token, in the arena, or NULL when memory is short.  member may be "". */
const char *token_issue(struct arena *a, const char *secret, const char *account,
                        const char *member, int64_t now_us, int64_t life_seconds);

/* 0 with account and member (in the arena), or -1: not ours, altered, expired (clock skew 5 s), or
 * not meant for this.  secret shorter than TOKEN_SECRET_MIN accepts nothing. */
int token_accept(struct arena *a, const char *secret, const char *token, size_t length,
                 int64_t now_us, const char **account, const char **member);

#endif
