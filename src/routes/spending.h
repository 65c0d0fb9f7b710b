/*
 * spending: the days and months in which spending limits count, in the account's own time zone.
 */
#ifndef OCTROI_ROUTES_SPENDING_H
#define OCTROI_ROUTES_SPENDING_H

#include "base/zone.h"
#include "queries/reader.h"
#include "routes/api/call.h"

/* The account's time zone, or the configured one; never NULL. */
const struct zone *spending_zone(const struct call *c, const struct reader_account *a);

/* Fills in the account's use so far today and this month, for an ACCOUNT command that sets a spending limit.  False,
 * rendered, on a fault. */
bool spending_count(struct call *c, struct command *command);

#endif
