/*
 * examine: gathers the facts that a diagnosis is made from: the account's own row, what is stated and paid, its use
 * this month, and the guard's verdict of a typical request of it.
 */
#ifndef OCTROI_LEDGER_EXAMINE_H
#define OCTROI_LEDGER_EXAMINE_H

#include "base/zone.h"
#include "db/reader.h"
#include "ledger/diagnosis.h"
#include "ledger/ledger.h"

struct examine_options {
	struct ledger *ledger;
	int64_t deadline_us;                   /* monotonic */
	const struct zone *zone;               /* the account's */
	int64_t input_tokens, output_tokens;   /* of a typical request */
};

/* Of the account, which was touched and then read, for the member ("" for none).  Texts of the facts live in the arena.
 * 0, or -1 on a fault; d is used, and given back by the caller. */
int examine_account(const struct examine_options *o, struct db *d, struct arena *arena, const struct account_key *key,
                    const char *member, const struct reader_account *account, struct diagnosis_facts *facts);

#endif
