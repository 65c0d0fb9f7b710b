/*
 * router: from a request to the one handler of routes.def that serves it, with the caller known and
 * entitled.  The edge calls router_handle on its worker threads.
 */
#ifndef OCTROI_ROUTES_ROUTER_H
#define OCTROI_ROUTES_ROUTER_H

#include "config.h"
#include "db/pool.h"
#include "edge/edge.h"
#include "ledger/ledger.h"

struct router;

struct router_options {
	const struct config *config;
	struct ledger *ledger;
	int workers, reader_count; /* threads that serve; connections in readers */
	int slow_max;              /* handlers that may wait for Stripe at once; at least 1 */
	struct pool *readers;      /* never the ledger's batch connection, except with one connection for all */
	struct pool *key_reader;   /* for API keys alone, so that no read delays them; as readers otherwise */
};

/* NULL, logged, when memory or threads are short. */
struct router *router_new(const struct router_options *options);
void router_free(struct router *r);

/* An edge_handler; context is the router. */
enum edge_result router_handle(void *context, const struct request *request, struct response *response);

/* Serves a GET for the operator's own program: no caller is asked for, and the answer is as to an admin key.  account
 * and member: those of the caller, on a route of OWNER; else "".  Any thread. */
void router_read(struct router *r, const struct request *request, const char *account, const char *member,
                 struct response *response);

/* For /metrics; set once the edge runs, NULL before. */
void router_set_edge(struct router *r, struct edge *e);
/* About once a second, one thread: does due work of accounts without a request, and prunes. */
void router_housekeep(struct router *r);

#endif
