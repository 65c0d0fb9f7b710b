/*
 * routes: the handlers, one for each line of routes.def.
 */
#ifndef OCTROI_ROUTES_ROUTES_H
#define OCTROI_ROUTES_ROUTES_H

#include "routes/api/call.h"

typedef void route_handler(struct call *c);

#define ROUTE(method, pattern, caller, listener, handler, cost, rows) route_handler handler;
#include "routes/routes.def"
#undef ROUTE

#endif
