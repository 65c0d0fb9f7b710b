/*
 * margins: the revenue of use and the provider's cost of it, by plan, workspace, model or day.  Reads the database, and
 * computes by report.h.
 */
#ifndef OCTROI_REPORTS_MARGINS_H
#define OCTROI_REPORTS_MARGINS_H

#include "queries/insight.h"
#include "reports/report.h"

struct margins_options {
	enum insight_grouping by;
	struct reader_span span;
	const char *after; /* only names behind this one; NULL: from the first */
	int limit;
	int64_t credit_value_ppm; /* for use at no price version */
	int decimals;             /* of the currency's smallest unit */
};
struct margins_row {
	const char *name; /* a plan, "" for none; an account; a model or an action; a day in UTC */
	struct report_margin sums;
};
/* Reads rows by name, bytewise; *more when there are others.  0, or -1 on a fault. */
int margins_read(struct db *d, struct arena *a, const struct margins_options *o, struct margins_row **rows, int *count,
                 bool *more);
/* The sum of all rows. */
struct report_margin margins_total(const struct margins_row *rows, int count);

/* "plan", "workspace", "model", "day"; -1 for any other name. */
int margins_by(const char *name);

#endif
