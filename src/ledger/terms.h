/*
 * terms: what the configuration says about postpaid accounts and time, as decide needs it.  Read-only.
 */
#ifndef OCTROI_LEDGER_TERMS_H
#define OCTROI_LEDGER_TERMS_H

#include <stdint.h>

#include "base/zone.h"

struct terms_billing {
	const char *currency; /* the ledger makes it lower case, as Stripe writes it */
	int decimals;         /* of its smallest unit */
	int64_t statement_min_minor, grace_us;
	const struct zone *zone; /* of accounts without a time zone of their own */
};

#endif
