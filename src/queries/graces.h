/*
 * graces: the amounts of which places may still book uses (ledger/decide/grace.h), as they are shown.
 */
#ifndef OCTROI_QUERIES_GRACES_H
#define OCTROI_QUERIES_GRACES_H

#include "base/id.h"
#include "db/db.h"

#define GRACES_PLACE_MAX 33

/* Of one unit: the accounts whose places may still book a use, and what these may still come to. */
struct graces_out {
	int64_t accounts, out_micros;
};
struct graces_sums {
	struct graces_out money, credit;
};
int graces_sum(struct db *d, struct graces_sums *sums); /* 0, or -1 on a fault */

/* Of one account; place "": none. */
struct graces_one {
	char place[GRACES_PLACE_MAX];
	int64_t out_micros, booked_micros, ends_at_us;
};
int graces_of(struct db *d, const struct account_key *key, struct graces_one *out); /* 0, or -1 on a fault */

#endif
