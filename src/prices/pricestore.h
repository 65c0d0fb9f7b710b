/*
 * pricestore: writes new versions of prices and plans.  Nothing that was written ever changes: a version is
 * added, with rows for what differs from the prices in force at its start.  Writers exclude each
 * other by the version's number, its primary key: whoever comes second waits, and starts again.
 */
#ifndef OCTROI_PRICES_PRICESTORE_H
#define OCTROI_PRICES_PRICESTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "prices/plan.h"
#include "prices/price.h"

#define PRICESTORE_NOTE_MAX 255 /* characters */

enum pricestore_result {
	PRICESTORE_STORED,
	PRICESTORE_UNCHANGED, /* nothing differs: no new version */
	PRICESTORE_PAST,      /* it would start before the database's now */
	PRICESTORE_FAULT      /* logged; whether it was stored can be found out by doing it again */
};

struct pricestore_change {
	struct price_terms terms;
	int64_t starts_at_us;       /* 0: the database's now */
	const char *note;           /* "" when none */
	const struct price *prices; /* version, start and terms are not looked at; no item twice */
	size_t count;
	const struct plan *plans;   /* valid ones; their version and start are not looked at either */
	size_t plan_count;
	bool first_plans; /* not if there is any plan already */
	bool dry_run; /* all but the COMMIT */
};

struct pricestore_report {
	int64_t version, starts_at_us; /* of what was stored, or would have been */
	int64_t stored, unchanged;     /* prices and plans */
};

/* Adds the prices that differ, in provider, figures or terms, and the plans that do, as one version.
 * In a transaction of its own: d must have none open. */
enum pricestore_result pricestore_add(struct db *d, const struct pricestore_change *change,
                                      struct pricestore_report *report);

/*
 * Gives every price the terms (margin, exchange rate, value of a credit) of the configuration,
 * where they are others: those in force from now on, and those that are still to start from their
 * start on, each start as a version of its own.  The report is of the last version.
 */
enum pricestore_result pricestore_reprice(struct db *d, const struct price_terms *terms,
                                          struct pricestore_report *report);

#endif
