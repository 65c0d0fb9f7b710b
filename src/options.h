/*
 * options: from the configuration to what the parts are made with, the same in octroi and octroictl.
 */
#ifndef OCTROI_OPTIONS_H
#define OCTROI_OPTIONS_H

#include "base/zone.h"
#include "config.h"
#include "ledger/ledger.h"

/* Strings in it are the configuration's. */
struct db_options options_database(const struct config *c);
struct price_terms options_prices(const struct config *c);
/* Of accounts that have none of their own; UTC where the configured one is not known here, which is the doctor's to
 * complain about. */
const struct zone *options_zone(const struct config *c);
/* Strings in it are the configuration's, which must outlive the ledger. */
struct ledger_options options_ledger(const struct config *c, struct pool *pool);

#endif
