/*
 * options: the settings of a ledger, given when it starts.
 */
#ifndef OCTROI_LEDGER_OPTIONS_H
#define OCTROI_LEDGER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "db/pool.h"
#include "ledger/terms.h"
#include "prices/price.h"

struct ledger_options {
	struct pool *pool; /* lends the connection of each batch; outlives the ledger */
	int batch_max, queue_max;
	/* The ledger has threads of its own, for ledger_post.  Without them one batch is in flight at a time. */
	bool commit_threads;
	int64_t holds_max;
	int64_t orders_open_max;
	bool capture_expired;       /* a hold that expires without a settlement is charged its estimate */
	micros action_price_micros; /* credits of an action without a price; 0: refused */
	struct price_terms terms;   /* for actions without a price */
	struct terms_use use;
	struct terms_billing billing;
	struct terms_grace grace;
};

#endif
