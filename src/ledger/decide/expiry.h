/*
 * expiry: the events of a grant that expires.  Before the expiry the account is told of it, at terms.  Pure.
 */
#ifndef OCTROI_LEDGER_DECIDE_EXPIRY_H
#define OCTROI_LEDGER_DECIDE_EXPIRY_H

#include "ledger/rows/table.h"

/* The days of a term, the longest first.  A plan's allowance has no terms, because each of its periods ends so. */
#define EXPIRY_TERMS 2
int64_t expiry_term_days(int64_t term);
/* The number of terms of a grant that expires then that are behind at at_us; expires_at_us 0: none. */
int64_t expiry_terms_behind(int64_t expires_at_us, int64_t at_us);
/* The next event of a grant with a rest: a term, or its expiry; INT64_MAX: none. */
int64_t expiry_next_us(const struct grants_row *g);

#endif
