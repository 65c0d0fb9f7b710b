#include "db/reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "db/ask.h"
#include "db/sql.h"

#define OVERVIEW_ROWS 10
#define KEYS_FIRST 64
#define US_PER_DAY (INT64_C(86400) * CLOCK_US_PER_SECOND)

/* Rows of usages and of prices say with 0 and 1 whether an item is a model or an action. */
#define KIND_MODEL 0
#define KIND_ACTION 1

/* ---- accounts -------------------------------------------------------------------------------- */

#define NO_LIMIT (-1) /* as in the database */
#define ACCOUNT_COLUMNS 19
/* Behind those, in the order of take_workspace.  What is left of the allowances that this period's rows name. */
#define WORKSPACE_COLUMNS                                                                          \
	",w.time_zone,w.plan,w.next_plan,w.changing,w.period_start_us,w.period_end_us,w.granted_micros," \
	"w.carried_micros,w.reserved_micros,w.managers,w.members,w.daily_limit_micros,"            \
	"w.monthly_limit_micros,w.day_until_us,w.day_micros,w.month_until_us,w.month_micros,"      \
	"w.statement_at_us,w.past_due_at_us,w.suspend_at_us,COALESCE(n.seats_to,0),"               \
	"(SELECT COALESCE(SUM(g.remaining_micros),0) FROM allowances l JOIN grants g"              \
	" ON g.account_id=l.account_id AND g.seq=l.grant_seq"                                      \
	" WHERE l.account_id=w.account_id AND l.period_start_us=w.period_start_us)"

/* What take_account takes. */
#define ACCOUNT_SELECT                                                                             \
	"SELECT CAST(UNIX_TIMESTAMP(NOW(6))*1000000 AS SIGNED),a.id IS NOT NULL,a.unit,"           \
	"a.mode,a.status,a.byok,a.balance_micros,a.held_micros,a.hard_limit_micros,"               \
	"a.soft_limit_micros,a.open_holds,a.due_at_us,a.created_at_us,a.external_id,"              \
	"p.email,p.name,p.locale,p.time_zone,IF(w.plan<>'',w.plan,b.plan)" WORKSPACE_COLUMNS
#define ACCOUNT_JOINS                                                                              \
	" LEFT JOIN profiles p ON p.account_id=a.id"                                               \
	" LEFT JOIN billing b ON b.account_id=a.id"                                                \
	" LEFT JOIN workspaces w ON w.account_id=a.id AND a.workspace=1"                           \
	" LEFT JOIN plans n ON n.name=w.plan AND n.version=w.plan_version"

/* Always one row, so that the database's clock is answered for absent accounts too. */
static void sql_account(struct ask *q, const struct account_key *key)
{
	sql_literal(&q->sql, ACCOUNT_SELECT " FROM (SELECT 1) one LEFT JOIN accounts a ON a.id=");
	ask_key(q, key);
	sql_literal(&q->sql, ACCOUNT_JOINS);
}

/* -1 when memory is short. */
static int take_workspace(struct ask *q, const struct db_row *row, struct reader_workspace *w)
{
	int64_t *const numbers[] = {&w->changing, &w->period_start_us, &w->period_end_us, &w->granted_micros,
	                            &w->carried_micros, &w->reserved_micros, &w->managers, &w->members,
	                            &w->daily_limit_micros, &w->monthly_limit_micros, &w->day_until_us,
	                            &w->day_micros, &w->month_until_us, &w->month_micros, &w->statement_at_us,
	                            &w->past_due_at_us, &w->suspend_at_us, &w->seats, &w->left_micros};

	w->found = row->field[ACCOUNT_COLUMNS] != NULL;
	w->daily_limit_micros = NO_LIMIT;
	w->monthly_limit_micros = NO_LIMIT;
	if (!w->found)
		return 0;
	w->time_zone = ask_text(q, row, ACCOUNT_COLUMNS);
	w->plan = ask_text(q, row, ACCOUNT_COLUMNS + 1);
	w->next_plan = ask_text(q, row, ACCOUNT_COLUMNS + 2);
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		*numbers[i] = db_int(row, ACCOUNT_COLUMNS + 3 + i);
	return w->time_zone != NULL && w->plan != NULL && w->next_plan != NULL ? 0 : -1;
}

static int take_account(struct ask *q, const struct db_row *row, void *out)
{
	struct reader_account *account = out;

	account->now_us = db_int(row, 0);
	account->found = db_int(row, 1) != 0;
	if (!account->found)
		return 0;
	account->unit = db_int(row, 2);
	account->mode = db_int(row, 3);
	account->status = db_int(row, 4);
	account->byok = db_int(row, 5);
	account->balance_micros = db_int(row, 6);
	account->held_micros = db_int(row, 7);
	account->hard_limit_micros = db_int(row, 8);
	account->soft_limit_micros = db_int(row, 9);
	account->open_holds = db_int(row, 10);
	account->due_at_us = db_int(row, 11);
	account->created_at_us = db_int(row, 12);
	account->external_id = ask_text(q, row, 13);
	account->email = ask_text(q, row, 14);
	account->name = ask_text(q, row, 15);
	account->locale = ask_text(q, row, 16);
	account->time_zone = ask_text(q, row, 17);
	account->plan = ask_text(q, row, 18);
	if (take_workspace(q, row, &account->workspace) < 0)
		return -1;
	return account->external_id != NULL && account->email != NULL && account->name != NULL &&
	       account->locale != NULL && account->time_zone != NULL && account->plan != NULL
	               ? 0
	               : -1;
}

static int read_account(struct ask *q, struct reader_account *out)
{
	memset(out, 0, sizeof(*out));
	return ask_rows(q, 1, take_account, out, sizeof(*out)) == 1 ? 0 : -1;
}

int reader_account(struct db *d, struct arena *a, const struct account_key *key,
                   struct reader_account *out)
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
                    struct reader_referrer *out)
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
	sql_literal(&q.sql, " LIMIT 2");
	if (ask_send(&q) == 0)
		count = ask_rows(&q, 2, take_referrer, found, sizeof(found[0]));
	*out = found[0];
	out->found = count == 1;
	return ask_end(&q, count < 0 ? -1 : 0);
}

/* ---- transactions and usages ------------------------------------------------------------------- */

/* "The newest first, below before_seq", with one row more than wanted, which tells whether others
 * follow. */
static void sql_page(struct ask *q, int64_t before_seq, int limit)
{
	if (before_seq > 0) {
		sql_literal(&q->sql, " AND seq<");
		sql_int(&q->sql, before_seq);
	}
	sql_literal(&q->sql, " ORDER BY seq DESC LIMIT ");
	sql_int(&q->sql, (int64_t)limit + 1);
}

/* The last column is nobody's but the caller's. */
static void sql_tag(struct ask *q, int tag)
{
	sql_literal(&q->sql, ",");
	sql_int(&q->sql, tag);
}

/* What take_transaction takes. */
#define TRANSACTION_SELECT                                                                         \
	"SELECT seq,type,amount_micros,balance_before_micros,balance_after_micros,created_at_us,"  \
	"description,reference,metadata"

static void sql_transactions(struct ask *q, int tag, const struct account_key *key, int64_t before_seq,
                             int limit)
{
	sql_literal(&q->sql, TRANSACTION_SELECT);
	sql_tag(q, tag);
	sql_literal(&q->sql, " FROM transactions WHERE account_id=");
	ask_key(q, key);
	sql_page(q, before_seq, limit);
}

static int take_transaction(struct ask *q, const struct db_row *row, void *out)
{
	struct reader_transaction *t = out;

	t->seq = db_int(row, 0);
	t->type = db_int(row, 1);
	t->amount_micros = db_int(row, 2);
	t->balance_before_micros = db_int(row, 3);
	t->balance_after_micros = db_int(row, 4);
	t->created_at_us = db_int(row, 5);
	t->description = ask_text(q, row, 6);
	t->reference = ask_text(q, row, 7);
	t->metadata = ask_text(q, row, 8);
	return t->description != NULL && t->reference != NULL && t->metadata != NULL ? 0 : -1;
}

static void sql_equals(struct ask *q, const char *text)
{
	sql_literal(&q->sql, "=");
	sql_text(&q->sql, text);
}

static void sql_item(struct ask *q, int64_t kind, const char *item)
{
	sql_literal(&q->sql, " AND kind=");
	sql_int(&q->sql, kind);
	sql_literal(&q->sql, " AND item");
	sql_equals(q, item);
}

/* What was released, or expired at no cost, was never used. */
#define WAS_USED " FROM usages WHERE state<>1 AND settlement<>0 AND "
#define WAS_USED_BY WAS_USED "account_id="

/* What take_usage takes. */
#define USAGE_SELECT                                                                               \
	"SELECT seq,kind,settlement,cost_micros,created_at_us,ended_at_us,quantity,source,"        \
	"input_tokens,cache_read_tokens,cache_write_tokens+cache_write_1h_tokens,output_tokens,"   \
	"item,member,conversation_id,IF(settled_message_id='',message_id,settled_message_id)"

static void sql_usages(struct ask *q, int tag, const struct account_key *key, int64_t before_seq,
                       const struct reader_usage_filter *filter, int limit)
{
	sql_literal(&q->sql, USAGE_SELECT);
	sql_tag(q, tag);
	sql_literal(&q->sql, WAS_USED_BY);
	ask_key(q, key);
	if (filter->member != NULL) {
		sql_literal(&q->sql, " AND member");
		sql_equals(q, filter->member);
	}
	if (filter->model != NULL)
		sql_item(q, KIND_MODEL, filter->model);
	if (filter->action != NULL)
		sql_item(q, KIND_ACTION, filter->action);
	sql_page(q, before_seq, limit);
}

static int take_usage(struct ask *q, const struct db_row *row, void *out)
{
	struct reader_usage *u = out;

	u->seq = db_int(row, 0);
	u->kind = db_int(row, 1);
	u->settlement = db_int(row, 2);
	u->cost_micros = db_int(row, 3);
	u->created_at_us = db_int(row, 4);
	u->ended_at_us = db_int(row, 5);
	u->quantity = db_int(row, 6);
	u->source = db_int(row, 7);
	u->input_tokens = db_int(row, 8);
	u->cache_read_tokens = db_int(row, 9);
	u->cache_write_tokens = db_int(row, 10);
	u->output_tokens = db_int(row, 11);
	u->item = ask_text(q, row, 12);
	u->member = ask_text(q, row, 13);
	u->conversation_id = ask_text(q, row, 14);
	u->message_id = ask_text(q, row, 15);
	if (u->item == NULL || u->member == NULL || u->conversation_id == NULL)
		return -1;
	return u->message_id != NULL ? 0 : -1;
}

/* Reads the rows of a page that was asked for with sql_page. */
static int read_page(struct ask *q, int limit, ask_taker *take, size_t size, void **rows, int *count,
                     bool *more)
{
	struct db_row row;
	int extra;

	*count = 0;
	*more = false;
	*rows = arena_alloc(q->arena, (size_t)limit * size);
	if (*rows == NULL)
		return -1;
	*count = ask_rows(q, limit, take, *rows, size);
	if (*count < limit)
		return *count < 0 ? -1 : 0;
	extra = db_row(q->db, &row);
	*more = extra == 1;
	return extra < 0 ? -1 : 0;
}

int reader_transactions(struct db *d, struct arena *a, const struct account_key *key,
                        int64_t before_seq, int limit, struct reader_transaction **rows, int *count,
                        bool *more)
{
	struct ask q;
	void *page = NULL;
	int result = -1;

	CHECK(limit > 0);
	ask_init(&q, d, a);
	sql_transactions(&q, 0, key, before_seq, limit);
	if (ask_send(&q) == 0)
		result = read_page(&q, limit, take_transaction, sizeof(**rows), &page, count, more);
	*rows = page;
	return ask_end(&q, result);
}

int reader_usages(struct db *d, struct arena *a, const struct account_key *key, int64_t before_seq,
                  const struct reader_usage_filter *filter, int limit,
                  struct reader_usage **rows, int *count, bool *more)
{
	struct ask q;
	void *page = NULL;
	int result = -1;

	CHECK(limit > 0);
	ask_init(&q, d, a);
	sql_usages(&q, 0, key, before_seq, filter, limit);
	if (ask_send(&q) == 0)
		result = read_page(&q, limit, take_usage, sizeof(**rows), &page, count, more);
	*rows = page;
	return ask_end(&q, result);
}

/* ---- people -------------------------------------------------------------------------------------- */

static void sql_members(struct ask *q, int tag, const struct account_key *key)
{
	sql_literal(&q->sql,
	            "SELECT member_id,role,created_at_us,removed_at_us,quota_micros,held_micros,limit_micros,"
	            "daily_limit_micros,monthly_limit_micros,period_until_us,period_micros,day_until_us,day_micros,"
	            "month_until_us,month_micros");
	sql_tag(q, tag);
	sql_literal(&q->sql, " FROM members WHERE account_id=");
	ask_key(q, key);
}

static int take_member(struct ask *q, const struct db_row *row, void *out)
{
	struct reader_member *m = out;
	int64_t *const numbers[] = {&m->role, &m->created_at_us, &m->removed_at_us, &m->quota_micros,
	                            &m->held_micros, &m->limit_micros, &m->daily_limit_micros,
	                            &m->monthly_limit_micros, &m->period_until_us, &m->period_micros,
	                            &m->day_until_us, &m->day_micros, &m->month_until_us, &m->month_micros};

	m->id = ask_text(q, row, 0);
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		*numbers[i] = db_int(row, 1 + i);
	return m->id != NULL ? 0 : -1;
}

int reader_members(struct db *d, struct arena *a, const struct account_key *key, const char *after, int limit,
                   struct reader_member **rows, int *count, bool *more)
{
	struct ask q;
	void *page = NULL;
	int result = -1;

	CHECK(limit > 0);
	ask_init(&q, d, a);
	sql_members(&q, 0, key);
	sql_literal(&q.sql, " AND member_id>");
	sql_text(&q.sql, after);
	sql_literal(&q.sql, " ORDER BY member_id LIMIT ");
	sql_int(&q.sql, (int64_t)limit + 1);
	if (ask_send(&q) == 0)
		result = read_page(&q, limit, take_member, sizeof(**rows), &page, count, more);
	*rows = page;
	return ask_end(&q, result);
}

int reader_member(struct db *d, struct arena *a, const struct account_key *key, const char *id,
                  struct reader_member *out, bool *found)
{
	struct ask q;
	int count = -1;

	ask_init(&q, d, a);
	sql_members(&q, 0, key);
	sql_literal(&q.sql, " AND member_id");
	sql_equals(&q, id);
	if (ask_send(&q) == 0)
		count = ask_rows(&q, 1, take_member, out, sizeof(*out));
	*found = count == 1;
	return ask_end(&q, count < 0 ? -1 : 0);
}

/* ---- overviews ----------------------------------------------------------------------------------- */

/*
 * Of many accounts at once: a statement costs the database more than the rows of one account, and a SELECT within a
 * UNION hardly less.  So where many ask, the transactions of all are read together, unless they have too many, and
 * their last usages by number: those are the numbers of holds, of which the account knows the last.  Whose newest rows
 * need not be among these is asked for with a SELECT of his own; where few ask, everybody is.
 */
#define TOGETHER_MIN 3
#define TRANSACTIONS_EACH (2 * OVERVIEW_ROWS)
#define RELEASED_EACH 4 /* numbers of holds that were never used */

struct overviews {
	struct reader_overview *const *wanted;
	int count;
	int rows;    /* of transactions that were read together */
	int results; /* taken of the message that is under way */
	bool lists[2]; /* of transactions, of usages: whether it asks for any */
};

static void sql_keys(struct ask *q, const struct overviews *o)
{
	for (int i = 0; i < o->count; i++) {
		if (i > 0)
			sql_literal(&q->sql, ",");
		ask_key(q, &o->wanted[i]->key);
	}
	sql_literal(&q->sql, ")");
}

static void sql_accounts(struct ask *q, const struct overviews *o)
{
	sql_literal(&q->sql, ACCOUNT_SELECT ",a.hold_seq,a.id FROM accounts a" ACCOUNT_JOINS " WHERE a.id IN (");
	sql_keys(q, o);
}

static int transactions_max(const struct overviews *o)
{
	return o->count * TRANSACTIONS_EACH;
}

static void sql_transactions_of_all(struct ask *q, const struct overviews *o)
{
	sql_literal(&q->sql, ";" TRANSACTION_SELECT ",account_id FROM transactions WHERE account_id IN (");
	sql_keys(q, o);
	sql_literal(&q->sql, " ORDER BY account_id DESC,seq DESC LIMIT ");
	sql_int(&q->sql, (int64_t)transactions_max(o) + 1);
}

/* Of what a member used the numbers say nothing. */
static bool is_numbered(const struct reader_overview *o)
{
	return o->account.found && o->of_member == NULL;
}

/* The number above which its newest usages are, unless more holds than a few were released. */
static int64_t usages_above(const struct reader_overview *o)
{
	return o->hold_seq - o->account.open_holds - OVERVIEW_ROWS - RELEASED_EACH;
}

/* False when there is nobody to ask for. */
static bool sql_last_usages(struct ask *q, const struct overviews *o)
{
	bool any = false;

	sql_literal(&q->sql, USAGE_SELECT ",account_id" WAS_USED "(");
	for (int i = 0; i < o->count; i++) {
		if (!is_numbered(o->wanted[i]))
			continue;
		if (any)
			sql_literal(&q->sql, " OR ");
		any = true;
		sql_literal(&q->sql, "account_id=");
		ask_key(q, &o->wanted[i]->key);
		sql_literal(&q->sql, " AND seq>");
		sql_int(&q->sql, usages_above(o->wanted[i]));
	}
	sql_literal(&q->sql, ") ORDER BY account_id DESC,seq DESC");
	return any;
}

/* The next SELECT of a UNION, which is a statement of its own. */
static void sql_next(struct ask *q, bool *any)
{
	if (*any)
		sql_literal(&q->sql, " UNION ALL ");
	else if (q->sql.length > 0)
		sql_literal(&q->sql, ";");
	*any = true;
	sql_literal(&q->sql, "(");
}

/* The lists of those of whom they are not known. */
static void sql_lists(struct ask *q, struct overviews *o)
{
	o->lists[0] = o->lists[1] = false;
	for (int i = 0; i < o->count; i++) {
		if (o->wanted[i]->transactions_known)
			continue;
		sql_next(q, &o->lists[0]);
		sql_transactions(q, i, &o->wanted[i]->key, 0, OVERVIEW_ROWS);
		sql_literal(&q->sql, ")");
	}
	for (int i = 0; i < o->count; i++) {
		const struct reader_usage_filter filter = {.member = o->wanted[i]->of_member};

		if (o->wanted[i]->usages_known)
			continue;
		sql_next(q, &o->lists[1]);
		sql_usages(q, i, &o->wanted[i]->key, 0, &filter, OVERVIEW_ROWS);
		sql_literal(&q->sql, ")");
	}
}

/* False when nobody asks for a member. */
static bool sql_own_members(struct ask *q, const struct overviews *o)
{
	bool any = false;

	for (int i = 0; i < o->count; i++) {
		if (o->wanted[i]->of_member == NULL)
			continue;
		sql_next(q, &any);
		sql_members(q, i, &o->wanted[i]->key);
		sql_literal(&q->sql, " AND member_id");
		sql_equals(q, o->wanted[i]->of_member);
		sql_literal(&q->sql, ")");
	}
	return any;
}

/* What one of them has no room for is its own misfortune. */
static void take_for(struct ask *q, struct reader_overview *o, ask_taker *take, const struct db_row *row, void *out)
{
	q->arena = o->arena;
	if (take(q, row, out) < 0)
		o->failed = true;
}

/* Whether the row, whose last column is the account's id, is of that account.  Two may ask for the same. */
static bool is_of(const struct db_row *row, const struct reader_overview *o)
{
	const unsigned id = row->count - 1;

	CHECK(row->length[id] == sizeof(o->key.bytes));
	return memcmp(o->key.bytes, row->field[id], sizeof(o->key.bytes)) == 0;
}

static int take_accounts(struct ask *q, const struct db_row *row, void *out)
{
	const struct overviews *o = out;

	for (int i = 0; i < o->count; i++)
		if (is_of(row, o->wanted[i])) {
			take_for(q, o->wanted[i], take_account, row, &o->wanted[i]->account);
			o->wanted[i]->hold_seq = db_int(row, row->count - 2);
		}
	return 0;
}

/* Each has room for one more than it shows. */
static void add_transaction(struct ask *q, struct reader_overview *o, const struct db_row *row)
{
	if (o->transaction_count <= OVERVIEW_ROWS)
		take_for(q, o, take_transaction, row, &o->transactions[o->transaction_count++]);
}

static void add_usage(struct ask *q, struct reader_overview *o, const struct db_row *row)
{
	if (o->usage_count <= OVERVIEW_ROWS)
		take_for(q, o, take_usage, row, &o->usages[o->usage_count++]);
}

static int take_transaction_of_all(struct ask *q, const struct db_row *row, void *out)
{
	struct overviews *o = out;

	o->rows++;
	for (int i = 0; i < o->count; i++)
		if (is_of(row, o->wanted[i]))
			add_transaction(q, o->wanted[i], row);
	return 0;
}

static int take_last_usage(struct ask *q, const struct db_row *row, void *out)
{
	const struct overviews *o = out;

	for (int i = 0; i < o->count; i++)
		if (is_numbered(o->wanted[i]) && is_of(row, o->wanted[i]))
			add_usage(q, o->wanted[i], row);
	return 0;
}

static struct reader_overview *tagged(const struct overviews *o, const struct db_row *row)
{
	const int64_t tag = db_int(row, row->count - 1);

	CHECK(tag >= 0 && tag < o->count);
	return o->wanted[tag];
}

static int take_transactions(struct ask *q, const struct db_row *row, void *out)
{
	add_transaction(q, tagged(out, row), row);
	return 0;
}

static int take_usages(struct ask *q, const struct db_row *row, void *out)
{
	add_usage(q, tagged(out, row), row);
	return 0;
}

static int take_own_member(struct ask *q, const struct db_row *row, void *out)
{
	struct reader_overview *o = tagged(out, row);

	o->member_found = true;
	take_for(q, o, take_member, row, &o->member);
	return 0;
}

static int newest_first(int64_t a, int64_t b)
{
	return (a < b) - (a > b);
}

static int compare_transactions(const void *a, const void *b)
{
	return newest_first(((const struct reader_transaction *)a)->seq, ((const struct reader_transaction *)b)->seq);
}

static int compare_usages(const void *a, const void *b)
{
	return newest_first(((const struct reader_usage *)a)->seq, ((const struct reader_usage *)b)->seq);
}

/* In which order the rows of several SELECTs come is the database's affair. */
static void sort_lists(struct reader_overview *o)
{
	qsort(o->transactions, (size_t)o->transaction_count, sizeof(o->transactions[0]), compare_transactions);
	qsort(o->usages, (size_t)o->usage_count, sizeof(o->usages[0]), compare_usages);
	if (o->transaction_count > OVERVIEW_ROWS)
		o->transaction_count = OVERVIEW_ROWS;
	if (o->usage_count > OVERVIEW_ROWS)
		o->usage_count = OVERVIEW_ROWS;
}

int reader_overview_init(struct reader_overview *o, struct arena *a, const struct account_key *key,
                         const char *of_member)
{
	memset(o, 0, sizeof(*o));
	o->key = *key;
	o->of_member = of_member;
	o->arena = a;
	o->transactions = arena_alloc(a, (OVERVIEW_ROWS + 1) * sizeof(*o->transactions));
	o->usages = arena_alloc(a, (OVERVIEW_ROWS + 1) * sizeof(*o->usages));
	return o->transactions != NULL && o->usages != NULL ? 0 : -1;
}

/* Of whom all transactions were read, or as many as are shown. */
static void note_transactions(const struct overviews *o)
{
	for (int i = 0; i < o->count; i++) {
		struct reader_overview *w = o->wanted[i];

		w->transactions_known = o->rows <= transactions_max(o) || w->transaction_count >= OVERVIEW_ROWS;
		if (!w->transactions_known)
			w->transaction_count = 0;
	}
}

static void note_usages(const struct overviews *o)
{
	for (int i = 0; i < o->count; i++) {
		struct reader_overview *w = o->wanted[i];

		w->usages_known = !w->account.found || (is_numbered(w) && (usages_above(w) <= 0 ||
		                                                           w->usage_count >= OVERVIEW_ROWS));
		if (!w->usages_known)
			w->usage_count = 0;
	}
}

static int take_next(struct ask *q, struct overviews *o, ask_taker *take)
{
	if (o->results++ > 0 && ask_next(q) < 0)
		return -1;
	return ask_each(q, take, o);
}

static int take_lists(struct ask *q, struct overviews *o)
{
	if (o->lists[0] && take_next(q, o, take_transactions) < 0)
		return -1;
	return o->lists[1] ? take_next(q, o, take_usages) : 0;
}

/* The accounts; of few their lists, of many their transactions. */
static int read_accounts(struct db *d, struct overviews *o, bool many)
{
	struct ask q;
	bool members;
	int result = -1;

	ask_init(&q, d, NULL);
	o->results = 0;
	sql_accounts(&q, o);
	if (many)
		sql_transactions_of_all(&q, o);
	else
		sql_lists(&q, o);
	members = sql_own_members(&q, o);
	if (ask_send(&q) == 0 && take_next(&q, o, take_accounts) == 0 &&
	    (many ? take_next(&q, o, take_transaction_of_all) : take_lists(&q, o)) == 0)
		result = members ? take_next(&q, o, take_own_member) : 0;
	return ask_end(&q, result);
}

static int read_last_usages(struct db *d, struct overviews *o)
{
	struct ask q;
	int result = 0;

	ask_init(&q, d, NULL);
	o->results = 0;
	if (sql_last_usages(&q, o))
		result = ask_send(&q) == 0 ? take_next(&q, o, take_last_usage) : -1;
	return ask_end(&q, result);
}

/* The lists that are not known by now. */
static int read_lists(struct db *d, struct overviews *o)
{
	struct ask q;
	int result = 0;

	ask_init(&q, d, NULL);
	o->results = 0;
	sql_lists(&q, o);
	if (o->lists[0] || o->lists[1])
		result = ask_send(&q) == 0 ? take_lists(&q, o) : -1;
	return ask_end(&q, result);
}

static int read_together(struct db *d, struct overviews *o)
{
	if (read_accounts(d, o, true) < 0)
		return -1;
	note_transactions(o);
	if (read_last_usages(d, o) < 0)
		return -1;
	note_usages(o);
	return read_lists(d, o);
}

void reader_overviews(struct db *d, struct reader_overview *const *wanted, int count)
{
	struct overviews o = {.wanted = wanted, .count = count};
	int result;

	CHECK(count > 0 && count <= READER_OVERVIEWS_MAX);
	result = count < TOGETHER_MIN ? read_accounts(d, &o, false) : read_together(d, &o);
	for (int i = 0; i < count; i++) {
		if (result < 0)
			wanted[i]->failed = true;
		else
			sort_lists(wanted[i]);
	}
}

/* ---- sums ------------------------------------------------------------------------------------ */

static void sql_span(struct ask *q, const struct account_key *key, const struct reader_span *span)
{
	sql_literal(&q->sql, WAS_USED_BY);
	ask_key(q, key);
	sql_literal(&q->sql, " AND ended_at_us>=");
	sql_int(&q->sql, span->from_us);
	sql_literal(&q->sql, " AND ended_at_us<");
	sql_int(&q->sql, span->to_us);
	if (span->member != NULL) {
		sql_literal(&q->sql, " AND member");
		sql_equals(q, span->member);
	}
}

static void sql_grouping(struct ask *q, enum reader_grouping by)
{
	switch (by) {
	case GROUP_DAY:
		sql_literal(&q->sql, "ended_at_us DIV 86400000000");
		break;
	case GROUP_MODEL:
		sql_literal(&q->sql, "IF(kind=0,item,'')");
		break;
	case GROUP_ACTION:
		sql_literal(&q->sql, "IF(kind=1,item,'')");
		break;
	case GROUP_MEMBER:
		sql_literal(&q->sql, "member");
		break;
	}
}

static void sql_summary(struct ask *q, const struct account_key *key,
                        const struct reader_span *span, enum reader_grouping by, int limit)
{
	sql_literal(&q->sql, "SELECT COALESCE(SUM(cost_micros),0)");
	sql_span(q, key, span);
	sql_literal(&q->sql, ";SELECT ");
	sql_grouping(q, by);
	sql_literal(&q->sql, " name,COUNT(*),SUM(input_tokens+cache_read_tokens+cache_write_tokens+"
	                     "cache_write_1h_tokens),SUM(output_tokens),SUM(cost_micros) cost");
	sql_span(q, key, span);
	if (by == GROUP_DAY)
		sql_literal(&q->sql, " GROUP BY name ORDER BY name LIMIT ");
	else
		sql_literal(&q->sql, " GROUP BY name ORDER BY cost DESC,name LIMIT ");
	sql_int(&q->sql, limit);
}

static int take_number(struct ask *q, const struct db_row *row, void *out)
{
	(void)q;
	*(int64_t *)out = db_int(row, 0);
	return 0;
}

static int take_sum(struct ask *q, const struct db_row *row, void *out)
{
	struct reader_sum *s = out;

	s->name = ask_text(q, row, 0);
	s->requests = db_int(row, 1);
	s->input_tokens = db_int(row, 2);
	s->output_tokens = db_int(row, 3);
	s->cost_micros = db_int(row, 4);
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

int reader_summary(struct db *d, struct arena *a, const struct account_key *key,
                   const struct reader_span *span, enum reader_grouping by, int limit,
                   struct reader_sum **rows, int *count, int64_t *total_micros)
{
	ask_taker *take = by == GROUP_DAY ? take_day : take_sum;
	struct ask q;
	int result = -1;

	*count = 0;
	*rows = arena_alloc(a, (size_t)limit * sizeof(**rows));
	ask_init(&q, d, a);
	sql_summary(&q, key, span, by, limit);
	if (*rows != NULL && ask_send(&q) == 0 &&
	    ask_rows(&q, 1, take_number, total_micros, sizeof(*total_micros)) == 1 &&
	    ask_next(&q) == 0) {
		*count = ask_rows(&q, limit, take, *rows, sizeof(**rows));
		result = *count < 0 ? -1 : 0;
	}
	return ask_end(&q, result);
}

int reader_used(struct db *d, const struct account_key *key, const struct zone *z, int64_t now_us,
                int64_t *day_micros, int64_t *month_micros)
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
		sql_literal(&q.sql, "SELECT COALESCE(SUM(cost_micros),0)");
		sql_span(&q, key, &span);
	}
	if (ask_send(&q) == 0 && ask_rows(&q, 1, take_number, day_micros, sizeof(*day_micros)) == 1 &&
	    ask_next(&q) == 0 && ask_rows(&q, 1, take_number, month_micros, sizeof(*month_micros)) == 1)
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
	return k->scope != NULL ? 0 : -1;
}

/* The array doubles when it is full; the arena keeps the smaller ones until it is reset. */
static int read_keys(struct ask *q, struct reader_key **rows, int *count)
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
	sql_literal(&q.sql, "SELECT id,digest,scope FROM api_keys WHERE revoked_at_us=0");
	if (ask_send(&q) == 0)
		result = read_keys(&q, rows, count);
	return ask_end(&q, result);
}

int reader_open_holds(struct db *d, int64_t *count)
{
	struct ask q;
	int result = -1;

	ask_init(&q, d, NULL);
	sql_literal(&q.sql, "SELECT COUNT(*) FROM holds");
	if (ask_send(&q) == 0 && ask_rows(&q, 1, take_number, count, sizeof(*count)) == 1)
		result = 0;
	return ask_end(&q, result);
}

int reader_manager(struct db *d, const struct account_key *key, const char *member, bool *manager)
{
	struct ask q;
	int64_t count = 0;
	int result = -1;

	ask_init(&q, d, NULL);
	sql_literal(&q.sql, "SELECT COUNT(*) FROM members WHERE removed_at_us=0 AND role=1 AND account_id=");
	sql_bytes(&q.sql, key->bytes, sizeof(key->bytes));
	sql_literal(&q.sql, " AND member_id=");
	sql_text(&q.sql, member);
	if (ask_send(&q) == 0 && ask_rows(&q, 1, take_number, &count, sizeof(count)) == 1)
		result = 0;
	*manager = count > 0;
	return ask_end(&q, result);
}

/* ---- orders ------------------------------------------------------------------------------------ */

static int take_topup(struct ask *q, const struct db_row *row, void *out)
{
	struct reader_topup *t = out;
	const char **texts[] = {&t->currency, &t->session_key, &t->session_id, &t->payment_id, &t->customer_id,
	                        &t->customer_key, &t->external_id, &t->email, &t->name, &t->locale};
	int64_t *numbers[] = {&t->seq, &t->state, &t->unit, &t->amount_minor, &t->amount_micros, &t->livemode,
	                      &t->created_at_us, &t->paid_at_us, &t->refunded_micros, &t->disputed_micros,
	                      &t->transaction_seq, &t->customer_key_at_us, &t->now_us};
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
	            "b.customer_key_at_us,CAST(UNIX_TIMESTAMP(NOW(6))*1000000 AS SIGNED) FROM topups t "
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
