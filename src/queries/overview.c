#include "queries/overview.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "db/sql.h"
#include "queries/view.h"

/*
 * Reads many accounts at once.  A statement costs the database more than the rows of one account, and a SELECT within a
 * UNION hardly less.  So from TOGETHER_MIN askers on, one statement reads the transactions of all.  Another reads their
 * last usages by number: the number of a usage is that of its hold, and the account knows the last.  An asker whose
 * newest rows may be missing from these results gets a SELECT of its own.  Of fewer askers each has its own.
 */
#define OVERVIEW_ROWS 10
#define TOGETHER_MIN 3
#define TRANSACTIONS_EACH (2 * OVERVIEW_ROWS)
#define RELEASED_EACH 4 /* numbers of holds that were never used */

struct askers {
	struct overview *const *wanted;
	int count;
	int rows;                           /* rows of transactions that were read together */
	int results;                        /* results taken of the message that is under way */
	bool transactions, usages, members; /* the message asks for some, each asker with its own SELECT */
};

/* A message.  writer adds its statements, false when there is nothing to ask; taker takes in their results. */
typedef bool writer(struct ask *q, struct askers *o);
typedef int taker(struct ask *q, struct askers *o);

static void sql_keys(struct ask *q, const struct askers *o)
{
	for (int i = 0; i < o->count; i++) {
		if (i > 0)
			sql_literal(&q->sql, ",");
		ask_key(q, &o->wanted[i]->key);
	}
	sql_literal(&q->sql, ")");
}

static void sql_accounts(struct ask *q, const struct askers *o)
{
	sql_literal(&q->sql,
	            VIEW_ACCOUNT_SELECT ",a.hold_seq,a.id FROM accounts a" VIEW_ACCOUNT_JOINS " WHERE a.id IN (");
	sql_keys(q, o);
}

static int transactions_max(const struct askers *o)
{
	return o->count * TRANSACTIONS_EACH;
}

static void sql_transactions_of_all(struct ask *q, const struct askers *o)
{
	sql_literal(&q->sql, ";" VIEW_TRANSACTION_SELECT ",account_id FROM transactions FORCE INDEX (PRIMARY)"
	                     " WHERE account_id IN (");
	sql_keys(q, o);
	sql_literal(&q->sql, " ORDER BY account_id DESC,seq DESC LIMIT ");
	sql_int(&q->sql, (int64_t)transactions_max(o) + 1);
}

/* True if the last usages can be found by number.  The usages of one member cannot. */
static bool is_numbered(const struct overview *o)
{
	return o->account.found && o->of_member == NULL;
}

/* The number above which the newest usages are, unless more than RELEASED_EACH holds were released. */
static int64_t usages_above(const struct overview *o)
{
	return o->hold_seq - o->account.open_holds - OVERVIEW_ROWS - RELEASED_EACH;
}

static bool sql_last_usages(struct ask *q, struct askers *o)
{
	bool any = false;

	sql_literal(&q->sql,
	            VIEW_USAGE_SELECT ",account_id FROM usages FORCE INDEX (PRIMARY) WHERE " VIEW_IS_USED("") " AND (");
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

/* Begins the next SELECT of a UNION; the UNION is a statement of its own. */
static void sql_next(struct ask *q, bool *any)
{
	if (*any)
		sql_literal(&q->sql, " UNION ALL ");
	else if (q->sql.length > 0)
		sql_literal(&q->sql, ";");
	*any = true;
	sql_literal(&q->sql, "(");
}

/* Adds the SELECTs of the lists that are not known yet. */
static bool sql_lists(struct ask *q, struct askers *o)
{
	o->transactions = o->usages = false;
	for (int i = 0; i < o->count; i++) {
		if (o->wanted[i]->transactions_known)
			continue;
		sql_next(q, &o->transactions);
		view_ask_transactions(q, i, &o->wanted[i]->key, 0, OVERVIEW_ROWS);
		sql_literal(&q->sql, ")");
	}
	for (int i = 0; i < o->count; i++) {
		const struct reader_usage_filter filter = {.member = o->wanted[i]->of_member};

		if (o->wanted[i]->usages_known)
			continue;
		sql_next(q, &o->usages);
		view_ask_usages(q, i, &o->wanted[i]->key, 0, &filter, OVERVIEW_ROWS);
		sql_literal(&q->sql, ")");
	}
	return o->transactions || o->usages;
}

static void sql_own_members(struct ask *q, struct askers *o)
{
	o->members = false;
	for (int i = 0; i < o->count; i++) {
		if (o->wanted[i]->of_member == NULL)
			continue;
		sql_next(q, &o->members);
		view_ask_members(q, i, &o->wanted[i]->key);
		sql_literal(&q->sql, " AND member_id");
		view_ask_equals(q, o->wanted[i]->of_member);
		sql_literal(&q->sql, ")");
	}
}

/* Adds the statements for few askers: their accounts and lists. */
static bool sql_few(struct ask *q, struct askers *o)
{
	sql_accounts(q, o);
	(void)sql_lists(q, o);
	sql_own_members(q, o);
	return true;
}

/* Adds the statements for many askers: their accounts and transactions. */
static bool sql_many(struct ask *q, struct askers *o)
{
	sql_accounts(q, o);
	sql_transactions_of_all(q, o);
	sql_own_members(q, o);
	return true;
}

/* Takes a row in for one asker.  When its arena has no room, only this asker fails. */
static void take_for(struct ask *q, struct overview *o, ask_taker *take, const struct db_row *row, void *out)
{
	q->arena = o->arena;
	if (take(q, row, out) < 0)
		o->failed = true;
}

/* True if the row, whose last column is the account's id, is of o's account.  Two askers may name one account. */
static bool is_of(const struct db_row *row, const struct overview *o)
{
	const unsigned id = row->count - 1;

	CHECK(row->length[id] == sizeof(o->key.bytes));
	return memcmp(o->key.bytes, row->field[id], sizeof(o->key.bytes)) == 0;
}

static int take_accounts(struct ask *q, const struct db_row *row, void *out)
{
	const struct askers *o = out;

	for (int i = 0; i < o->count; i++)
		if (is_of(row, o->wanted[i])) {
			take_for(q, o->wanted[i], view_account, row, &o->wanted[i]->account);
			o->wanted[i]->hold_seq = db_int(row, row->count - 2);
		}
	return 0;
}

/* Each asker has room for one row more than is shown. */
static void add_shown_transaction(struct ask *q, struct overview *o, const struct db_row *row)
{
	if (o->transaction_count <= OVERVIEW_ROWS)
		take_for(q, o, view_transaction, row, &o->transactions[o->transaction_count++]);
}

static void add_usage(struct ask *q, struct overview *o, const struct db_row *row)
{
	if (o->usage_count <= OVERVIEW_ROWS)
		take_for(q, o, view_usage, row, &o->usages[o->usage_count++]);
}

static int take_transaction_of_all(struct ask *q, const struct db_row *row, void *out)
{
	struct askers *o = out;

	o->rows++;
	for (int i = 0; i < o->count; i++)
		if (is_of(row, o->wanted[i]))
			add_shown_transaction(q, o->wanted[i], row);
	return 0;
}

static int take_last_usage(struct ask *q, const struct db_row *row, void *out)
{
	const struct askers *o = out;

	for (int i = 0; i < o->count; i++)
		if (is_numbered(o->wanted[i]) && is_of(row, o->wanted[i]))
			add_usage(q, o->wanted[i], row);
	return 0;
}

static struct overview *tagged(const struct askers *o, const struct db_row *row)
{
	const int64_t tag = db_int(row, row->count - 1);

	CHECK(tag >= 0 && tag < o->count);
	return o->wanted[tag];
}

static int take_transactions(struct ask *q, const struct db_row *row, void *out)
{
	add_shown_transaction(q, tagged(out, row), row);
	return 0;
}

static int take_usages(struct ask *q, const struct db_row *row, void *out)
{
	add_usage(q, tagged(out, row), row);
	return 0;
}

static int take_own_member(struct ask *q, const struct db_row *row, void *out)
{
	struct overview *o = tagged(out, row);

	o->member_found = true;
	take_for(q, o, view_member, row, &o->member);
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

/* Sorts the lists, because the rows of a UNION come in any order. */
static void sort_lists(struct overview *o)
{
	qsort(o->transactions, (size_t)o->transaction_count, sizeof(o->transactions[0]), compare_transactions);
	qsort(o->usages, (size_t)o->usage_count, sizeof(o->usages[0]), compare_usages);
	if (o->transaction_count > OVERVIEW_ROWS)
		o->transaction_count = OVERVIEW_ROWS;
	if (o->usage_count > OVERVIEW_ROWS)
		o->usage_count = OVERVIEW_ROWS;
}

int overview_init(struct overview *o, struct arena *a, const struct account_key *key, const char *of_member)
{
	memset(o, 0, sizeof(*o));
	o->key = *key;
	o->of_member = of_member;
	o->arena = a;
	o->transactions = arena_alloc(a, (OVERVIEW_ROWS + 1) * sizeof(*o->transactions));
	o->usages = arena_alloc(a, (OVERVIEW_ROWS + 1) * sizeof(*o->usages));
	return o->transactions != NULL && o->usages != NULL ? 0 : -1;
}

/* Marks the askers of which all transactions were read, or as many as are shown. */
static void note_transactions(const struct askers *o)
{
	for (int i = 0; i < o->count; i++) {
		struct overview *w = o->wanted[i];

		w->transactions_known = o->rows <= transactions_max(o) || w->transaction_count >= OVERVIEW_ROWS;
		if (!w->transactions_known)
			w->transaction_count = 0;
	}
}

static void note_usages(const struct askers *o)
{
	for (int i = 0; i < o->count; i++) {
		struct overview *w = o->wanted[i];

		w->usages_known = !w->account.found ||
		                  (is_numbered(w) && (usages_above(w) <= 0 || w->usage_count >= OVERVIEW_ROWS));
		if (!w->usages_known)
			w->usage_count = 0;
	}
}

static int take_next(struct ask *q, struct askers *o, ask_taker *take)
{
	if (o->results++ > 0 && ask_next(q) < 0)
		return -1;
	return ask_each(q, take, o);
}

static int take_lists(struct ask *q, struct askers *o)
{
	if (o->transactions && take_next(q, o, take_transactions) < 0)
		return -1;
	return o->usages ? take_next(q, o, take_usages) : 0;
}

static int take_own_members(struct ask *q, struct askers *o)
{
	return o->members ? take_next(q, o, take_own_member) : 0;
}

static int take_few(struct ask *q, struct askers *o)
{
	if (take_next(q, o, take_accounts) < 0 || take_lists(q, o) < 0)
		return -1;
	return take_own_members(q, o);
}

static int take_many(struct ask *q, struct askers *o)
{
	if (take_next(q, o, take_accounts) < 0 || take_next(q, o, take_transaction_of_all) < 0)
		return -1;
	return take_own_members(q, o);
}

static int take_last_usages(struct ask *q, struct askers *o)
{
	return take_next(q, o, take_last_usage);
}

/* Makes one round trip, or none when writer has nothing to ask. */
static int read_by(struct db *d, struct askers *o, writer *write, taker *take)
{
	struct ask q;
	int result = 0;

	ask_init(&q, d, NULL);
	o->results = 0;
	if (write(&q, o))
		result = ask_send(&q) == 0 ? take(&q, o) : -1;
	return ask_end(&q, result);
}

static int read_together(struct db *d, struct askers *o)
{
	if (read_by(d, o, sql_many, take_many) < 0)
		return -1;
	note_transactions(o);
	if (read_by(d, o, sql_last_usages, take_last_usages) < 0)
		return -1;
	note_usages(o);
	return read_by(d, o, sql_lists, take_lists); /* the lists that are not known by now */
}

void overview_read(struct db *d, struct overview *const *wanted, int count)
{
	struct askers o = {.wanted = wanted, .count = count};
	int result;

	CHECK(count > 0 && count <= OVERVIEW_ASKERS_MAX);
	result = count < TOGETHER_MIN ? read_by(d, &o, sql_few, take_few) : read_together(d, &o);
	for (int i = 0; i < count; i++) {
		if (result < 0)
			wanted[i]->failed = true;
		else
			sort_lists(wanted[i]);
	}
}
