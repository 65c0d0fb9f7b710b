/*
 * reader: data that is only read, on connections of its own (never the ledger's).  Rows are returned
 * in the caller's arena.  Every function returns 0, or -1 on a fault (logged by db).
 */
#ifndef OCTROI_QUERIES_READER_H
#define OCTROI_QUERIES_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/id.h"
#include "base/zone.h"
#include "db/db.h"
#include "queries/shown.h"

int reader_account(struct db *d, struct arena *a, const struct account_key *key, struct reader_account *out);

/* The account's use since the beginning of the day and of the month that now_us lies in. */
int reader_used(struct db *d, const struct account_key *key, const struct zone *z, int64_t now_us, int64_t *day_micros,
                int64_t *month_micros);

/* People of an account, also removed ones, in the bytewise order of their ids, behind after ("": from the first).
 * *count is at most limit; *more when there are others. */
int reader_members(struct db *d, struct arena *a, const struct account_key *key, const char *after, int limit,
                   struct reader_member **rows, int *count, bool *more);
int reader_member(struct db *d, struct arena *a, const struct account_key *key, const char *id,
                  struct reader_member *out, bool *found);

/* The account whose key lies between low and high; found only if there is exactly one. */
struct reader_referrer {
	bool found;
	struct account_key key;
	const char *email;
};
/* before: the code was handed out before schema version 4.  Then the account must be older than that version, and the
 * version must have been applied at most 90 days ago. */
int reader_referrer(struct db *d, struct arena *a, const struct account_key *low, const struct account_key *high,
                    bool before, struct reader_referrer *out);

/* Transactions, the newest first, below before_seq (0: from the newest).  *count is at most limit; *more when there
 * are others. */
int reader_transactions(struct db *d, struct arena *a, const struct account_key *key, int64_t before_seq, int limit,
                        struct reader_transaction **rows, int *count, bool *more);
/* Usages, as reader_transactions returns transactions, but only of the thousand numbers of holds below before_seq.
 * There may be fewer rows than limit, or none, though others follow.  The others are below *next_seq then. */
int reader_usages(struct db *d, struct arena *a, const struct account_key *key, int64_t before_seq,
                  const struct reader_usage_filter *filter, int limit, struct reader_usage **rows, int *count,
                  bool *more, int64_t *next_seq);

enum reader_grouping { GROUP_DAY, GROUP_HOUR, GROUP_MODEL, GROUP_MEMBER, GROUP_ACTION };
struct reader_sum {
	/* "2026-11-21", "2026-11-21T13:00:00.000Z", a model, a member, an action; "" where there is none. */
	const char *name;
	/* input_tokens: with those read from and written to the cache. */
	int64_t requests, input_tokens, output_tokens, cost_micros;
};
/* Sums of the usages that ended in [from_us, to_us), of one member unless member is NULL.  At most limit groups,
 * the largest cost first (days of the zone in order).  by is not GROUP_HOUR.  *total_micros is the cost of all
 * groups. */
struct reader_span {
	const char *member;
	int64_t from_us, to_us;
};
int reader_summary(struct db *d, struct arena *a, const struct account_key *key, const struct reader_span *span,
                   const struct zone *z, enum reader_grouping by, int limit, struct reader_sum **rows, int *count,
                   int64_t *total_micros);
/* Sums of hours, also of those without use.  They begin at starts_us, ascending, the first at span->from_us; the last
 * ends at span->to_us. */
int reader_hours(struct db *d, struct arena *a, const struct account_key *key, const struct reader_span *span,
                 const int64_t *starts_us, int count, struct reader_sum **rows, int64_t *total_micros);

struct reader_key {
	int64_t id;
	unsigned char digest[32];
	const char *scope;
	const char *account, *member; /* of a key of scope meter; else "" */
};
/* All keys in force: neither revoked nor expired. */
int reader_keys(struct db *d, struct arena *a, struct reader_key **rows, int *count);

/* An order, with the known data of its account at Stripe. */
struct reader_topup {
	bool found;
	int64_t seq, state, unit, amount_minor, amount_micros, livemode, created_at_us, paid_at_us;
	int64_t refunded_micros, disputed_micros, transaction_seq, customer_key_at_us, now_us, save_card;
	const char *currency, *session_key, *session_id, *payment_id;
	const char *customer_id, *customer_key, *external_id, *email, *name, *locale;
};
int reader_topup(struct db *d, struct arena *a, const struct account_key *key, int64_t seq, struct reader_topup *out);

struct reader_billing {
	bool found;
	const char *customer_id, *plan, *subscription_id;
	int64_t paid_count, first_paid_at_us;
};
int reader_billing(struct db *d, struct arena *a, const struct account_key *key, struct reader_billing *out);

/* *manager: the person is a manager of the account, and not removed. */
int reader_manager(struct db *d, const struct account_key *key, const char *member, bool *manager);
/* *removed: the person was removed, and has not joined again. */
int reader_removed(struct db *d, const struct account_key *key, const char *member, bool *removed);

#endif
