/*
 * terms: the configuration of postpaid accounts and time, as decide needs it.  Read-only.
 */
#ifndef OCTROI_LEDGER_TERMS_H
#define OCTROI_LEDGER_TERMS_H

#include <stdint.h>

#include "base/zone.h"
#include "prices/counts.h"
#include "prices/topup_bonus.h"

/* plan_upgrade: the effect of a paid upgrade within a paid period.  plan_free_periods: the periods that are given
 * although they cost nothing. */
enum plan_upgrade { UPGRADE_PRORATED, UPGRADE_FULL, UPGRADE_NEXT_PERIOD };
enum plan_free_periods { FREE_NONE, FREE_TRIALS, FREE_ALL };

/* estimate: the bounds of a request for a model that is not priced by tokens, and does not say its counts.
 * provider_cost: the setting of that name. */
struct terms_use {
	struct counts estimate;
	const char *provider_cost;
};

struct terms_billing {
	const char *currency;       /* the ledger makes it lower case, as Stripe writes it */
	int decimals;               /* of the currency's smallest unit */
	int64_t low_balance_micros; /* the threshold of money accounts without their own; 0: none */
	int64_t statement_min_minor, grace_us;
	enum plan_upgrade plan_upgrade;
	enum plan_free_periods plan_free_periods;
	struct topup_bonus topup_bonus;
	const struct zone *zone; /* of accounts without a time zone of their own */
};

#endif
