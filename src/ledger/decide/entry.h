/*
 * entry: one line of the journal.  Entries of an account are numbered 1, 2, 3… without a gap.  Each
 * carries the balance before and after, and names the grant that paid (0: none, debt).  Each is chained to the
 * one before by SHA-256, so that none can be changed, added or removed unseen.
 */
#ifndef OCTROI_LEDGER_DECIDE_ENTRY_H
#define OCTROI_LEDGER_DECIDE_ENTRY_H

#include "base/digest.h"
#include "ledger/rows/table.h"

enum entry_kind {
	ENTRY_USAGE,       /* usage_seq names the usage; amount < 0 */
	ENTRY_TRANSACTION, /* transaction_seq names the transaction */
	ENTRY_DEBT,        /* a grant pays an earlier debt: a pair that sums to zero */
	ENTRY_REVERSAL,    /* part of a captured estimate given back; usage_seq, amount > 0 */
	ENTRY_RECORD       /* a usage ends or changes and nothing moves; usage_seq, amount 0 */
};

/* The other side of an entry, so that the whole journal sums to zero. */
enum counterpart {
	COUNTERPART_USAGE,
	COUNTERPART_STRIPE,
	COUNTERPART_BONUS,
	COUNTERPART_ALLOWANCE,
	COUNTERPART_EXPIRY,
	COUNTERPART_REFUND,
	COUNTERPART_DISPUTE,
	COUNTERPART_ADJUSTMENT,
	COUNTERPART_DEBT,
	COUNTERPART_COUNT
};

/* SHA-256 over the previous hash (32 zero bytes before the first entry) and the entry's fields.  The account id comes
 * first.  Next are seq, kind, counterpart, amount, balance before, balance after, grant_seq, usage_seq,
 * transaction_seq, created_at_us, each as eight bytes, most significant first.  The record is last, unless it is zero,
 * as in entries that carry none and in those of versions before there were records.  Pure. */
void entry_hash(const struct entries_row *e, const unsigned char previous[DIGEST_BYTES],
                unsigned char out[DIGEST_BYTES]);

#endif
