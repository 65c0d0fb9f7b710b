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

/* A use is booked at the latest a day after the end of its grace.  Another place has a grace only then, so that no
 * account has more than one amount that may still be booked. */
#define TERMS_GRACE_BOOK_US INT64_C(86400000000)

/* The amount that a place may use for an account while octroi does not answer (0: none), and the time for which. */
struct terms_grace {
	int64_t amount_micros, life_us;
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
