/*
 * examine: gathers the facts that a diagnosis is made from: the account's own row, what is stated and paid, its use
 * this month, and the guard's verdict of a typical request of it.
 */
#ifndef OCTROI_REPORTS_EXAMINE_H
#define OCTROI_REPORTS_EXAMINE_H

#include "base/zone.h"
#include "ledger/ledger.h"
#include "queries/reader.h"
#include "reports/diagnosis.h"

/* Of the account, which was touched and then read; zone is its own.  Texts of the facts live in the arena.  0, or -1
 * on a fault. */
int examine_account(struct db *d, struct arena *arena, const struct account_key *key, const struct zone *zone,
                    const struct reader_account *account, struct diagnosis_facts *facts);

struct examine_options {
	struct ledger *ledger;
	int64_t deadline_us;                 /* monotonic */
	int64_t input_tokens, output_tokens; /* of a typical request */
};
/* Then the verdict, for the member ("" for none).  The ledger may need the one connection that there is: the caller has
 * given its own back.  0, or -1 on a fault. */
int examine_verdict(const struct examine_options *o, const struct account_key *key, const char *account_id,
                    const char *member, struct diagnosis_facts *facts);

#endif
