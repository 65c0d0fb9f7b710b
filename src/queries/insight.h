/*
 * insight: the data of diagnoses, forecasts, comparisons and reports; only read, on connections of their own.
 * Texts are in the caller's arena.  A span has the use that ended at t, from_us <= t < to_us.  Every function returns
 * 0, or -1 on a fault (logged by db).
 */
#ifndef OCTROI_QUERIES_INSIGHT_H
#define OCTROI_QUERIES_INSIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/id.h"
#include "db/db.h"
#include "queries/reader.h"

#define INSIGHT_SPAN_MAX_US (INT64_C(400) * 86400 * 1000000)
#define INSIGHT_CLASSES 5

/* The cost of each day.  Days begin at starts_us, ascending; the last ends at to_us.  Of one member unless member
 * is NULL. */
int insight_days(struct db *d, const struct account_key *key, const char *member, const int64_t *starts_us, int count,
                 int64_t to_us, int64_t *cost_micros);

/* Data that a diagnosis needs beside the account.  Texts are "", figures 0, where there is nothing. */
struct insight_account {
	int64_t stated_micros, unpaid_micros;       /* of unsettled statements: the part in the debt; the sum */
	int64_t charged_state;                      /* of the newest statement that was charged; -1: none */
	int64_t overdue_micros;                     /* taken back of paid statements */
	const char *failure, *invoice_url;          /* of the statement of charged_state */
	bool customer;                              /* known at Stripe */
	int64_t paid_type, paid_micros, paid_at_us; /* the newest top-up or payment */
	int64_t used_kind;                          /* the newest use at the platform's price */
	const char *used_item;
};
int insight_account(struct db *d, struct arena *a, const struct account_key *key, struct insight_account *out);

/* Visits each use of models at the platform's price, the newest first, at most limit; *more when there are others.
 * model NULL: any model. */
struct insight_usage {
	int64_t tokens[INSIGHT_CLASSES]; /* in the order of enum dimension (prices/counts.h) */
	int64_t cost_micros, service_tier;
	const char *variant, *counts; /* until visit returns */
};
int insight_usages(struct db *d, const struct account_key *key, const struct reader_span *span, const char *model,
                   int64_t limit, void (*visit)(void *context, const struct insight_usage *u), void *context,
                   bool *more);

/* The use of an account by member and item, the dearest first.  member is "" for use without a member; role is -1 where
 * there is no such member. */
struct insight_action {
	const char *member, *item;
	int64_t role, kind, requests, quantity, input_tokens, output_tokens, cost_micros;
};
int insight_members(struct db *d, struct arena *a, const struct account_key *key, const struct reader_span *span,
                    int limit, struct insight_action **rows, int *count, bool *more);

/* Accounts on a plan, with their use in the period so far, in the order of their keys, behind after (NULL: from the
 * first). */
struct insight_workspace {
	const char *account, *plan;
	int64_t unit, managers, members, period_start_us, period_end_us, allowed_micros, used_micros, now_us;
};
int insight_workspaces(struct db *d, struct arena *a, const struct account_key *after, int limit,
                       struct insight_workspace **rows, int *count, bool *more);

/* The income from use, and the figures from which its purchase price follows, in parts.  Parts of a name lie together;
 * a name is a plan ("" for none), an account, a model or action, or a day in UTC.  Names behind after (NULL: from the
 * first), at most limit parts. */
enum insight_grouping { INSIGHT_PLAN, INSIGHT_WORKSPACE, INSIGHT_MODEL, INSIGHT_DAY };
enum insight_part_kind { INSIGHT_USE, INSIGHT_GIVEN, INSIGHT_FEES };
struct insight_part {
	const char *name;
	/* USE: the cost of use.  GIVEN: the part of it that bonuses and allowances paid.  FEES: the fees of plans, in
	 * the smallest unit. */
	int64_t part;
	int64_t unit, kind, requests, margin_ppm, credit_value_ppm; /* _ppm: of its price version; 0 if that is gone */
	int64_t cost_micros;
};
int insight_margin(struct db *d, struct arena *a, const struct reader_span *span, enum insight_grouping by,
                   const char *after, int limit, struct insight_part **rows, int *count, bool *more);

/* The database's clock. */
int insight_now(struct db *d, int64_t *now_us);

#endif
