/*
 * Checks the journal of one account, entry by entry: numbers, chain, balances, the sense of each entry.
 */
#include <string.h>

#include "audit/audit_state.h"
#include "base/money.h"
#include "ledger/command.h"
#include "ledger/decide/entry.h"
#include "ledger/rows/record.h"

static void find_entry(struct audit *A, const char *check, const struct subject *s, const struct entries_row *e,
                       const char *detail)
{
	audit_find(A, check, "entries", s, e->seq, "%s", detail);
}

static void missing(struct audit *A, const struct subject *s, int64_t first, int64_t last)
{
	if (first == last)
		audit_find(A, "sequence", "entries", s, first, "the entry is missing");
	else
		audit_find(A, "sequence", "entries", s, first, "the entries from here to seq %lld are missing",
		           (long long)last);
}

static void check_sequence(struct audit *A, struct subject *s, const struct entries_row *e)
{
	s->gap = false;
	if (e->seq == s->last.seq + 1)
		return;
	if (e->seq <= 0) {
		find_entry(A, "sequence", s, e, "entries are numbered from 1");
		return;
	}
	s->gap = true;
	missing(A, s, s->last.seq + 1, e->seq - 1);
}

/* After a gap, the hash and the balance of the entry before are not known. */
static void check_chain(struct audit *A, const struct subject *s, const struct entries_row *e)
{
	unsigned char hash[DIGEST_BYTES];

	if (s->gap)
		return;
	entry_hash(e, s->last.hash, hash);
	if (memcmp(hash, e->hash, sizeof(hash)) != 0)
		find_entry(A, "chain", s, e, "the hash is not that of the entry's fields and the hash before");
}

static void check_balances(struct audit *A, const struct subject *s, const struct entries_row *e)
{
	micros after;

	if (!s->gap && e->balance_before_micros != s->last.balance_after_micros)
		audit_find(A, "continuity", "entries", s, e->seq,
		           "balance_before_micros is %lld, but the entry before left %lld",
		           (long long)e->balance_before_micros, (long long)s->last.balance_after_micros);
	if (!money_add(e->balance_before_micros, e->amount_micros, &after) || after != e->balance_after_micros)
		audit_find(A, "continuity", "entries", s, e->seq, "%lld + %lld is not balance_after_micros %lld",
		           (long long)e->balance_before_micros, (long long)e->amount_micros,
		           (long long)e->balance_after_micros);
}

static const char *usage_entry_sense(const struct entries_row *e)
{
	if (e->usage_seq <= 0 || e->transaction_seq != 0)
		return "an entry of a usage names one usage and no transaction";
	if (e->counterpart != COUNTERPART_USAGE)
		return "the counterpart of an entry of a usage is usage";
	if (e->kind == ENTRY_USAGE && e->amount_micros >= 0)
		return "a usage can only take";
	if (e->kind == ENTRY_REVERSAL && e->amount_micros <= 0)
		return "a reversal can only give";
	if (e->kind == ENTRY_RECORD && (e->amount_micros != 0 || e->grant_seq != 0))
		return "an entry that only records moves nothing";
	return NULL;
}

static const char *transaction_sense(const struct subject *s, const struct entries_row *e)
{
	if (e->transaction_seq <= 0 || e->usage_seq != 0)
		return "an entry of a transaction names one transaction and no usage";
	if (!s->gap && e->transaction_seq != e->seq && e->transaction_seq != s->last.transaction_seq)
		return "a transaction is named by the seq of its first entry, and its entries "
		       "follow each other";
	if (e->counterpart <= COUNTERPART_USAGE || e->counterpart >= COUNTERPART_DEBT)
		return "this is no counterpart of a transaction";
	return NULL;
}

/* A grant pays a debt by two entries: out of the grant, then into the debt. */
static const char *debt_sense(const struct subject *s, const struct entries_row *e)
{
	if (e->counterpart != COUNTERPART_DEBT)
		return "the counterpart of a debt entry is debt";
	if (e->grant_seq != 0)
		return e->amount_micros < 0 ? NULL : "the grant that pays a debt can only lose by it";
	if (!s->gap && e->amount_micros != s->unpaired)
		return "the two halves of a paid debt do not sum to zero";
	return NULL;
}

static const char *sense(const struct subject *s, const struct entries_row *e)
{
	if (e->amount_micros == 0 && e->kind != ENTRY_RECORD)
		return "an entry moves something, or records a usage";
	if (e->grant_seq < 0)
		return "grants are numbered from 1";
	switch (e->kind) {
	case ENTRY_USAGE:
	case ENTRY_REVERSAL:
	case ENTRY_RECORD:
		return usage_entry_sense(e);
	case ENTRY_TRANSACTION:
		return transaction_sense(s, e);
	case ENTRY_DEBT:
		return debt_sense(s, e);
	default:
		return "there is no such kind of entry";
	}
}

static void check_sense(struct audit *A, struct subject *s, const struct entries_row *e)
{
	const char *wrong = sense(s, e);

	if (wrong != NULL)
		find_entry(A, "sense", s, e, wrong);
	if (s->unpaired != 0 && (e->kind != ENTRY_DEBT || e->grant_seq != 0) && !s->gap)
		find_entry(A, "sense", s, e, "the debt entry before has no second half");
	s->unpaired = 0;
	if (e->kind == ENTRY_DEBT && e->grant_seq != 0 && e->amount_micros > INT64_MIN)
		s->unpaired = -e->amount_micros;
}

/* Adds the entry to the journal's checksums of usages, grants and transactions. */
static void add_up_entries(const struct audit *A, struct subject *s, const struct entries_row *e)
{
	struct audit_row_checksums *said = &s->said;

	if (e->kind == ENTRY_USAGE || e->kind == ENTRY_REVERSAL || e->kind == ENTRY_RECORD) {
		audit_row_checksum_add(A, &said->usage, e->usage_seq, ASPECT_AMOUNT, e->amount_micros);
		audit_row_checksum_add_sum(A, &said->usage, e->usage_seq, ASPECT_RECORD, record_read(e->record));
	}
	if (e->kind == ENTRY_TRANSACTION) {
		audit_row_checksum_add(A, &said->transaction, e->transaction_seq, ASPECT_AMOUNT, e->amount_micros);
		audit_row_checksum_add_sum(A, &said->transaction, e->transaction_seq, ASPECT_RECORD,
		                           record_read(e->record));
	}
	if (e->transaction_seq == e->seq) {
		audit_row_checksum_add(A, &said->transaction, e->seq, ASPECT_BEFORE, e->balance_before_micros);
		audit_row_checksum_add(A, &said->transaction, e->seq, ASPECT_COUNTERPART, e->counterpart + 1);
		audit_row_checksum_add(A, &said->transaction, e->seq, ASPECT_TIME, e->created_at_us);
	}
	if (e->grant_seq == 0) {
		s->debt += e->amount_micros;
		return;
	}
	audit_row_checksum_add(A, &said->grant, e->grant_seq, ASPECT_REMAINING, e->amount_micros);
	/* A grant's first entry makes it; a later entry that gives is the return of a usage. */
	if (e->grant_seq <= s->grants_said)
		return;
	s->grants_said = e->grant_seq;
	audit_row_checksum_add(A, &said->grant, e->grant_seq, ASPECT_AMOUNT, e->amount_micros);
	audit_row_checksum_add(A, &said->grant, e->grant_seq, ASPECT_TIME, e->created_at_us);
	if (e->kind == ENTRY_REVERSAL)
		audit_row_checksum_add(A, &said->grant, e->grant_seq, ASPECT_TYPE, TRANSACTION_REFUND + 1);
}

/* Adds the balance after a transaction to the checksum, once its last entry was read. */
static void leave_last(const struct audit *A, struct subject *s, int64_t next_transaction)
{
	if (s->last.transaction_seq != 0 && s->last.transaction_seq != next_transaction)
		audit_row_checksum_add(A, &s->said.transaction, s->last.transaction_seq, ASPECT_AFTER,
		                       s->last.balance_after_micros);
}

void audit_journal_entry(struct audit *A, struct subject *s, const struct entries_row *e)
{
	A->report->entries++;
	check_sequence(A, s, e);
	check_chain(A, s, e);
	check_balances(A, s, e);
	check_sense(A, s, e);
	leave_last(A, s, e->transaction_seq);
	add_up_entries(A, s, e);
	s->last = *e;
}

void audit_journal_end(struct audit *A, struct subject *s)
{
	const struct accounts_row *a = &s->row;

	leave_last(A, s, 0);
	if (s->unpaired != 0)
		find_entry(A, "sense", s, &s->last, "this debt entry has no second half");
	if (a->entry_seq > s->last.seq)
		missing(A, s, s->last.seq + 1, a->entry_seq);
	else if (a->entry_seq < s->last.seq)
		audit_find(A, "sequence", "entries", s, a->entry_seq + 1, "the account knows no entries after seq %lld",
		           (long long)a->entry_seq);
	if (memcmp(a->chain_head, s->last.hash, sizeof(a->chain_head)) != 0)
		audit_find(A, "chain", "accounts", s, 0, "chain_head is not the hash of the last entry (seq %lld)",
		           (long long)s->last.seq);
	if (a->balance_micros != s->last.balance_after_micros)
		audit_find(A, "balance", "accounts", s, 0,
		           "balance_micros is %lld, but the last entry (seq %lld) left %lld",
		           (long long)a->balance_micros, (long long)s->last.seq,
		           (long long)s->last.balance_after_micros);
	if (s->debt > 0)
		audit_find(A, "grant", "entries", s, s->last.seq,
		           "more debt was paid than was ever made: entries without a grant sum to "
		           "more than 0");
}
