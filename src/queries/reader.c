#include "queries/reader.h"

#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/money.h"
#include "db/ask.h"
#include "db/sql.h"
#include "ledger/sql_numbers.h"
#include "queries/view.h"

#define KEYS_FIRST 64
#define US_PER_DAY (INT64_C(86400) * CLOCK_US_PER_SECOND)

/* ---- accounts -------------------------------------------------------------------------------- */

/* Adds a statement that always has one row, so that the database's clock is answered for absent accounts too. */
static void sql_account(struct ask *q, const struct account_key *key)
{
	sql_literal(&q->sql, VIEW_ACCOUNT_SELECT " FROM (SELECT 1) one LEFT JOIN accounts a ON a.id=");
	ask_key(q, key);
	sql_literal(&q->sql, VIEW_ACCOUNT_JOINS);
}

static int read_account(struct ask *q, struct reader_account *out)
{
	memset(out, 0, sizeof(*out));
	return ask_rows(q, 1, view_account, out, sizeof(*out)) == 1 ? 0 : -1;
}

int reader_account(struct db *d, struct arena *a, const struct account_key *key, struct reader_account *out)
{
	struct ask q;
	int result = -1;

	ask_init(&q, d, a);
	sql_account(&q, key);
	if (ask_send(&q) == 0)
		result = read_account(&q, out);
	return ask_end(&q, result);
}

static int take_referrer(struct ask *q, const struct db_row *row, void *out)
{
	struct reader_referrer *referrer = out;

	CHECK(row->length[0] == sizeof(referrer->key.bytes));
	memcpy(referrer->key.bytes, row->field[0], sizeof(referrer->key.bytes));
	referrer->email = ask_text(q, row, 1);
	return referrer->email != NULL ? 0 : -1;
}

int reader_referrer(struct db *d, struct arena *a, const struct account_key *low, const struct account_key *high,
                    bool before, struct reader_referrer *out)
{
	struct reader_referrer found[2];
	struct ask q;
	int count = -1;

	memset(found, 0, sizeof(found));
	ask_init(&q, d, a);
	sql_literal(&q.sql, "SELECT a.id,p.email FROM accounts a LEFT JOIN profiles p ON p.account_id=a.id WHERE"
	                    " a.id BETWEEN ");
	ask_key(&q, low);
	sql_literal(&q.sql, " AND ");
	ask_key(&q, high);
	if (before)
		sql_literal(&q.sql, " AND a.created_at_us<(SELECT CAST(UNIX_TIMESTAMP(applied_at)*1000000 AS"
		                    " SIGNED)"
		                    " FROM schema_versions WHERE version=4 AND applied_at>NOW()-INTERVAL 90 DAY)");
	sql_literal(&q.sql, " LIMIT 2");
	if (ask_send(&q) == 0)
		count = ask_rows(&q, 2, take_referrer, found, sizeof(found[0]));
	*out = found[0];
	out->found = count == 1;
	return ask_end(&q, count < 0 ? -1 : 0);
}

/* ---- transactions and usages ------------------------------------------------------------------- */

int reader_transactions(struct db *d, struct arena *a, const struct account_key *key, int64_t before_seq, int limit,
                        struct reader_transaction **rows, int *count, bool *more)
{
	struct ask q;
	void *page = NULL;
	int result = -1;

	CHECK(limit > 0);
	ask_init(&q, d, a);
	view_ask_transactions(&q, 0, key, before_seq, limit);
	if (ask_send(&q) == 0)
		result = ask_page(&q, limit, view_transaction, sizeof(**rows), &page, count, more);
	*rows = page;
	return ask_end(&q, result);
}

/* Reads the number of the account's newest hold. */
static int read_newest(struct ask *q, int64_t *seq)
{
	*seq = 0;
	return ask_int(q, seq) >= 0 && ask_next(q) == 0 ? 0 : -1;
}

static int read_usages(struct ask *q, int64_t *before_seq, int limit, void **page, int *count, bool *more)
{
	int64_t newest_seq = 0;

	if (ask_send(q) < 0 || (*before_seq == 0 && read_newest(q, &newest_seq) < 0))
		return -1;
	if (*before_seq == 0)
		*before_seq = newest_seq + 1;
	return ask_page(q, limit, view_usage, sizeof(struct reader_usage), page, count, more);
}

int reader_usages(struct db *d, struct arena *a, const struct account_key *key, int64_t before_seq,
                  const struct reader_usage_filter *filter, int limit, struct reader_usage **rows, int *count,
                  bool *more, int64_t *next_seq)
{
	struct ask q;
	void *page = NULL;
	int64_t floor_seq;
	int result;

	CHECK(limit > 0);
	ask_init(&q, d, a);
	if (before_seq == 0) {
		sql_literal(&q.sql, "SELECT hold_seq FROM accounts WHERE id=");
		ask_key(&q, key);
		sql_literal(&q.sql, ";");
	}
	view_ask_usages(&q, 0, key, before_seq, filter, limit);
	result = read_usages(&q, &before_seq, limit, &page, count, more);
	*rows = page;
	floor_seq = before_seq - 1 - VIEW_SCAN_MAX;
	*next_seq = *count > 0 ? (*rows)[*count - 1].seq : 0;
	if (!*more && floor_seq > 0) {
		*more = true;
		*next_seq = floor_seq + 1;
	}
	return ask_end(&q, result);
}

/* ---- people -------------------------------------------------------------------------------------- */

int reader_members(struct db *d, struct arena *a, const struct account_key *key, const char *after, int limit,
                   struct reader_member **rows, int *count, bool *more)
{
	struct ask q;
	void *page = NULL;
	int result = -1;

	CHECK(limit > 0);
	ask_init(&q, d, a);
	view_ask_members(&q, 0, key);
	sql_literal(&q.sql, " AND member_id>");
	sql_text(&q.sql, after);
	sql_literal(&q.sql, " ORDER BY member_id LIMIT ");
	sql_int(&q.sql, (int64_t)limit + 1);
	if (ask_send(&q) == 0)
		result = ask_page(&q, limit, view_member, sizeof(**rows), &page, count, more);
	*rows = page;
	return ask_end(&q, result);
}

int reader_member(struct db *d, struct arena *a, const struct account_key *key, const char *id,
                  struct reader_member *out, bool *found)
{
	struct ask q;
	int count = -1;

	ask_init(&q, d, a);
	view_ask_members(&q, 0, key);
	sql_literal(&q.sql, " AND member_id");
	view_ask_equals(&q, id);
	if (ask_send(&q) == 0)
		count = ask_rows(&q, 1, view_member, out, sizeof(*out));
	*found = count == 1;
	return ask_end(&q, count < 0 ? -1 : 0);
}

/* ---- sums ------------------------------------------------------------------------------------ */

static void sql_span(struct ask *q, const struct account_key *key, const struct reader_span *span)
{
	sql_literal(&q->sql, VIEW_WAS_USED);
	ask_key(q, key);
	sql_literal(&q->sql, " AND ended_at_us>=");
	sql_int(&q->sql, span->from_us);
	sql_literal(&q->sql, " AND ended_at_us<");
	sql_int(&q->sql, span->to_us);
	if (span->member != NULL) {
		sql_literal(&q->sql, " AND member");
		view_ask_equals(q, span->member);
	}
}

/* The local day that a usage of the span ended on, as a number: each stretch of time has an offset from UTC. */
static void sql_local_day(struct ask *q, const struct reader_span *span, const struct zone *z)
{
	int64_t at = span->from_us;

	sql_literal(&q->sql, "(ended_at_us+CASE");
	do {
		const int64_t offset_us = zone_local(z, at) - at;

		at = zone_next_change(z, at, span->to_us);
		sql_literal(&q->sql, " WHEN ended_at_us<");
		sql_int(&q->sql, at);
		sql_literal(&q->sql, " THEN ");
		sql_int(&q->sql, offset_us);
	} while (at < span->to_us);
	sql_literal(&q->sql, " END) DIV 86400000000");
}

static void sql_grouping(struct ask *q, const struct reader_span *span, const struct zone *z, enum reader_grouping by)
{
	switch (by) {
	case GROUP_DAY:
		sql_local_day(q, span, z);
		break;
	case GROUP_HOUR:
		UNREACHABLE("reader_hours has the hours");
	case GROUP_MODEL:
		sql_literal(&q->sql, "IF(kind=" SQL(PRICE_MODEL) ",item,'')");
		break;
	case GROUP_ACTION:
		sql_literal(&q->sql, "IF(kind=" SQL(PRICE_ACTION) ",item,'')");
		break;
	case GROUP_MEMBER:
		sql_literal(&q->sql, "member");
		break;
	}
}

static void sql_total(struct ask *q, const struct account_key *key, const struct reader_span *span)
{
	sql_literal(&q->sql, "SELECT COALESCE(SUM(cost_micros),0)");
	sql_span(q, key, span);
}

/* The columns of take_sum and the rows of the span, for a statement that begins with the groups' name. */
static void sql_sums(struct ask *q, const struct account_key *key, const struct reader_span *span)
{
	sql_literal(&q->sql, " name,COUNT(*),SUM(input_tokens+cache_read_tokens+cache_write_tokens+"
	                     "cache_write_1h_tokens),SUM(output_tokens),SUM(cost_micros) cost");
	sql_span(q, key, span);
}

static void sql_summary(struct ask *q, const struct account_key *key, const struct reader_span *span,
                        const struct zone *z, enum reader_grouping by, int limit)
{
	sql_literal(&q->sql, "SELECT ");
	sql_grouping(q, span, z, by);
	sql_sums(q, key, span);
	if (by == GROUP_DAY)
		sql_literal(&q->sql, " GROUP BY name ORDER BY name LIMIT ");
	else
		sql_literal(&q->sql, " GROUP BY name ORDER BY cost DESC,name LIMIT ");
	sql_int(&q->sql, limit);
}

static void take_figures(const struct db_row *row, struct reader_sum *s)
{
	s->requests = db_int(row, 1);
	s->input_tokens = db_int(row, 2);
	s->output_tokens = db_int(row, 3);
	s->cost_micros = db_int(row, 4);
}

static int take_sum(struct ask *q, const struct db_row *row, void *out)
{
	struct reader_sum *s = out;

	s->name = ask_text(q, row, 0);
	take_figures(row, s);
	return s->name != NULL ? 0 : -1;
}

static int take_day(struct ask *q, const struct db_row *row, void *out)
{
	struct reader_sum *s = out;
	char text[CLOCK_RFC3339_MAX];

	if (take_sum(q, row, out) < 0)
		return -1;
	clock_format(db_int(row, 0) * US_PER_DAY, text);
	s->name = arena_copy(q->arena, text, strlen("0000-00-00"));
	return s->name != NULL ? 0 : -1;
}

static int read_groups(struct db *d, struct arena *a, const struct account_key *key, const struct reader_span *span,
                       const struct zone *z, enum reader_grouping by, int limit, struct reader_sum *rows)
{
	struct ask q;
	int count = -1;

	ask_init(&q, d, a);
	sql_summary(&q, key, span, z, by, limit);
	if (ask_send(&q) == 0)
		count = ask_rows(&q, limit, by == GROUP_DAY ? take_day : take_sum, rows, sizeof(*rows));
	return ask_end(&q, count < 0 ? -1 : 0) < 0 ? -1 : count;
}

static int read_total(struct db *d, const struct account_key *key, const struct reader_span *span,
                      int64_t *total_micros)
{
	struct ask q;
	int result = -1;

	ask_init(&q, d, NULL);
	sql_total(&q, key, span);
	if (ask_send(&q) == 0 && ask_int(&q, total_micros) == 1)
		result = 0;
	return ask_end(&q, result);
}

static int64_t cost_of(const struct reader_sum *rows, int count)
{
	int64_t total_micros = 0;

	for (int i = 0; i < count; i++) {
		const bool fits = money_add(total_micros, rows[i].cost_micros, &total_micros);

		CHECK(fits); /* the ledger has summed them up before */
	}
	return total_micros;
}

int reader_summary(struct db *d, struct arena *a, const struct account_key *key, const struct reader_span *span,
                   const struct zone *z, enum reader_grouping by, int limit, struct reader_sum **rows, int *count,
                   int64_t *total_micros)
{
	*count = 0;
	*total_micros = 0;
	*rows = arena_alloc(a, (size_t)limit * sizeof(**rows));
	if (*rows == NULL)
		return -1;
	*count = read_groups(d, a, key, span, z, by, limit, *rows);
	if (*count < 0)
		return -1;
	if (*count == limit)
		return read_total(d, key, span, total_micros); /* there may be further groups */
	*total_micros = cost_of(*rows, *count);
	return 0;
}

struct hours {
	struct reader_sum *rows;
	int count;
};

static int take_hour(struct ask *q, const struct db_row *row, void *out)
{
	const struct hours *hours = out;
	const int64_t hour = db_int(row, 0) - 1; /* INTERVAL counts from 1 */

	(void)q;
	CHECK(hour >= 0 && hour < hours->count);
	take_figures(row, &hours->rows[hour]);
	return 0;
}

static int read_hours(struct db *d, const struct account_key *key, const struct reader_span *span,
                      const int64_t *starts_us, struct hours *hours)
{
	struct ask q;
	int result = -1;

	ask_init(&q, d, NULL);
	sql_literal(&q.sql, "SELECT INTERVAL(ended_at_us");
	for (int i = 0; i < hours->count; i++) {
		sql_literal(&q.sql, ",");
		sql_int(&q.sql, starts_us[i]);
	}
	sql_literal(&q.sql, ")");
	sql_sums(&q, key, span);
	sql_literal(&q.sql, " GROUP BY name");
	if (ask_send(&q) == 0)
		result = ask_each(&q, take_hour, hours);
	return ask_end(&q, result);
}

int reader_hours(struct db *d, struct arena *a, const struct account_key *key, const struct reader_span *span,
                 const int64_t *starts_us, int count, struct reader_sum **rows, int64_t *total_micros)
{
	struct hours hours = {.rows = arena_alloc(a, (size_t)count * sizeof(**rows)), .count = count};
	char text[CLOCK_RFC3339_MAX];

	CHECK(count > 0 && starts_us[0] == span->from_us);
	*rows = hours.rows;
	*total_micros = 0;
	if (hours.rows == NULL)
		return -1;
	for (int i = 0; i < count; i++) {
		hours.rows[i].name = arena_copy(a, text, clock_format(starts_us[i], text));
		if (hours.rows[i].name == NULL)
			return -1;
	}
	if (read_hours(d, key, span, starts_us, &hours) < 0)
		return -1;
	*total_micros = cost_of(hours.rows, count);
	return 0;
}

int reader_used(struct db *d, const struct account_key *key, const struct zone *z, int64_t now_us, int64_t *day_micros,
                int64_t *month_micros)
{
	const int64_t local_us = zone_local(z, now_us);
	const int64_t from_us[] = {zone_instant(z, zone_local_day(local_us)),
	                           zone_instant(z, zone_local_month(local_us))};
	struct ask q;
	int result = -1;

	ask_init(&q, d, NULL);
	for (size_t i = 0; i < sizeof(from_us) / sizeof(from_us[0]); i++) {
		const struct reader_span span = {.from_us = from_us[i], .to_us = now_us + 1};

		if (i > 0)
			sql_literal(&q.sql, ";");
		sql_total(&q, key, &span);
	}
	if (ask_send(&q) == 0 && ask_int(&q, day_micros) == 1 && ask_next(&q) == 0 && ask_int(&q, month_micros) == 1)
		result = 0;
	return ask_end(&q, result);
}

/* ---- keys and counts ------------------------------------------------------------------------- */

static int take_key(struct ask *q, const struct db_row *row, void *out)
{
	struct reader_key *k = out;

	CHECK(row->length[1] == sizeof(k->digest));
	k->id = db_int(row, 0);
	memcpy(k->digest, row->field[1], sizeof(k->digest));
	k->scope = ask_text(q, row, 2);
	k->account = ask_text(q, row, 3);
	k->member = ask_text(q, row, 4);
	return k->scope != NULL && k->account != NULL && k->member != NULL ? 0 : -1;
}

/* Reads all keys.  The array doubles when it is full; the arena keeps the smaller ones until it is reset. */
static int read_key_rows(struct ask *q, struct reader_key **rows, int *count)
{
	int room = KEYS_FIRST;
	int got;

	*rows = arena_alloc(q->arena, (size_t)room * sizeof(**rows));
	while (*rows != NULL) {
		struct reader_key *larger;

		got = ask_rows(q, room - *count, take_key, *rows + *count, sizeof(**rows));
		if (got < 0)
			return -1;
		*count += got;
		if (*count < room)
			return 0;
		larger = arena_alloc(q->arena, (size_t)room * 2 * sizeof(**rows));
		if (larger != NULL)
			memcpy(larger, *rows, (size_t)room * sizeof(**rows));
		*rows = larger;
		room *= 2;
	}
	return -1;
}

int reader_keys(struct db *d, struct arena *a, struct reader_key **rows, int *count)
{
	struct ask q;
	int result = -1;

	*rows = NULL;
	*count = 0;
	ask_init(&q, d, a);
	sql_literal(&q.sql, "SELECT id,digest,scope,account,member FROM api_keys WHERE revoked_at_us=0"
	                    " AND (expires_at_us=0 OR expires_at_us>" SQL_NOW_US ")");
	if (ask_send(&q) == 0)
		result = read_key_rows(&q, rows, count);
	return ask_end(&q, result);
}

int reader_manager(struct db *d, const struct account_key *key, const char *member, bool *manager)
{
	struct ask q;
	int64_t count = 0;
	int result = -1;

	ask_init(&q, d, NULL);
	sql_literal(&q.sql, "SELECT COUNT(*) FROM members WHERE removed_at_us=0 AND role=" SQL(
				    ROLE_MANAGER) " AND account_id=");
	sql_bytes(&q.sql, key->bytes, sizeof(key->bytes));
	sql_literal(&q.sql, " AND member_id=");
	sql_text(&q.sql, member);
	if (ask_send(&q) == 0 && ask_int(&q, &count) == 1)
		result = 0;
	*manager = count > 0;
	return ask_end(&q, result);
}

int reader_removed(struct db *d, const struct account_key *key, const char *member, bool *removed)
{
	struct ask q;
	int64_t count = 0;
	int result = -1;

	ask_init(&q, d, NULL);
	sql_literal(&q.sql, "SELECT COUNT(*) FROM members WHERE removed_at_us<>0 AND account_id=");
	sql_bytes(&q.sql, key->bytes, sizeof(key->bytes));
	sql_literal(&q.sql, " AND member_id=");
	sql_text(&q.sql, member);
	if (ask_send(&q) == 0 && ask_int(&q, &count) == 1)
		result = 0;
	*removed = count > 0;
	return ask_end(&q, result);
}

/* ---- orders ------------------------------------------------------------------------------------ */

static int take_topup(struct ask *q, const struct db_row *row, void *out)
{
	struct reader_topup *t = out;
	const char **texts[] = {&t->currency,     &t->session_key, &t->session_id, &t->payment_id, &t->customer_id,
	                        &t->customer_key, &t->external_id, &t->email,      &t->name,       &t->locale};
	int64_t *numbers[] = {&t->seq,
	                      &t->state,
	                      &t->unit,
	                      &t->amount_minor,
	                      &t->amount_micros,
	                      &t->livemode,
	                      &t->created_at_us,
	                      &t->paid_at_us,
	                      &t->refunded_micros,
	                      &t->disputed_micros,
	                      &t->transaction_seq,
	                      &t->customer_key_at_us,
	                      &t->now_us,
	                      &t->save_card};
	const unsigned text_count = sizeof(texts) / sizeof(texts[0]);

	for (unsigned i = 0; i < text_count; i++) {
		*texts[i] = ask_text(q, row, i);
		if (*texts[i] == NULL)
			return -1;
	}
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		*numbers[i] = db_int(row, text_count + i);
	t->found = true;
	return 0;
}

int reader_topup(struct db *d, struct arena *a, const struct account_key *key, int64_t seq, struct reader_topup *out)
{
	struct ask q;
	int result = -1;

	memset(out, 0, sizeof(*out));
	ask_init(&q, d, a);
	sql_literal(&q.sql,
	            "SELECT t.currency,t.session_key,t.session_id,t.payment_id,b.customer_id,b.customer_key,"
	            "a.external_id,p.email,p.name,p.locale,t.seq,t.state,t.unit,t.amount_minor,t.amount_micros,"
	            "t.livemode,t.created_at_us,t.paid_at_us,t.refunded_micros,t.disputed_micros,t.transaction_seq,"
	            "b.customer_key_at_us," SQL_NOW_US ",t.save_card FROM topups t "
	            "JOIN accounts a ON a.id=t.account_id JOIN billing b ON b.account_id=t.account_id "
	            "LEFT JOIN profiles p ON p.account_id=t.account_id WHERE t.account_id=");
	ask_key(&q, key);
	sql_literal(&q.sql, " AND t.seq=");
	sql_int(&q.sql, seq);
	if (ask_send(&q) == 0 && ask_rows(&q, 1, take_topup, out, sizeof(*out)) >= 0)
		result = 0;
	return ask_end(&q, result);
}

static int take_billing(struct ask *q, const struct db_row *row, void *out)
{
	struct reader_billing *b = out;

	b->customer_id = ask_text(q, row, 0);
	b->plan = ask_text(q, row, 1);
	b->subscription_id = ask_text(q, row, 2);
	b->paid_count = db_int(row, 3);
	b->first_paid_at_us = db_int(row, 4);
	b->found = true;
	return b->customer_id != NULL && b->plan != NULL && b->subscription_id != NULL ? 0 : -1;
}

int reader_billing(struct db *d, struct arena *a, const struct account_key *key, struct reader_billing *out)
{
	struct ask q;
	int result = -1;

	memset(out, 0, sizeof(*out));
	ask_init(&q, d, a);
	sql_literal(&q.sql, "SELECT customer_id,plan,subscription_id,paid_count,first_paid_at_us FROM billing"
	                    " WHERE account_id=");
	ask_key(&q, key);
	if (ask_send(&q) == 0 && ask_rows(&q, 1, take_billing, out, sizeof(*out)) >= 0)
		result = 0;
	return ask_end(&q, result);
}
