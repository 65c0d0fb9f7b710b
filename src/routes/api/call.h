/*
 * call: one request on its way through a route: its caller, its account, its body.
 * Made by the router, seen by every handler; lives until the answer is rendered.
 */
#ifndef OCTROI_ROUTES_API_CALL_H
#define OCTROI_ROUTES_API_CALL_H

#include <stdbool.h>

#include "base/json.h"
#include "clients/bulkhead.h"
#include "clients/stripe.h"
#include "config.h"
#include "db/pool.h"
#include "edge/request.h"
#include "edge/response.h"
#include "ledger/ledger.h"
#include "ledger/names.h"

struct auth;
struct edge;
struct reader_account;
struct metrics;
struct overviews;
struct router;
struct shared_keys;
struct call;

/* Renders the answer of a command of the call that the ledger answered with OK. */
typedef void call_finish(struct call *c);

enum scope { SCOPE_NONE, SCOPE_GUARD, SCOPE_APP, SCOPE_ADMIN, SCOPE_REPORT, SCOPE_METER, SCOPE_BROWSER, SCOPE_SERVER };

struct call {
	const struct request *request;
	struct response *response;
	struct router *router;
	struct auth *auth;
	struct metrics *metrics;
	struct edge *edge; /* NULL until it runs */
	const struct config *config;
	struct ledger *ledger;
	struct pool *readers;
	struct overviews *overviews;
	struct shared_keys *shared_keys;
	const struct stripe *stripe; /* NULL: payments are not set up */
	struct bulkhead *slow;       /* a handler that waits for Stripe enters it */
	enum scope scope;
	int64_t key_id;         /* of the API key; 0 without one */
	const char *account;    /* "" while unknown; on routes other than OWNER and GATE for the log */
	const char *member;     /* of a browser token or the server's parameters; "" when none */
	const char *person;     /* the issuer's id of the caller, of its token; "" when not known */
	const char *segment[2]; /* the path's parts at the pattern's {} */
	struct json *body;      /* parsed for POST and PUT; NULL otherwise */
	bool french;            /* the caller's language */
	bool gate;              /* auth_request asks: it understands 2xx, 401 and 403 only */
	enum outcome outcome;   /* OUTCOME_OK until something else is rendered */
	const char *field;      /* the wrong field of an INVALID_REQUEST of the edge or auth_admit; else NULL */
	bool delayed;           /* refused for asking too much: the answer may wait */
	int route;              /* the index of its route, for metrics */
	/* Set by call_then. */
	struct command *command;
	call_finish *finish;
	struct waiter waiter;
};

#endif
