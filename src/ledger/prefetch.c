/*
 * prefetch: first of the three steps.  Locks the accounts of the batch by primary key in one global order.
 * Reads the database's clock after that, and loads every row that a decision may look at.  One round trip can
 * do that.  More are needed when something of an account is due, or an account has a workspace, several grants with
 * a rest, or more open holds than its row has room for.  More are also needed, for example, when an authorize is
 * repeated, or a command names a hold that has ended.
 */
#include "ledger/prefetch.h"

#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "db/hosts.h"
#include "db/schema.h"
#include "db/sql.h"
#include "ledger/decide/decide.h"
#include "ledger/decide/due.h"
#include "ledger/needs.h"
#include "ledger/rows/current_grant.h"
#include "ledger/rows/packed_hold.h"
#include "ledger/rows/packed_holds.h"
#include "ledger/rows/table_sql.h"

/* The result when the arena or a buffer has no room: a fault of this process. */
#define SHORT_OF_MEMORY DB_FAULT

static bool count_hold(void *context, struct slot *s, const void *key)
{
	(void)context;
	(void)key;
	CHECK(s != NULL);
	s->wants_holds++;
	return true;
}

static bool name_everything(struct batch *b)
{
	for (int i = 0; i < b->count; i++) {
		struct slot *s = rows_slot(b->rows, &b->commands[i]->account);

		if (s == NULL || !needs_name(b->rows, s, b->commands[i]))
			return false;
	}
	/* A command is about one account, and may name another. */
	CHECK(rows_slot_count(b->rows) > 0 && rows_slot_count(b->rows) <= 2 * b->count);
	rows_each_wanted(b->rows, TABLE_HOLDS, count_hold, NULL);
	return true;
}

/* ---- accounts that others bring along ------------------------------------------------------------ */

static bool add_referred(struct batch *b)
{
	bool any = false;

	buf_reset(&b->sql);
	sql_literal(&b->sql, "SELECT referrer_id FROM signups WHERE referred_at_us>0 AND rewarded_at_us=0"
	                     " AND account_id IN (");
	for (int i = 0; i < b->count; i++) {
		if ((decide_needs(b->commands[i]->kind) & NEEDS_REFERRER) == 0)
			continue;
		if (any)
			buf_add_char(&b->sql, ',');
		sql_bytes(&b->sql, b->commands[i]->account.bytes, ID_KEY_BYTES);
		any = true;
	}
	buf_add_char(&b->sql, ')');
	return any;
}

/* Names the referrers of accounts that pay.  A referrer is locked with the account, in the one order, so it
 * is asked for before anything is locked.  A referral made in this very moment is found by referrers_known. */
static enum db_result name_referrers(struct batch *b, struct db *d)
{
	enum db_result result;
	struct db_row row;
	int more;

	if (!add_referred(b))
		return DB_OK;
	if (!buf_ok(&b->sql))
		return SHORT_OF_MEMORY;
	result = db_query(d, &b->sql);
	if (result != DB_OK)
		return result;
	for (more = db_row(d, &row); more > 0; more = db_row(d, &row)) {
		struct account_key key;
		struct slot *s;

		CHECK(row.length[0] == sizeof(key.bytes));
		memcpy(key.bytes, row.field[0], sizeof(key.bytes));
		s = rows_slot(b->rows, &key);
		if (s == NULL)
			return SHORT_OF_MEMORY;
		s->wants_grants = true;
	}
	return more == 0 ? db_finish(d) : DB_LOST;
}

/* Called once the accounts are locked: true if the referrers that a payment rewards are locked too. */
static bool referrers_known(struct batch *b)
{
	for (int i = 0; i < b->count; i++) {
		const struct command *c = b->commands[i];
		const struct signups_row *p;
		struct account_key key;
		struct slot *own;

		if ((decide_needs(c->kind) & NEEDS_REFERRER) == 0)
			continue;
		own = rows_slot_known(b->rows, &c->account);
		p = (const struct signups_row *)rows_find(b->rows, own, TABLE_SIGNUPS, NULL);
		if (p == NULL || p->referred_at_us == 0 || p->rewarded_at_us != 0)
			continue;
		memcpy(key.bytes, p->referrer_id, sizeof(key.bytes));
		const struct slot *s = rows_slot_known(b->rows, &key);

		if (s == NULL || !s->wants_grants)
			return false;
		CHECK(s->grants_loaded && own->grants_loaded);
	}
	return true;
}

static bool any_account(struct batch *b, bool (*wanted)(const struct slot *s, int64_t now_us))
{
	/* Each batch names an account. */
	CHECK(rows_slot_count(b->rows) > 0);
	for (int i = 0; i < rows_slot_count(b->rows); i++)
		if (wanted(rows_slot_at(b->rows, i), b->now_us))
			return true;
	return false;
}

/* Adds "0x…,0x…", the keys of the slots for which wanted is true. */
static void add_accounts(struct batch *b, bool (*wanted)(const struct slot *s, int64_t now_us))
{
	bool any = false;

	for (int i = 0; i < rows_slot_count(b->rows); i++) {
		const struct slot *s = rows_slot_at(b->rows, i);

		if (!wanted(s, b->now_us))
			continue;
		if (any)
			buf_add_char(&b->sql, ',');
		sql_bytes(&b->sql, s->key.bytes, sizeof(s->key.bytes));
		any = true;
	}
	/* An empty list is no SQL. */
	CHECK(any);
}

static bool every_slot(const struct slot *s, int64_t now_us)
{
	(void)s;
	(void)now_us;
	return true;
}

static bool is_due(const struct slot *s, int64_t now_us)
{
	return s->account != NULL && due_next_us(s->account) <= now_us;
}

static bool has_workspace(const struct slot *s, int64_t now_us)
{
	(void)now_us;
	return s->account != NULL && s->account->workspace != 0;
}

/* The end of a plan's period concerns all members.  The workspace, which has that end, must have been read. */
static bool needs_members(const struct slot *s, int64_t now_us)
{
	const struct workspaces_row *w = s->workspace;

	CHECK(w == NULL || (s->account != NULL && s->account->workspace != 0));
	return w != NULL && (s->wants_members || (w->period_end_us != 0 && w->period_end_us <= now_us));
}

/* The end of a plan's period concerns the paid periods. */
static bool needs_periods(const struct slot *s, int64_t now_us)
{
	return has_workspace(s, now_us) && (s->wants_periods || is_due(s, now_us));
}

/* The account's row tells an only grant. */
static bool needs_grants(const struct slot *s, int64_t now_us)
{
	return s->account != NULL && (s->wants_grants || is_due(s, now_us)) && current_grant_needs_rows(s->account);
}

/* The account's row may tell all open holds. */
static bool needs_holds(const struct slot *s, int64_t now_us)
{
	return is_due(s, now_us) && packed_hold_beside(s->account);
}

/* Reads the current result into the rows.  Rows of an account that did not exist at the time of the lock are left out.
 * Another process may have made it since, with a hold. */
static enum db_result load_rows(struct batch *b, struct db *d, enum table_id table)
{
	struct db_row from;
	int more;

	/* Of tables that are only written, the entries of captures are read. */
	CHECK(table_of(table)->load != LOAD_NEVER || table == TABLE_ENTRIES);
	for (more = db_row(d, &from); more > 0; more = db_row(d, &from)) {
		struct row *row = rows_alloc(b->rows, table);
		struct account_key key;
		struct slot *s;

		if (rows_failed(b->rows) || !table_sql_read(table, &from, row, b->arena))
			return SHORT_OF_MEMORY;
		if (table_of(table)->load == LOAD_GLOBAL) {
			if (!rows_load(b->rows, NULL, row))
				return SHORT_OF_MEMORY;
			continue;
		}
		/* The first column of every other table is the account's key. */
		memcpy(key.bytes, (const char *)row + table_of(table)->columns[0].offset, sizeof(key.bytes));
		s = rows_slot(b->rows, &key);
		if (s != NULL && s->account == NULL && table != TABLE_ACCOUNTS)
			continue;
		if (s == NULL || !rows_load(b->rows, s, row))
			return SHORT_OF_MEMORY;
	}
	return more == 0 ? DB_OK : DB_LOST;
}

/* Steps over the results of statements that return no rows. */
static enum db_result skip_to_result(struct db *d, int statements)
{
	enum db_result result = DB_OK;
	bool more = true;

	CHECK(statements >= 0);
	for (int i = 0; i < statements && result == DB_OK; i++) {
		result = db_next(d, &more);
		if (result == DB_OK && !more)
			result = DB_FAULT;
	}
	return result;
}

/* Rows of another version may have columns whose meaning this one does not know: nothing is decided on them. */
static enum db_result refuse_schema(int64_t version)
{
	log_event(LOG_LEVEL_ERROR, "schema_mismatch", LOG_NUMBER("version", version),
	          LOG_NUMBER("wanted", SCHEMA_VERSION));
	return DB_FAULT;
}

/* The facts about the server that come with its clock. */
struct server_facts {
	int64_t price_version;
	struct primary_server server; /* of its epoch the number alone */
};

static enum db_result read_database_clock(struct batch *b, struct db *d, struct server_facts *f)
{
	struct db_row row;
	enum db_result result = skip_to_result(d, 1);

	if (result != DB_OK)
		return result;
	if (db_row(d, &row) != 1)
		return DB_LOST;
	b->now_us = db_int(&row, 0);
	f->price_version = db_int(&row, 1);
	f->server = (struct primary_server){
		.heard = true,
		.read_only = strcmp(row.field[3], "0") != 0 && strcmp(row.field[3], "OFF") != 0,
		.cluster = db_cluster(d),
		.ready = true,
		.server_id = db_int(&row, 4),
		.epoch = {.number = db_int(&row, 5)},
	};
	return db_int(&row, 2) == SCHEMA_VERSION ? DB_OK : refuse_schema(db_int(&row, 2));
}

/* Nothing is written to a server that another one has replaced, or has not replaced yet.  The next attempt connects
 * anew, to the primary if there is one.  The row of the epoch is read when its number is not the one that is known. */
static enum db_result check_primary(struct db *d, struct primary_server *server)
{
	const struct epoch known = primary_epoch();
	enum primary_verdict verdict;

	if (server->epoch.number == known.number)
		server->epoch = known;
	else if (!hosts_epoch(d, &server->epoch))
		return db_connected(d) ? DB_FAULT : DB_LOST;
	verdict = primary_check(server);
	if (verdict == PRIMARY_PRIMARY)
		return DB_OK;
	db_refuse(d, primary_sentence(verdict));
	return DB_BUSY;
}

/* Reads the price book again if prices were added since the last batch. */
static enum db_result renew_book(struct batch *b, struct db *d, int64_t version)
{
	struct book *book;

	if (b->book != NULL && book_version(b->book) == version)
		return DB_OK;
	book = book_load(d);
	if (book == NULL)
		return db_connected(d) ? DB_FAULT : DB_LOST;
	book_release(b->book);
	b->book = book;
	return DB_OK;
}

/* ---- rows ---------------------------------------------------------------------------------------- */

/* A statement that reads rows that commands name, and the table of these rows. */
struct reading {
	struct batch *batch;
	enum table_id table;
	bool any;
};

static void add_value(struct buf *sql, const struct column *c, const void *value)
{
	if (c->type == COLUMN_TEXT)
		sql_text(sql, value);
	else if (c->type == COLUMN_BYTES)
		sql_bytes(sql, value, c->size);
	else
		sql_int(sql, *(const int64_t *)value);
}

/* Adds "SELECT … WHERE (account_id,seq) IN (", "… account_id IN (" or, for a global table, "… id IN (". */
static void open_named(struct buf *sql, enum table_id table)
{
	const struct column *first = &table_of(table)->columns[0], *key = table_key(table);

	table_sql_select(sql, table);
	if (key == NULL || key == first) {
		buf_add_text(sql, first->name);
	} else {
		buf_add_char(sql, '(');
		buf_add_text(sql, first->name);
		buf_add_char(sql, ',');
		buf_add_text(sql, key->name);
		buf_add_char(sql, ')');
	}
	sql_literal(sql, " IN (");
}

/* Not all of so many holds are in the account's row, so that they are read with the lock. */
static bool is_read_at_once(const struct slot *s)
{
	return s->wants_holds > PACKED_HOLDS;
}

/* True if the named hold is not in holds, or is read elsewhere: with the lock, or with all holds of the account. */
static bool is_hold_elsewhere(const struct batch *b, const struct slot *s, int64_t seq)
{
	if (b->phase == BATCH_BEGIN)
		return !is_read_at_once(s);
	return s->account == NULL || is_read_at_once(s) || !packed_hold_beside(s->account) ||
	       packed_hold_find(s->account, seq) < PACKED_HOLDS || is_due(s, b->now_us);
}

/* True if the named row need not be read.  That is a member of an account that has no workspace, or whose members are
 * all read; a usage whose hold is open; a capture unless its usage is expired and costs something. */
static bool is_elsewhere(const struct reading *r, struct slot *s, const void *key)
{
	const int64_t now_us = r->batch->now_us;
	const struct usages_row *u;

	if (r->table == TABLE_HOLDS)
		return is_hold_elsewhere(r->batch, s, *(const int64_t *)key);
	if (r->table == TABLE_MEMBERS)
		return !has_workspace(s, now_us) || needs_members(s, now_us);
	if (r->table == TABLE_CAPTURES) {
		u = (const struct usages_row *)rows_find(r->batch->rows, s, TABLE_USAGES, key);
		return u == NULL || u->state != USAGE_EXPIRED || u->cost_micros == 0;
	}
	return r->table == TABLE_USAGES &&
	       (s->account == NULL || (rows_wanted(r->batch->rows, s, TABLE_HOLDS, key) &&
	                               rows_find(r->batch->rows, s, TABLE_HOLDS, key) != NULL));
}

static bool add_named(void *context, struct slot *s, const void *key)
{
	struct reading *r = context;
	struct buf *sql = &r->batch->sql;
	const struct column *c = table_key(r->table);

	if (s != NULL && is_elsewhere(r, s, key))
		return true;
	if (r->any)
		buf_add_char(sql, ',');
	else
		open_named(sql, r->table);
	r->any = true;
	if (s == NULL) {
		add_value(sql, c, key);
		return true;
	}
	if (c != NULL)
		buf_add_char(sql, '(');
	sql_bytes(sql, s->key.bytes, sizeof(s->key.bytes));
	if (c != NULL) {
		buf_add_char(sql, ',');
		add_value(sql, c, key);
		buf_add_char(sql, ')');
	}
	return true;
}

/* Adds the SELECT of the rows that commands name; false when there are none. */
static bool add_named_select(struct batch *b, enum table_id table)
{
	struct reading r = {b, table, false};

	rows_each_wanted(b->rows, table, add_named, &r);
	if (!r.any)
		return false;
	buf_add_char(&b->sql, ')');
	if (table_of(table)->load == LOAD_GLOBAL) {
		sql_literal(&b->sql, " ORDER BY ");
		buf_add_text(&b->sql, table_of(table)->columns[0].name);
		sql_literal(&b->sql, " FOR UPDATE");
	}
	buf_add_char(&b->sql, ';');
	return true;
}

/* Adds the SELECT of all rows of a table of the wanted accounts; false when there are none.  Of grants only those that
 * can still pay are read, of paid periods only those that run.  rows_load puts the hold that expires next in front,
 * which is quick if the hold that expires last is read first.  Periods are read the oldest first, so that the newest
 * leads the list. */
static bool add_account_select(struct batch *b, enum table_id table,
                               bool (*wanted)(const struct slot *s, int64_t now_us))
{
	const enum table_load load = table_of(table)->load;

	CHECK(load == LOAD_ACCOUNT || load == LOAD_NAMED || load == LOAD_LATER);
	if (!any_account(b, wanted))
		return false;
	table_sql_select(&b->sql, table);
	if (table == TABLE_GRANTS)
		sql_literal(&b->sql, "remaining_micros>0 AND ");
	if (table == TABLE_PAID_PERIODS)
		sql_literal(&b->sql, "running=1 AND ");
	sql_literal(&b->sql, "account_id IN (");
	add_accounts(b, wanted);
	buf_add_char(&b->sql, ')');
	if (table == TABLE_HOLDS)
		sql_literal(&b->sql, " ORDER BY expires_at_us DESC,seq DESC");
	if (table == TABLE_PAID_PERIODS)
		sql_literal(&b->sql, " ORDER BY created_at_us,start_us,seq");
	buf_add_char(&b->sql, ';');
	return true;
}

static void note_loaded(struct batch *b)
{
	for (int i = 0; i < rows_slot_count(b->rows); i++) {
		struct slot *s = rows_slot_at(b->rows, i);

		CHECK(!s->refreshed && !s->grants_loaded && !s->holds_loaded);
		s->grants_loaded = s->wants_grants || s->account == NULL || is_due(s, b->now_us);
		s->holds_loaded = s->account == NULL || is_due(s, b->now_us);
		s->periods_loaded = !has_workspace(s, b->now_us) || needs_periods(s, b->now_us);
	}
}

/* Adds a SELECT for every table but usages that is loaded by load.  Appends their tables to order, and returns the new
 * count of statements. */
static int add_selects(struct batch *b, enum table_load load, enum table_id *order, int count)
{
	for (int t = 0; t < TABLE_COUNT; t++) {
		if (t == TABLE_USAGES || table_of((enum table_id)t)->load != load ||
		    !add_named_select(b, (enum table_id)t))
			continue;
		CHECK(count < TABLE_COUNT);
		order[count++] = (enum table_id)t;
	}
	return count;
}

/* Sends the statements. */
static enum db_result send(struct batch *b, struct db *d)
{
	if (!buf_ok(&b->sql))
		return SHORT_OF_MEMORY;
	CHECK(b->sql.length > 0 && b->sql.data[b->sql.length - 1] == ';');
	b->sql.length--; /* the last ';' would be an empty statement */
	return db_query(d, &b->sql);
}

/* Reads the results of the next statements, the rows of these tables. */
static enum db_result load_next(struct batch *b, struct db *d, const enum table_id *order, int count)
{
	enum db_result result = DB_OK;

	CHECK(count >= 0 && count <= TABLE_COUNT);
	for (int i = 0; i < count && result == DB_OK; i++) {
		result = skip_to_result(d, 1);
		if (result == DB_OK)
			result = load_rows(b, d, order[i]);
	}
	return result;
}

/* Sends the statements, and reads their results, the rows of these tables. */
static enum db_result read_all(struct batch *b, struct db *d, const enum table_id *order, int count)
{
	enum db_result result;

	if (count == 0)
		return DB_OK;
	result = send(b, d);
	if (result == DB_OK)
		result = load_rows(b, d, order[0]);
	if (result == DB_OK)
		result = load_next(b, d, order + 1, count - 1);
	return result == DB_OK ? db_finish(d) : result;
}

/* One SELECT of two tables that are never empty costs less than two subqueries.  price_versions may be empty. */
static void add_lock(struct batch *b)
{
	table_sql_select(&b->sql, TABLE_ACCOUNTS);
	sql_literal(&b->sql, "id IN (");
	add_accounts(b, every_slot);
	sql_literal(&b->sql, ") ORDER BY id FOR UPDATE;"
	                     "SELECT " SQL_NOW_US ","
	                     "(SELECT COALESCE(MAX(id),0) FROM price_versions),"
	                     "COALESCE(MAX(version),0),@@read_only,@@server_id,COALESCE(MAX(number),0)"
	                     " FROM schema_versions,epochs;");
}

/* Reads the results of the statements of add_lock. */
static enum db_result read_lock(struct batch *b, struct db *d, struct server_facts *f)
{
	enum db_result result = load_rows(b, d, TABLE_ACCOUNTS);

	return result == DB_OK ? read_database_clock(b, d, f) : result;
}

static enum db_result prefetch_begin(struct batch *b, struct db *d)
{
	enum table_id order[TABLE_COUNT];
	struct server_facts facts = {0};
	enum db_result result;
	int count = 0;

	rows_reset(b->rows);
	arena_reset(b->arena);
	if (!name_everything(b))
		return SHORT_OF_MEMORY;
	result = name_referrers(b, d);
	if (result != DB_OK)
		return result;
	rows_sort_slots(b->rows);
	buf_reset(&b->sql);
	if (!db_manual_commit(d))
		sql_literal(&b->sql, "BEGIN;");
	if (b->unknown)
		batch_marker(b);
	add_lock(b);
	count = add_selects(b, LOAD_GLOBAL, order, count);
	count = add_selects(b, LOAD_NAMED, order, count);
	CHECK(count <= TABLE_COUNT);
	result = send(b, d);
	if (result == DB_OK)
		result = skip_to_result(d, (db_manual_commit(d) ? 0 : 1) + (b->unknown ? 1 : 0));
	if (result == DB_OK)
		result = read_lock(b, d, &facts);
	if (result == DB_OK)
		result = load_next(b, d, order, count);
	if (result == DB_OK)
		result = db_finish(d);
	if (result == DB_OK)
		result = check_primary(d, &facts.server);
	return result == DB_OK ? renew_book(b, d, facts.price_version) : result;
}

/* Reads the usages of holds that were not found, and of repeated authorizes.  There are seldom any. */
static enum db_result prefetch_usages(struct batch *b, struct db *d)
{
	static const enum table_id order[] = {TABLE_USAGES};

	for (int i = 0; i < b->count; i++)
		if (!needs_name_replayed(b->rows, rows_slot_known(b->rows, &b->commands[i]->account), b->commands[i]))
			return SHORT_OF_MEMORY;
	buf_reset(&b->sql);
	return read_all(b, d, order, add_named_select(b, TABLE_USAGES) ? 1 : 0);
}

/* ---- captures that may be given back --------------------------------------------------------------- */

/* Adds a condition about a capture, behind an OR if any is true; false: the capture needs no condition. */
typedef bool add_condition(struct buf *sql, const struct slot *s, const struct captures_row *c, bool any);

struct giving {
	struct batch *batch;
	add_condition *add;
	bool any;
};

static bool add_given(void *context, struct slot *s, const void *key)
{
	struct giving *g = context;
	const struct captures_row *c = (const struct captures_row *)rows_find(g->batch->rows, s, TABLE_CAPTURES, key);

	if (c != NULL)
		g->any = g->add(&g->batch->sql, s, c, g->any) || g->any;
	return true;
}

static bool add_all_given(struct batch *b, add_condition *add)
{
	struct giving g = {b, add, false};

	rows_each_wanted(b->rows, TABLE_CAPTURES, add_given, &g);
	return g.any;
}

static void add_from(struct buf *sql, const struct slot *s, bool any)
{
	if (any)
		sql_literal(sql, " OR ");
	sql_literal(sql, "(account_id=");
	sql_bytes(sql, s->key.bytes, sizeof(s->key.bytes));
}

static bool add_own_entries(struct buf *sql, const struct slot *s, const struct captures_row *c, bool any)
{
	add_from(sql, s, any);
	sql_literal(sql, " AND seq BETWEEN ");
	sql_int(sql, c->entry_first);
	sql_literal(sql, " AND ");
	sql_int(sql, c->entry_last);
	buf_add_char(sql, ')');
	return true;
}

static bool add_later_credits(struct buf *sql, const struct slot *s, const struct captures_row *c, bool any)
{
	CHECK(c->debt_micros >= 0);
	if (c->debt_micros == 0)
		return false;
	add_from(sql, s, any);
	sql_literal(sql, " AND seq>");
	sql_int(sql, c->entry_last);
	buf_add_char(sql, ')');
	return true;
}

/* Reads the entries of each capture.  Where part of a capture was debt, reads also the entries by which credits have
 * paid debt since.  Such an entry is the second of a transaction that found debt. */
static enum db_result prefetch_entries(struct batch *b, struct db *d)
{
	static const enum table_id order[] = {TABLE_ENTRIES, TABLE_ENTRIES};
	size_t start;
	int count = 0;

	buf_reset(&b->sql);
	table_sql_select(&b->sql, TABLE_ENTRIES);
	buf_add_char(&b->sql, '(');
	if (!add_all_given(b, add_own_entries))
		return DB_OK;
	sql_literal(&b->sql, ") ORDER BY account_id,seq;");
	count++;
	start = b->sql.length;
	table_sql_select(&b->sql, TABLE_ENTRIES);
	sql_literal(&b->sql, "grant_seq<>0 AND (account_id,seq) IN (SELECT account_id,seq+1 FROM transactions WHERE"
	                     " amount_micros>0 AND balance_before_micros<0 AND (");
	if (add_all_given(b, add_later_credits)) {
		sql_literal(&b->sql, ")) ORDER BY account_id,seq;");
		count++;
	} else {
		b->sql.length = start;
	}
	return read_all(b, d, order, count);
}

/* Reads the spent grants of these entries; the others are loaded already.  Several entries may name one grant. */
static enum db_result prefetch_paid_grants(struct batch *b, struct db *d)
{
	static const enum table_id order[] = {TABLE_GRANTS};
	bool any = false;

	buf_reset(&b->sql);
	table_sql_select(&b->sql, TABLE_GRANTS);
	sql_literal(&b->sql, "remaining_micros=0 AND (account_id,seq) IN (");
	for (int i = 0; i < rows_slot_count(b->rows); i++) {
		const struct slot *s = rows_slot_at(b->rows, i);

		for (const struct entries_row *e = s->entries; e != NULL; e = (const struct entries_row *)e->row.next) {
			if (e->grant_seq == 0)
				continue;
			if (any)
				buf_add_char(&b->sql, ',');
			buf_add_char(&b->sql, '(');
			sql_bytes(&b->sql, s->key.bytes, sizeof(s->key.bytes));
			buf_add_char(&b->sql, ',');
			sql_int(&b->sql, e->grant_seq);
			buf_add_char(&b->sql, ')');
			any = true;
		}
	}
	sql_literal(&b->sql, ");");
	return read_all(b, d, order, any ? 1 : 0);
}

/* Reads the captures of usages that were charged when their hold expired, and are settled now: seldom any. */
static enum db_result prefetch_captures(struct batch *b, struct db *d)
{
	static const enum table_id order[] = {TABLE_CAPTURES};
	enum db_result result;

	buf_reset(&b->sql);
	if (!add_named_select(b, TABLE_CAPTURES))
		return DB_OK;
	result = read_all(b, d, order, 1);
	if (result == DB_OK)
		result = prefetch_entries(b, d);
	return result == DB_OK ? prefetch_paid_grants(b, d) : result;
}

/* ---- members ------------------------------------------------------------------------------------- */

static bool want_member(struct batch *b, struct slot *s, const char *member)
{
	return member[0] == '\0' || rows_want(b->rows, s, TABLE_MEMBERS, member);
}

/* Names the member of a usage; its hold has ended.  want_members_of_holds names those of open holds too. */
static bool want_member_of(void *context, struct slot *s, const void *key)
{
	struct batch *b = context;
	const struct usages_row *u;

	if (!has_workspace(s, b->now_us))
		return true;
	u = (const struct usages_row *)rows_find(b->rows, s, TABLE_USAGES, key);
	return u == NULL || want_member(b, s, u->member);
}

static bool want_members_of_holds(struct batch *b)
{
	rows_each_wanted(b->rows, TABLE_USAGES, want_member_of, b);
	for (int i = 0; i < rows_slot_count(b->rows); i++) {
		struct slot *s = rows_slot_at(b->rows, i);

		if (!has_workspace(s, b->now_us))
			continue;
		for (const struct holds_row *h = s->holds; h != NULL; h = (const struct holds_row *)h->row.next)
			if (!want_member(b, s, h->member))
				return false;
	}
	return !rows_failed(b->rows);
}

/* Reads the members.  They come last, because holds and usages name them. */
static enum db_result prefetch_members(struct batch *b, struct db *d)
{
	enum table_id order[2];
	int count = 0;

	if (!want_members_of_holds(b))
		return SHORT_OF_MEMORY;
	for (int i = 0; i < rows_slot_count(b->rows); i++) {
		struct slot *s = rows_slot_at(b->rows, i);

		s->members_loaded = s->workspace == NULL || needs_members(s, b->now_us);
	}
	buf_reset(&b->sql);
	if (add_account_select(b, TABLE_MEMBERS, needs_members))
		order[count++] = TABLE_MEMBERS;
	if (add_named_select(b, TABLE_MEMBERS))
		order[count++] = TABLE_MEMBERS;
	return read_all(b, d, order, count);
}

/* Finds the time zone of each slot.  Where a workspace is to be made, the profile has the customer's time zone. */
static void find_zones(struct batch *b)
{
	for (int i = 0; i < rows_slot_count(b->rows); i++) {
		struct slot *s = rows_slot_at(b->rows, i);
		const char *name = s->workspace != NULL ? s->workspace->time_zone : "";

		if (s->workspace == NULL && rows_wanted(b->rows, s, TABLE_PROFILES, NULL)) {
			const struct profiles_row *p = rows_profile(b->rows, s);

			name = p != NULL ? p->time_zone : "";
		}
		s->zone = zone_or(name, b->options->billing.zone);
		CHECK(s->zone != NULL);
	}
}

/* Forgets the named holds of each account of which something is due: all its open holds are read next, in order. */
static void forget_due_holds(struct batch *b)
{
	for (int i = 0; i < rows_slot_count(b->rows); i++) {
		struct slot *s = rows_slot_at(b->rows, i);

		if (is_due(s, b->now_us))
			rows_forget_holds(b->rows, s);
		CHECK(!s->holds_loaded || s->holds == NULL);
	}
}

/* Puts the grants and the holds that the accounts' rows tell among those that were read. */
static bool load_from_accounts(struct batch *b)
{
	for (int i = 0; i < rows_slot_count(b->rows); i++) {
		struct slot *s = rows_slot_at(b->rows, i);

		if (!current_grant_load(b->rows, s) || !packed_holds_load(b->rows, s))
			return false;
	}
	return true;
}

static enum db_result prefetch_rows(struct batch *b, struct db *d)
{
	enum table_id order[TABLE_COUNT];
	enum db_result result;
	int count = 0;

	note_loaded(b);
	forget_due_holds(b);
	buf_reset(&b->sql);
	if (add_account_select(b, TABLE_WORKSPACES, has_workspace))
		order[count++] = TABLE_WORKSPACES;
	if (add_account_select(b, TABLE_GRANTS, needs_grants))
		order[count++] = TABLE_GRANTS;
	if (add_account_select(b, TABLE_HOLDS, needs_holds))
		order[count++] = TABLE_HOLDS;
	if (add_named_select(b, TABLE_HOLDS))
		order[count++] = TABLE_HOLDS;
	if (add_account_select(b, TABLE_PAID_PERIODS, needs_periods))
		order[count++] = TABLE_PAID_PERIODS;
	if (add_named_select(b, TABLE_PAID_PERIODS))
		order[count++] = TABLE_PAID_PERIODS;
	result = read_all(b, d, order, count);
	if (result == DB_OK && !load_from_accounts(b))
		result = SHORT_OF_MEMORY;
	if (result == DB_OK)
		result = prefetch_usages(b, d);
	if (result == DB_OK)
		result = prefetch_captures(b, d);
	if (result == DB_OK)
		result = prefetch_members(b, d);
	if (result != DB_OK)
		return result;
	CHECK(!rows_any_changed(b->rows));
	find_zones(b);
	return referrers_known(b) ? DB_OK : DB_RETRY;
}

enum db_result prefetch(struct batch *b, struct db *d)
{
	enum db_result result;

	CHECK(b->count > 0 && b->deadline_us >= 0);
	b->phase = BATCH_BEGIN;
	result = prefetch_begin(b, d);
	if (result != DB_OK)
		return result;
	if (!b->unknown)
		batch_new_id(b);
	b->phase = BATCH_ROWS;
	return batch_is_late(b) ? DB_RETRY : prefetch_rows(b, d);
}
