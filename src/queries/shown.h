/*
 * shown: the answers of readers about accounts, people, transactions and usages.  Strings live in the reader's arena.
 */
#ifndef OCTROI_QUERIES_SHOWN_H
#define OCTROI_QUERIES_SHOWN_H

#include <stdbool.h>
#include <stdint.h>

/* The account's row in workspaces, if it has one.  A window that has ended is shown as it was, not begun anew. */
struct reader_workspace {
	bool found;
	int64_t changing, period_start_us, period_end_us, granted_micros, carried_micros, reserved_micros;
	int64_t managers, members, daily_limit_micros, monthly_limit_micros;
	int64_t day_until_us, day_micros, month_until_us, month_micros;
	int64_t statement_at_us, past_due_at_us, suspend_at_us;
	int64_t arrears_micros;     /* the part of the debt that no allowance pays */
	int64_t seats, left_micros; /* the plan's, 0: any number; the unspent rest of this period's allowances */
	const char *time_zone, *plan, *next_plan;
};

struct reader_account {
	bool found;
	int64_t unit, mode, status, byok;
	int64_t balance_micros, held_micros, hard_limit_micros, soft_limit_micros;
	int64_t open_holds, due_at_us, created_at_us, now_us;        /* now_us: the database's clock */
	const char *external_id, *email, *name, *locale, *time_zone; /* "" when not known */
	const char *plan; /* the workspace's, or without that the subscription's; "" for none */
	struct reader_workspace workspace;
};

/* One of the people of an account. */
struct reader_member {
	int64_t role, created_at_us, removed_at_us, quota_micros, held_micros;
	int64_t limit_micros, daily_limit_micros, monthly_limit_micros;
	int64_t period_until_us, period_micros, day_until_us, day_micros, month_until_us, month_micros;
	const char *id;
};

struct reader_transaction {
	int64_t seq, type, created_at_us;
	int64_t amount_micros, balance_before_micros, balance_after_micros;
	const char *description, *reference, *metadata;
};

struct reader_usage {
	int64_t seq, kind, settlement, cost_micros, created_at_us, ended_at_us, quantity, source;
	/* cache_write_tokens: writes to the cache for five minutes and for an hour. */
	int64_t input_tokens, cache_read_tokens, cache_write_tokens, output_tokens;
	const char *item, *member, *conversation_id, *message_id;
	int64_t service_tier, incomplete, price_version, cache_write_1h_tokens, has_usage, reported;
	const char *variant, *counts; /* counts: those without a number above (prices/counts.h) */
};

struct reader_usage_filter {
	const char *member, *model, *action;
}; /* NULL: any */

#endif
