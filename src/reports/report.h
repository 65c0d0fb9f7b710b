/*
 * report: the arithmetic of an operator's reports.  Capacity compares people's expected or actual use with their plan's
 * allowance.  Margin compares the revenue of use with its purchase price.  Pure, in whole numbers.
 */
#ifndef OCTROI_REPORTS_REPORT_H
#define OCTROI_REPORTS_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/money.h"
#include "prices/plan.h"

/* Tenths of a percent that part is of whole (> 0), half away from zero; cut to the range of an int64. */
int64_t report_tenths(__int128 part, __int128 whole);

/* ---- capacity ---- */

enum report_verdict {
#define VERDICT(NAME, name, condition, english, french) REPORT_##NAME,
#include "reports/report_verdicts.def"
#undef VERDICT
	REPORT_VERDICTS
};

struct report_capacity {
	micros expected, allowed, left; /* left: allowed less expected; may be negative */
	int64_t used_tenths;            /* tenths of a percent that expected is of allowed */
	int64_t margin_percent;         /* whole percent that left is of allowed, half away from zero */
	enum report_verdict verdict;    /* the first of report_verdicts.def; percents are 0 where nothing is allowed */
};
void report_capacity(micros expected, micros allowed, struct report_capacity *out);
const char *report_verdict_name(enum report_verdict verdict);
const char *report_verdict_text(enum report_verdict verdict, bool french);

/* The capacity of a plan with all its seats taken; of a plan with any number of seats, seats_from are taken.  scope is
 * the plan's own.  PLAN_SEAT for a PLAN_POOL plan assumes that each member had the pool's credits.  False for any other
 * scope. */
bool report_plan(const struct plan *p, enum plan_scope scope, struct report_capacity *out);

/* The use of a period by its end, at the pace since its beginning, but at least since a day ago; rounded down. */
micros report_project(micros used, int64_t start_us, int64_t end_us, int64_t now_us);

/* ---- margin ---- */

/* A sum of parts, in micros of the currency times 10^6.  Customers paid the cost of use at their prices, less the part
 * that bonuses and allowances paid (given), plus plans' fees.  The provider was paid the list price, which is the cost
 * less the margin of its price version.  The provider's price is exact to a micro for each request, as the cost of a
 * request is rounded up. */
struct report_margin {
	int64_t requests;
	__int128 used, given, fees, provider;
};
struct report_part {
	enum account_unit unit;
	enum price_kind kind;
	int64_t requests, margin_ppm, credit_value_ppm; /* of the price version */
	micros cost;
};
void report_add_use(struct report_margin *m, const struct report_part *p);
void report_add_given(struct report_margin *m, const struct report_part *p);
/* Adds fees in the currency's smallest unit, which has so many decimals. */
void report_add_fees(struct report_margin *m, int64_t minor, int decimals);

struct report_result {
	micros used, given, fees, revenue, provider, margin; /* all rounded down, except provider: up */
	bool has_percent;                                    /* false: there was no revenue */
	int64_t margin_tenths;                               /* of a percent of revenue */
};
void report_close(const struct report_margin *m, struct report_result *out);

#endif
