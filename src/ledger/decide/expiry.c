#include "ledger/decide/expiry.h"

#include "base/check.h"
#include "base/clock.h"
#include "ledger/command.h"

#define DAY_US (INT64_C(86400) * CLOCK_US_PER_SECOND)

int64_t expiry_term_days(int64_t term)
{
	static const int64_t days[EXPIRY_TERMS] = {7, 1};

	CHECK(term >= 0 && term < EXPIRY_TERMS);
	return days[term];
}

int64_t expiry_terms_behind(int64_t expires_at_us, int64_t at_us)
{
	int64_t behind = 0;

	CHECK(expires_at_us >= 0);
	while (expires_at_us != 0 && behind < EXPIRY_TERMS &&
	       expires_at_us - expiry_term_days(behind) * DAY_US <= at_us)
		behind++;
	return behind;
}

/* Times are above 0: the terms of a grant that expires in the first days of 1970 are at its beginning. */
int64_t expiry_next_us(const struct grants_row *g)
{
	int64_t term_us;

	CHECK(g->warned >= 0 && g->warned <= EXPIRY_TERMS);
	if (g->expires_at_us == 0)
		return INT64_MAX;
	if (g->type == TRANSACTION_PLAN_ALLOWANCE || g->warned == EXPIRY_TERMS)
		return g->expires_at_us;
	term_us = g->expires_at_us - expiry_term_days(g->warned) * DAY_US;
	return term_us > 0 ? term_us : 1;
}
