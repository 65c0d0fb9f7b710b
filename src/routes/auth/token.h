/*
 * token: browser tokens: JWTs that octroi itself signs with HS256, and those of a configured issuer such
 * as Clerk, signed with RS256 or ES256 (cjose; the only file that includes it).  Algorithms are pinned;
 * a token cannot choose one.  RFC 7515, RFC 7519, RFC 8725.  Pure, thread-safe.
 */
#ifndef OCTROI_ROUTES_AUTH_TOKEN_H
#define OCTROI_ROUTES_AUTH_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

#define TOKEN_LIFE_MAX_SECONDS 900
#define TOKEN_SECRET_MIN 32

/* Before any other use: lets cjose allocate so that a shortage is noted (memory.h). */
void token_watch_memory(void);

/* The token, in the arena, or NULL when memory is short.  member may be "". */
const char *token_issue(struct arena *a, const char *secret, const char *account, const char *member, int64_t now_us,
                        int64_t life_seconds);

/* 0 with account and member (in the arena), or -1: not ours, altered, expired (clock skew 5 s), or
 * not meant for this.  secret shorter than TOKEN_SECRET_MIN accepts nothing. */
int token_accept(struct arena *a, const char *secret, const char *token, size_t length, int64_t now_us,
                 const char **account, const char **member);

/* A token for an operator's pages: it names no account, and is none of the tokens that token_accept takes. */
#define TOKEN_OPERATOR_LIFE_MAX_SECONDS 3600
const char *token_issue_operator(struct arena *a, const char *secret, int64_t now_us, int64_t life_seconds);
/* True for such a token, as token_accept: ours, unaltered, in time. */
bool token_accept_operator(struct arena *a, const char *secret, const char *token, size_t length, int64_t now_us);

/* The demands on another issuer's tokens; strings are never NULL. */
struct token_issuer {
	const char *issuer;
	const char *algorithm;      /* "RS256" or "ES256" */
	const char *audience;       /* "": a token must have none */
	const char *parties;        /* separated by blanks or commas; "": any */
	const char *account_claim;  /* "sub"; "o.id": member id of claim o, unless there is a claim "o.id" */
	const char *account_prefix; /* put before the value of the claim */
	const char *member_claim;   /* "": no member */
};

/* In the arena, as far as they do not point into it already. */
struct token_claims {
	const char *account, *member;
	const char *person; /* sub */
};

/* The id of the key in the token's header, in the arena.  NULL when the text is no token of that
 * algorithm.  Nothing about the token has been verified. */
const char *token_key_id(struct arena *a, const char *algorithm, const char *token, size_t length);

/* 0 with the claims, or -1.  jwk: the issuer's key of that id, a JSON text; RSA of fewer than 2048 bits
 * is refused. */
int token_accept_issued(struct arena *a, const struct token_issuer *issuer, const char *jwk, const char *token,
                        size_t length, int64_t now_us, struct token_claims *claims);

#endif
