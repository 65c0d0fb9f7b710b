/*
 * call: one request on its way through a route: who calls, about which account, with which body.  Made
 * by the router, seen by every handler; lives until the answer is rendered.
 */
#ifndef OCTROI_ROUTES_CALL_H
#define OCTROI_ROUTES_CALL_H

#include <stdbool.h>

#include "base/json.h"
#include "config.h"
#include "db/pool.h"
#include "edge/request.h"
#include "edge/response.h"
#include "ledger/ledger.h"

struct router;

enum scope { SCOPE_NONE, SCOPE_GUARD, SCOPE_APP, SCOPE_ADMIN, SCOPE_REPORT, SCOPE_BROWSER, SCOPE_SERVER };

struct call {
	const struct request *request;
	struct response *response;
	struct router *router;
	const struct config *config;
	struct ledger *ledger;
	struct pool *readers;
	enum scope scope;
	const char *account;    /* of OWNER routes; "" elsewhere */
	const char *member;     /* of a browser token or the server's parameters; "" when none */
	const char *segment[2]; /* what the pattern's {} stood for */
	struct json *body;      /* parsed for POST and PUT; NULL otherwise */
	bool french;            /* the caller's language */
};

typedef void route_handler(struct call *c);

#define ROUTE(method, pattern, caller, listener, handler) route_handler handler;
#include "routes/routes.def"
#undef ROUTE

#endif
