/*
 * planstore: writes plans into the database.  A plan that differs from its newest version is written as a new
 * version, with the prices of the same version if there are any (pricestore).
 */
#ifndef OCTROI_PRICES_PLANSTORE_H
#define OCTROI_PRICES_PLANSTORE_H

#include "db/db.h"
#include "prices/book.h"

struct planstore_report {
	int64_t stored, unchanged;
};

/* Inserts the plans that differ from those of before, in the transaction that has claimed the version.  sql is scratch
 * space for the statement.  The counts are added to report. */
enum db_result planstore_insert(struct db *d, struct buf *sql, const struct book *before, int64_t version,
                                const struct plan *plans, size_t count, struct planstore_report *report);

#endif
