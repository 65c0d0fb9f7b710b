/*
 * options: makes the options of the parts from the configuration, the same in octroi and octroictl.
 */
#ifndef OCTROI_OPTIONS_H
#define OCTROI_OPTIONS_H

#include "base/zone.h"
#include "config.h"
#include "ledger/ledger.h"
#include "queries/shown.h"
#include "worker/courier.h"

/* Strings in it are the configuration's. */
struct db_options options_database(const struct config *c);
struct price_terms options_prices(const struct config *c);
/* Time zone of accounts that have none of their own.  UTC where the configured one is not known here; octroictl
 * doctor complains about that. */
const struct zone *options_zone(const struct config *c);
/* The time zone of the account's workspace, or of the account without one; the configured one by default. */
const struct zone *options_zone_of(const struct config *c, const struct reader_account *account);
/* The setting estimate_counts. */
struct counts options_estimate(const struct config *c);
/* Strings in it are the configuration's, which must outlive the ledger. */
struct ledger_options options_ledger(const struct config *c, struct pool *pool);

/* page: where customers top up, which must outlive the options. */
struct courier_options options_courier(const struct config *c, struct pool *pool, const char *page);

#endif
