/*
 * spending: an account's use so far in the windows of its spending limits.
 */
#ifndef OCTROI_ROUTES_SPENDING_H
#define OCTROI_ROUTES_SPENDING_H

#include "routes/api/call.h"

/* Fills in the account's use so far today and this month, for an ACCOUNT command that sets a spending limit.  False,
 * rendered, on a fault. */
bool spending_count(struct call *c, struct command *command);

#endif
