/*
 * examine: gathers the facts of a diagnosis: the account's own row, its statements and payments, its use this month,
 * and the guard's verdict on a typical request.
 */
#ifndef OCTROI_REPORTS_EXAMINE_H
#define OCTROI_REPORTS_EXAMINE_H

#include "base/zone.h"
#include "ledger/ledger.h"
#include "queries/reader.h"
#include "reports/diagnosis.h"

/* Gathers the facts of the account, which the caller touched and then read; zone is the account's.  Texts of the facts
 * live in the arena.  0, or -1 on a fault. */
int examine_account(struct db *d, struct arena *arena, const struct account_key *key, const struct zone *zone,
                    const struct reader_account *account, struct diagnosis_facts *facts);

struct examine_options {
	struct ledger *ledger;
	int64_t deadline_us;                 /* monotonic */
	int64_t input_tokens, output_tokens; /* of a typical request */
};
/* Adds the verdict, for the member ("" for none), after examine_account.  The caller must have given back its
 * connection: the ledger may need the only one.  0, or -1 on a fault. */
int examine_verdict(const struct examine_options *o, const struct account_key *key, const char *account_id,
                    const char *member, struct diagnosis_facts *facts);

#endif
