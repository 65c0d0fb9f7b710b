/*
 * report: the arithmetic of an operator's reports: what people are expected to use, or do use, against what their plan
 * allows; and what use brought in against what it had been bought for.  Pure, in whole numbers.
 */
#ifndef OCTROI_REPORTS_REPORT_H
#define OCTROI_REPORTS_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/money.h"
#include "prices/plan.h"

/* Tenths of a percent that part is of whole (> 0), half away from zero; what does not fit is as much as fits. */
int64_t report_tenths(__int128 part, __int128 whole);

/* ---- capacity ---- */

enum report_verdict {
#define VERDICT(NAME, name, condition, english, french) REPORT_##NAME,
#include "reports/report_verdicts.def"
#undef VERDICT
	REPORT_VERDICTS
};

struct report_capacity {
	micros expected, allowed, left; /* left: of what is allowed beyond what is expected; may be negative */
	int64_t used_tenths;            /* tenths of a percent that expected is of allowed */
	int64_t margin_percent;         /* whole percent that left is of allowed, half away from zero */
	enum report_verdict verdict;    /* the first of report_verdicts.def; percents are 0 where nothing is allowed */
};
void report_capacity(micros expected, micros allowed, struct report_capacity *out);
const char *report_verdict_name(enum report_verdict verdict);
const char *report_verdict_text(enum report_verdict verdict, bool french);

/* A plan with all its seats taken (where it has any number: those that it begins with).  SEAT asked of a POOL plan is
 * what if each member had the pool's credits; false: the plan is neither of that scope nor can be asked that. */
bool report_plan(const struct plan *p, enum plan_scope scope, struct report_capacity *out);

/* What will be used of a period at the pace since its beginning, but at least since a day ago; rounded down. */
micros report_project(micros used, int64_t start_us, int64_t end_us, int64_t now_us);

/* ---- margin ---- */

/* A sum of parts, in micros of the currency times 10^6.  What customers paid is what use cost at their prices, without
 * what bonuses and allowances paid of it, and plans' fees; the provider was paid the list price, which is the cost less
 * the margin of its price version: exact to a micro for each request, which is rounded up. */
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
/* In the currency's smallest unit, of so many decimals. */
void report_add_fees(struct report_margin *m, int64_t minor, int decimals);

struct report_result {
	micros used, given, fees, revenue, provider, margin; /* all rounded down, what is the provider's up */
	bool has_percent;                                    /* false: nothing came in */
	int64_t margin_tenths;                               /* of a percent of revenue */
};
void report_close(const struct report_margin *m, struct report_result *out);

#endif
