/*
 * auth: the caller of a request.  API keys are compared by their SHA-256 with a copy of api_keys at most one
 * second old, or five seconds while the database does not answer.  Tokens are verified by their signature.  The
 * web server's parameters count only where the configuration trusts them.  Fails closed: no answer from the
 * database for an unknown key is "unavailable", never "let in".
 */
#ifndef OCTROI_ROUTES_AUTH_AUTH_H
#define OCTROI_ROUTES_AUTH_AUTH_H

#include "ledger/outcome.h"
#include "routes/api/call.h"

struct auth;

struct auth *auth_new(const struct config *config, struct pool *readers); /* NULL, logged, when memory is short */
void auth_free(struct auth *a);

enum caller {
	CALLER_NOBODY,
	CALLER_SIGNED, /* the handler verifies the raw body's signature before anything parses it */
	CALLER_GUARD,
	CALLER_APP,
	CALLER_ADMIN,
	CALLER_REPORT,
	CALLER_OPERATOR,
	CALLER_OWNER,
	CALLER_GATE
};

/* Fills in scope, key_id, account, member and person of the call.  OUTCOME_OK, UNAUTHORIZED, FORBIDDEN,
 * INVALID_REQUEST with the call's field (such as a missing account) or UNAVAILABLE. */
enum outcome auth_admit(struct auth *a, enum caller wanted, struct call *c);

/* The account and the member ("" for none) that a key of scope meter is bound to, in the request's arena. */
struct auth_bound {
	const char *account, *member;
};
/* Looks up a key of scope meter that a body shows.  OUTCOME_OK, METER_KEY_REFUSED or UNAVAILABLE.  Such a key opens no
 * route: its holder could settle its own holds with nothing. */
enum outcome auth_meter_key(struct auth *a, const struct request *request, const char *key, struct auth_bound *bound);

#endif
