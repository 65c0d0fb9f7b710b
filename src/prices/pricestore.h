/*
 * pricestore: writes new versions of prices and plans.  A written version never changes.  A new version
 * has rows for the prices that differ from those in force at its start.  Writers exclude each other by
 * the version's number, its primary key: the second writer waits, and starts again.
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
	PRICESTORE_PAST,      /* the version would start before the database's now */
	PRICESTORE_FAULT      /* logged; a second call finds out whether the version was stored */
};

struct pricestore_change {
	struct price_terms terms;
	int64_t starts_at_us;       /* 0: the database's now */
	const char *note;           /* "" when none */
	const struct price *prices; /* version, start and terms are not looked at; no item twice */
	size_t count;
	const struct plan *plans; /* valid; version and start are not looked at either */
	size_t plan_count;
	bool first_plans; /* store plans only if there is no plan yet */
	bool dry_run;     /* all but the COMMIT */
};

struct pricestore_report {
	int64_t version, starts_at_us; /* of the version that was stored, or would have been */
	int64_t stored, unchanged;     /* prices and plans */
};

/* Adds the prices that differ in provider, figures or terms, and the plans that differ, as one version.
 * Runs in a transaction of its own: d must have none open. */
enum pricestore_result pricestore_add(struct db *d, const struct pricestore_change *change,
                                      struct pricestore_report *report);

/*
 * Gives every price the terms (margin, exchange rate, value of a credit) of the configuration, if
 * its own differ.  Prices in force get them from now on.  Prices that are still to start get them
 * from their start on; each start is a version of its own.  The report is of the last version.
 */
enum pricestore_result pricestore_reprice(struct db *d, const struct price_terms *terms,
                                          struct pricestore_report *report);

#endif
