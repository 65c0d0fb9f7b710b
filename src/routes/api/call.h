/*
 * call: one request on its way through a route: who calls, about which account, with which body.
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

struct edge;
struct reader_account;
struct metrics;
struct overviews;
struct referrals;
struct router;
struct call;

/* Renders what the ledger answered with OK to the call's command. */
typedef void call_finish(struct call *c);

enum scope {
	SCOPE_NONE, SCOPE_GUARD, SCOPE_APP, SCOPE_ADMIN, SCOPE_REPORT, SCOPE_BROWSER, SCOPE_SERVER
};

struct call {
	const struct request *request;
	struct response *response;
	struct router *router;
	struct metrics *metrics;
	struct edge *edge;      /* NULL until it runs */
	const struct config *config;
	struct ledger *ledger;
	struct pool *readers;
	struct overviews *overviews;
	struct referrals *referrals;
	const struct stripe *stripe; /* NULL: payments are not set up */
	struct bulkhead *slow;       /* a handler that waits for Stripe enters it */
	enum scope scope;
	int64_t key_id;         /* of the API key; 0 when it was none */
	const char *account;    /* "" while unknown; of other routes than OWNER and GATE for the log */
	const char *member;     /* of a browser token or the server's parameters; "" when none */
	const char *person;     /* the issuer's id for who asks, of its token; "" when not known */
	const char *segment[2]; /* what the pattern's {} stood for */
	struct json *body;      /* parsed for POST and PUT; NULL otherwise */
	bool french;            /* the caller's language */
	bool gate;              /* auth_request asks: it understands 2xx, 401 and 403 only */
	enum outcome outcome;   /* OUTCOME_OK until something else is rendered */
	const char *field;      /* what is wrong, beside INVALID_REQUEST of auth_admit; else NULL */
	bool delayed;           /* refused for asking too much: the answer has time */
	int route;              /* its place among the routes, for the figures */
	/* By call_then. */
	struct command *command;
	call_finish *finish;
	struct waiter waiter;
};

/* A command of this kind that lives as long as the call; NULL, rendered, when memory is short. */
struct command *call_command(struct call *c, enum command_kind kind);
/* The last thing that a handler does: the command is submitted once it has returned, and finish renders the answer,
 * perhaps on another thread.  A refusal is rendered without it. */
void call_then(struct call *c, struct command *command, call_finish *finish);
/* Submits the command within the request's deadline.  False when it was refused, and rendered. */
bool call_submit(struct call *c, struct command *command);
/* A connection for reading; NULL when none came free, which is rendered then.  Give it back. */
struct db *call_reader(struct call *c);

/* Makes the caller's account on first sight (who may only read, makes none), and does what was due.  False when
 * there is no account then, and that is rendered. */
bool call_touch(struct call *c, const struct account_key *key);

/* The command is the caller's own: of its member, and with a request id of its own where it is a customer. */
void call_asks(const struct call *c, struct command *command);
/* What a read may answer, once the account is known: OK, FORBIDDEN to a member that was removed, or UNAVAILABLE.  Only
 * an account with a workspace has members, so others cost no statement. */
enum outcome call_may_read(const struct call *c, struct db *d, const struct account_key *key,
                           const struct reader_account *account);

/* Whether the caller may see and change what concerns the whole account: its owner and its managers, not
 * every member.  False, rendered, when it may not, or nobody can tell. */
bool call_may_manage(struct call *c);
/* The same, only told: -1, rendered, when nobody can tell. */
int call_manages(struct call *c, bool *manages);

/* A place among those that may wait for Stripe; false, rendered, when there is none, or the account has its share, or
 * there is no Stripe.  Leave it after true. */
bool call_enter_slow(struct call *c);
void call_leave_slow(struct call *c);

typedef void route_handler(struct call *c);

#define ROUTE(method, pattern, caller, listener, handler, cost, rows) route_handler handler;
#include "routes/routes.def"
#undef ROUTE

#endif
