#include "scene.h"

#include "../unit/lines.h"
#include "../unit/unit.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/zone.h"
#include "ledger/code.h"
#include "ledger/decide/due.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/entry.h"
#include "ledger/names.h"
#include "ledger/needs.h"
#include "ledger/rows/current_grant.h"
#include "ledger/rows/packed_hold.h"
#include "ledger/rows/packed_holds.h"

#define START_US INT64_C(1000000000000000)
#define US INT64_C(1000000)
#define WORDS_MAX 32
#define MEMORY_MAX ((size_t)64 << 20)
#define BATCH_MAX 64
#define PICO_OF_DOLLAR INT64_C(1000000000000)

/* ---- prices: a token of gpt costs a micro, one of its output four ------------------------------------ */

#define TERMS \
	{ \
		.margin_ppm = 1000000, .rate_ppm = 1000000, .credit_value_ppm = 10000 \
	}
#define MODEL(name, of, v, at, ...) \
	{ \
		.kind = PRICE_MODEL, .item = name, .provider = of, .version = v, .starts_at_us = at, .terms = TERMS, \
		LINES(__VA_ARGS__) \
	}

static const struct price prices[] = {
	/*                                            input   cache read  cache write  for an hour  output */
	MODEL("gpt", "openai", 1, 0, 1000000, 500000, 1250000, 2000000, 4000000),
	MODEL("gpt", "openai", 2, START_US + 5000 * US, 2000000, 1000000, 2500000, 4000000, 8000000),
	MODEL("mini", "openai", 1, 0, 100000, 50000, 125000, 200000, 400000),
	MODEL("claude", "anthropic", 1, 0, 3000000, 300000, 3750000, 6000000, 15000000),
	MODEL("free", "nobody", 1, 0, 0, 0, 0, 0, 0),
	MODEL("embed", "openai", 1, 0, 1000000, 1000000, 1000000, 1000000, 0),
	{.kind = PRICE_MODEL,
         .item = "huge",
         .provider = "openai",
         .version = 1,
         .terms = {.margin_ppm = 1000000, .rate_ppm = 1000000, .credit_value_ppm = 1},
         LINES(PICO_OF_DOLLAR, 0, 0, 0, PICO_OF_DOLLAR)},
	{.kind = PRICE_ACTION, .item = "debrief", .version = 1, .terms = TERMS, .credits_micros = 2000000},
	{.kind = PRICE_ACTION, .item = "dear", .version = 1, .terms = TERMS, .credits_micros = MONEY_AMOUNT_MAX_MICROS},
};

/* ---- the database ----------------------------------------------------------------------------------- */

struct scene {
	const struct scene_rules *rules;
	struct arena *memory; /* of everything, until the scene ends */
	struct row *table[TABLE_COUNT];
	struct book *book;
	int64_t now_us, versions;
	bool combine;
	/* The batch that is open. */
	struct rows *rows;
	struct command *batch[BATCH_MAX];
	const char *expected[BATCH_MAX], *text[BATCH_MAX];
	int count;
};

static bool seen[COMMAND_COUNT][OUTCOME_COUNT];

bool scene_seen(enum command_kind kind, enum outcome outcome)
{
	return seen[kind][outcome];
}

static void *get(struct scene *s, size_t bytes)
{
	void *p = arena_alloc(s->memory, bytes);

	assert_non_null(p);
	return p;
}

static void wrong(const char *line, const char *what, int64_t expected, int64_t found)
{
	fail_msg("\n    %s\n    %s: expected %lld, found %lld", line, what, (long long)expected, (long long)found);
}

/* The first columns of a row are its key. */
static bool same_row(const struct row *a, const struct row *b)
{
	const struct table *t = table_of(a->table);

	for (int i = 0; i < t->column_count && t->columns[i].role == COLUMN_KEY; i++) {
		const struct column *c = &t->columns[i];
		const char *x = (const char *)a + c->offset, *y = (const char *)b + c->offset;

		if (c->type == COLUMN_TEXT
		            ? strcmp(*(const char *const *)(const void *)x, *(const char *const *)(const void *)y) != 0
		            : memcmp(x, y, c->size) != 0)
			return false;
	}
	return true;
}

/* A copy that owes nothing to the batch or its book. */
static struct row *copy_row(struct scene *s, const struct row *row)
{
	const struct table *t = table_of(row->table);
	struct row *copy = get(s, t->row_size);

	memcpy(copy, row, t->row_size);
	for (int i = 0; i < t->column_count; i++) {
		const char **text = (const char **)(void *)((char *)copy + t->columns[i].offset);

		if (t->columns[i].type == COLUMN_TEXT) {
			*text = arena_copy(s->memory, *text, strlen(*text));
			assert_non_null(*text);
		}
	}
	return copy;
}

/* Acts as persist: inserts new rows at the end, puts changed ones in place, takes ended ones out. */
static void persist_row(struct scene *s, const struct row *row)
{
	struct row **at = &s->table[row->table], *copy = copy_row(s, row);

	if (row->change == ROW_DROPPED || row->change == ROW_COPIED)
		return;
	while (*at != NULL && !same_row(*at, row))
		at = &(*at)->next;
	assert_true((*at == NULL) == (row->change == ROW_NEW));
	copy->next = row->change == ROW_NEW ? NULL : (*at)->next;
	*at = row->change == ROW_ENDED ? copy->next : copy;
}

static void persist_rows(struct scene *s)
{
	for (int i = 0; i < rows_slot_count(s->rows); i++) {
		current_grant_note(s->rows, rows_slot_at(s->rows, i));
		packed_holds_note(s->rows, rows_slot_at(s->rows, i));
	}
	for (int t = 0; t < TABLE_COUNT; t++)
		for (const struct row *row = rows_changed(s->rows, (enum table_id)t); row != NULL; row = row->written)
			persist_row(s, row);
}

static struct accounts_row *account_of(const struct scene *s, const struct account_key *key)
{
	for (struct row *row = s->table[TABLE_ACCOUNTS]; row != NULL; row = row->next)
		if (memcmp(((struct accounts_row *)row)->id, key->bytes, sizeof(key->bytes)) == 0)
			return (struct accounts_row *)row;
	return NULL;
}

static bool belongs(const struct row *row, const struct account_key *key)
{
	return memcmp((const char *)row + table_of(row->table)->columns[0].offset, key->bytes, sizeof(key->bytes)) == 0;
}

static void load_row(struct scene *s, struct slot *slot, const struct row *row)
{
	struct row *copy = rows_alloc(s->rows, row->table);

	memcpy(copy, row, table_of(row->table)->row_size);
	copy->next = copy->written = NULL;
	copy->read = NULL;
	assert_true(rows_load(s->rows, slot, copy));
}

/* Holds so that the first to expire comes first in the end, as prefetch reads them. */
static void load_holds(struct scene *s, struct slot *slot, int64_t below_us)
{
	const struct holds_row *last = NULL;
	int64_t below_seq = INT64_MAX;

	for (;;) {
		last = NULL;
		for (const struct row *row = s->table[TABLE_HOLDS]; row != NULL; row = row->next) {
			const struct holds_row *h = (const struct holds_row *)row;

			if (!belongs(row, &slot->key) || h->expires_at_us > below_us ||
			    (h->expires_at_us == below_us && h->seq >= below_seq))
				continue;
			if (last == NULL || h->expires_at_us > last->expires_at_us ||
			    (h->expires_at_us == last->expires_at_us && h->seq > last->seq))
				last = h;
		}
		if (last == NULL)
			return;
		load_row(s, slot, &last->row);
		below_us = last->expires_at_us;
		below_seq = last->seq;
	}
}

struct naming {
	struct scene *scene;
	struct slot *slot; /* NULL: rows of no account */
	enum table_id table;
};

static bool is_named(const struct row *row, const void *key)
{
	const struct column *c = table_key(row->table);
	const void *field;

	if (c == NULL)
		return true;
	field = (const char *)row + c->offset;
	if (c->type == COLUMN_TEXT)
		return strcmp(*(const char *const *)field, key) == 0;
	return memcmp(field, key, c->size) == 0;
}

static bool load_named(void *context, struct slot *slot, const void *key)
{
	const struct naming *n = context;

	for (const struct row *row = n->scene->table[n->table]; row != NULL; row = row->next)
		if (slot == n->slot && (slot == NULL || belongs(row, &slot->key)) && is_named(row, key))
			load_row(n->scene, slot, row);
	return true;
}

/* Of all tables that are loaded so. */
static void load_tables(struct scene *s, struct slot *slot, enum table_load load, bool due)
{
	for (int t = 0; t < TABLE_COUNT; t++) {
		struct naming n = {s, slot, (enum table_id)t};

		if (table_of(n.table)->load == load && !(due && n.table == TABLE_HOLDS))
			rows_each_wanted(s->rows, n.table, load_named, &n);
	}
}

/* Members that holds and usages name, once these are loaded. */
static bool want_member_of(void *context, struct slot *slot, const void *key)
{
	struct scene *s = context;
	const struct usages_row *u = (const struct usages_row *)rows_find(s->rows, slot, TABLE_USAGES, key);

	return slot->workspace == NULL || u == NULL || u->member[0] == '\0' ||
	       rows_want(s->rows, slot, TABLE_MEMBERS, u->member);
}

struct loading {
	struct scene *scene;
	const struct slot *slot;
};

/* A capture, its entries and those by which debt was paid since, and the grants that they name and that are empty. */
static bool load_capture(void *context, struct slot *slot, const void *key)
{
	const struct loading *l = context;
	struct naming n = {l->scene, slot, TABLE_CAPTURES};
	const struct usages_row *u;
	const struct captures_row *c;

	if (slot != l->slot)
		return true;
	u = (const struct usages_row *)rows_find(n.scene->rows, slot, TABLE_USAGES, key);
	if (u == NULL || u->state != USAGE_EXPIRED || u->cost_micros == 0)
		return true;
	load_named(&n, slot, key);
	c = (const struct captures_row *)rows_find(n.scene->rows, slot, TABLE_CAPTURES, key);
	slot->entries = NULL;
	for (const struct row *row = n.scene->table[TABLE_ENTRIES]; row != NULL && c != NULL; row = row->next) {
		const struct entries_row *e = (const struct entries_row *)row;
		const bool paid_debt = e->kind == ENTRY_DEBT && e->grant_seq != 0 && e->transaction_seq == e->seq - 1;

		/* Of several captures of an account: once. */
		if (belongs(row, &slot->key) && (paid_debt || e->kind == ENTRY_USAGE))
			load_row(n.scene, slot, row);
	}
	return true;
}

static void load_captures(struct scene *s, struct slot *slot)
{
	struct loading l = {s, slot};

	rows_each_wanted(s->rows, TABLE_CAPTURES, load_capture, &l);
	for (const struct row *row = s->table[TABLE_GRANTS]; row != NULL && slot->entries != NULL; row = row->next) {
		const struct grants_row *g = (const struct grants_row *)row;

		if (belongs(row, &slot->key) && g->remaining_micros == 0)
			load_row(s, slot, row);
	}
}

static void load_members(struct scene *s, struct slot *slot)
{
	struct naming n = {s, slot, TABLE_MEMBERS};

	if (slot->workspace == NULL)
		return;
	rows_each_wanted(s->rows, TABLE_USAGES, want_member_of, s);
	for (const struct holds_row *h = slot->holds; h != NULL; h = (const struct holds_row *)h->row.next)
		assert_true(h->member[0] == '\0' || rows_want(s->rows, slot, TABLE_MEMBERS, h->member));
	if (!slot->members_loaded)
		rows_each_wanted(s->rows, TABLE_MEMBERS, load_named, &n);
	for (const struct row *row = s->table[TABLE_MEMBERS]; row != NULL && slot->members_loaded; row = row->next)
		if (belongs(row, &slot->key))
			load_row(s, slot, row);
}

/* Those that run, and those that a command names. */
static void load_periods(struct scene *s, struct slot *slot)
{
	struct naming n = {s, slot, TABLE_PAID_PERIODS};

	for (const struct row *row = s->table[TABLE_PAID_PERIODS]; row != NULL && slot->periods_loaded; row = row->next)
		if (slot->workspace != NULL && belongs(row, &slot->key) &&
		    ((const struct paid_periods_row *)row)->running != 0)
			load_row(s, slot, row);
	rows_each_wanted(s->rows, TABLE_PAID_PERIODS, load_named, &n);
}

/* As prefetch finds it: the workspace's, else that of a profile which is loaded. */
static void set_zone(struct scene *s, struct slot *slot)
{
	const char *name = slot->workspace != NULL ? slot->workspace->time_zone : "";

	if (slot->workspace == NULL && rows_wanted(s->rows, slot, TABLE_PROFILES, NULL)) {
		const struct profiles_row *p = rows_profile(s->rows, slot);

		name = p != NULL ? p->time_zone : "";
	}
	slot->zone = zone_find(name[0] != '\0' ? name : "UTC");
	assert_non_null(slot->zone);
}

/* The rows are read only where the account's row does not tell them all. */
static void load_grants(struct scene *s, struct slot *slot)
{
	const bool needed = slot->grants_loaded && current_grant_needs_rows(slot->account);

	for (const struct row *row = s->table[TABLE_GRANTS]; row != NULL && needed; row = row->next)
		if (belongs(row, &slot->key) && ((const struct grants_row *)row)->remaining_micros > 0)
			load_row(s, slot, row);
	assert_true(current_grant_load(s->rows, slot));
}

/* Loads as much of an account as prefetch does: no more, so that a look at anything else aborts. */
static void load_account(struct scene *s, struct slot *slot)
{
	const struct accounts_row *account = account_of(s, &slot->key);
	const bool due = account != NULL && due_next_us(account) <= s->now_us;

	slot->grants_loaded = slot->wants_grants || account == NULL || due;
	slot->holds_loaded = account == NULL || due;
	slot->members_loaded = true;
	slot->periods_loaded = account == NULL || account->workspace == 0 || due || slot->wants_periods;
	slot->zone = zone_find("UTC");
	if (account == NULL)
		return;
	load_row(s, slot, &account->row);
	for (const struct row *row = s->table[TABLE_WORKSPACES]; row != NULL && account->workspace != 0;
	     row = row->next)
		if (belongs(row, &slot->key))
			load_row(s, slot, row);
	assert_true((slot->workspace != NULL) == (account->workspace != 0));
	load_tables(s, slot, LOAD_NAMED, due);
	if (due)
		load_holds(s, slot, INT64_MAX);
	assert_true(packed_holds_load(s->rows, slot));
	load_grants(s, slot);
	load_captures(s, slot);
	slot->members_loaded = slot->workspace == NULL || slot->wants_members ||
	                       (slot->workspace->period_end_us != 0 && slot->workspace->period_end_us <= s->now_us);
	load_members(s, slot);
	load_periods(s, slot);
	set_zone(s, slot);
}

/* The account that referred the command's account comes along. */
static void want_referrer(struct scene *s, const struct command *c)
{
	for (const struct row *row = s->table[TABLE_SIGNUPS]; row != NULL; row = row->next) {
		const struct signups_row *p = (const struct signups_row *)row;
		struct account_key key;

		if ((decide_needs(c->kind) & NEEDS_REFERRER) == 0 || !belongs(row, &c->account) ||
		    p->referred_at_us == 0)
			continue;
		memcpy(key.bytes, p->referrer_id, sizeof(key.bytes));
		rows_slot(s->rows, &key)->wants_grants = true;
	}
}

static void want_rows(struct scene *s, struct slot *slot, struct command *c)
{
	assert_true(needs_name(s->rows, slot, c));
	want_referrer(s, c);
}

/* As prefetch does once requests are read. */
static void load_replayed(struct scene *s, struct slot *slot, const struct command *c)
{
	struct naming n = {s, slot, TABLE_USAGES};
	const struct requests_row *q;

	if (c->kind != COMMAND_AUTHORIZE || c->request_id == NULL)
		return;
	q = rows_request(s->rows, slot, c->request_key);
	if (q == NULL || rows_wanted(s->rows, slot, TABLE_USAGES, &q->seq))
		return;
	assert_true(needs_name_replayed(s->rows, slot, c));
	if (rows_wanted(s->rows, slot, TABLE_USAGES, &q->seq))
		load_named(&n, slot, &q->seq);
}

/* ---- what must hold after every batch -------------------------------------------------------------- */

static void check_journal(const struct scene *s, const struct accounts_row *a, const char *line)
{
	unsigned char head[DIGEST_BYTES] = {0}, hash[DIGEST_BYTES];
	micros balance = 0;
	int64_t seq = 0;

	for (const struct row *row = s->table[TABLE_ENTRIES]; row != NULL; row = row->next) {
		const struct entries_row *e = (const struct entries_row *)row;

		if (memcmp(e->account_id, a->id, sizeof(a->id)) != 0)
			continue;
		if (e->seq != ++seq)
			wrong(line, "number of a journal entry", seq, e->seq);
		if (e->balance_before_micros != balance)
			wrong(line, "balance before an entry", balance, e->balance_before_micros);
		balance += e->amount_micros;
		if (e->balance_after_micros != balance)
			wrong(line, "balance after an entry", balance, e->balance_after_micros);
		entry_hash(e, head, hash);
		memcpy(head, hash, sizeof(head));
		assert_memory_equal(e->hash, hash, sizeof(hash));
	}
	assert_memory_equal(a->chain_head, head, sizeof(head));
	if (a->balance_micros != balance)
		wrong(line, "balance, which is the journal's sum", balance, a->balance_micros);
	if (a->entry_seq != seq)
		wrong(line, "entries", seq, a->entry_seq);
}

static const struct workspaces_row *workspace_row(const struct scene *s, const unsigned char id[ID_KEY_BYTES])
{
	for (const struct row *row = s->table[TABLE_WORKSPACES]; row != NULL; row = row->next)
		if (memcmp(((const struct workspaces_row *)row)->account_id, id, ID_KEY_BYTES) == 0)
			return (const struct workspaces_row *)row;
	return NULL;
}

/* The sum of the rests; beside the current grant there are as many grants with a rest as the account's row says. */
static micros grants_left(const struct scene *s, const struct accounts_row *a, const char *line)
{
	bool found = a->current_grant_seq == CURRENT_GRANT_NONE;
	int64_t beside = 0;
	micros left = 0;

	for (const struct row *row = s->table[TABLE_GRANTS]; row != NULL; row = row->next) {
		const struct grants_row *g = (const struct grants_row *)row;

		if (memcmp(g->account_id, a->id, sizeof(a->id)) != 0)
			continue;
		left += current_grant_remaining(a, g);
		if (g->seq == a->current_grant_seq)
			found = a->current_remaining_micros > 0 && g->remaining_micros > 0 &&
			        a->current_expires_at_us == g->expires_at_us && a->current_type == g->type;
		else
			beside += g->remaining_micros > 0;
	}
	if (!found)
		wrong(line, "the current grant", 1, a->current_grant_seq);
	if (beside != a->grants_beside)
		wrong(line, "grants beside the current one", beside, a->grants_beside);
	return left;
}

/* The number of open holds, in both places, and the amount that they reserve. */
static int64_t open_holds(const struct scene *s, const struct accounts_row *a, micros *held)
{
	struct packed_hold packed;
	int64_t open = 0;

	*held = 0;
	for (const struct row *row = s->table[TABLE_HOLDS]; row != NULL; row = row->next)
		if (memcmp(((const struct holds_row *)row)->account_id, a->id, sizeof(a->id)) == 0) {
			*held += ((const struct holds_row *)row)->reserved_micros;
			open++;
		}
	for (int at = 0; at < PACKED_HOLDS; at++)
		if (packed_hold_read(a, at, &packed) == PACKED_HOLD_READ) {
			*held += packed.row.reserved_micros;
			open++;
		}
	return open;
}

static void check_account(const struct scene *s, const struct accounts_row *a, const char *line)
{
	const struct workspaces_row *w = workspace_row(s, a->id);
	const micros arrears = w != NULL ? w->arrears_micros : 0;
	const micros granted = grants_left(s, a, line);
	micros held;
	const int64_t open = open_holds(s, a, &held);

	if (granted != (a->balance_micros + arrears > 0 ? a->balance_micros + arrears : 0))
		wrong(line, "grants, which cover the balance", a->balance_micros, granted);
	if (a->held_micros != held)
		wrong(line, "held, which is that of the open holds", held, a->held_micros);
	if (a->open_holds != open)
		wrong(line, "open holds", open, a->open_holds);
	check_journal(s, a, line);
}

/* The workspace's counts of its members. */
static void check_workspace(const struct scene *s, const struct accounts_row *a, const char *line)
{
	const struct workspaces_row *w = workspace_row(s, a->id);
	int64_t members = 0, managers = 0;
	micros reserved = 0;

	assert_true((w != NULL) == (a->workspace != 0));
	for (const struct row *row = s->table[TABLE_MEMBERS]; row != NULL && w != NULL; row = row->next) {
		const struct members_row *m = (const struct members_row *)row;
		/* As of the last time that something was done. */
		const micros used = s->now_us < m->period_until_us ? m->period_micros : 0;

		if (memcmp(m->account_id, a->id, sizeof(a->id)) != 0)
			continue;
		reserved += m->quota_micros > used + m->held_micros ? m->quota_micros - used - m->held_micros : 0;
		if (m->removed_at_us == 0)
			*(m->role == 1 ? &managers : &members) += 1;
	}
	/* Until the account is touched again, a period that has ended is still the one that is counted. */
	if (w == NULL || (w->period_end_us != 0 && w->period_end_us <= s->now_us))
		return;
	if (w->reserved_micros != reserved)
		wrong(line, "reserved, which is what members have left", reserved, w->reserved_micros);
	if (w->members != members || w->managers != managers)
		wrong(line, "members", members, w->members);
}

/* Credits of periods are accounted for, and never more is taken back than was given. */
static void check_periods(const struct scene *s, const struct accounts_row *a, const char *line)
{
	for (const struct row *row = s->table[TABLE_PAID_PERIODS]; row != NULL; row = row->next) {
		const struct paid_periods_row *p = (const struct paid_periods_row *)row;
		micros given = 0;

		if (memcmp(p->account_id, a->id, sizeof(a->id)) != 0)
			continue;
		if (p->returned_micros < 0 || p->lapsed_micros < 0 || p->owed_micros < 0 ||
		    p->owed_micros > p->taken_micros ||
		    p->returned_micros + p->lapsed_micros + p->taken_micros > p->granted_micros)
			wrong(line, "period's credits that are gone", p->granted_micros,
			      p->returned_micros + p->lapsed_micros + p->taken_micros);
		for (const struct row *r = s->table[TABLE_ALLOWANCES]; r != NULL; r = r->next) {
			const struct allowances_row *l = (const struct allowances_row *)r;

			if (memcmp(l->account_id, a->id, sizeof(a->id)) == 0 && l->paid_seq == p->seq &&
			    l->reason != ALLOWANCE_CARRIED)
				given += l->amount_micros;
		}
		if (given != p->granted_micros)
			wrong(line, "period's allowances", p->granted_micros, given);
	}
}

static void check_statements(const struct scene *s, const struct accounts_row *a, const char *line)
{
	const struct workspaces_row *w = workspace_row(s, a->id);
	micros stated = 0, failed = 0;

	for (const struct row *row = s->table[TABLE_STATEMENTS]; row != NULL && w != NULL; row = row->next) {
		const struct statements_row *t = (const struct statements_row *)row;

		if (memcmp(t->account_id, a->id, sizeof(a->id)) != 0)
			continue;
		stated += t->state <= STATEMENT_FAILED ? t->amount_micros : 0;
		failed += t->state == STATEMENT_FAILED;
	}
	if (w != NULL && w->stated_micros != stated)
		wrong(line, "stated, which is what statements that are not settled say", stated, w->stated_micros);
	if (w != NULL && w->failed_statements != failed)
		wrong(line, "statements that failed", failed, w->failed_statements);
}

/* ---- lines ------------------------------------------------------------------------------------------ */

struct words {
	char *word[WORDS_MAX];
	int count;
};

static void split_words(struct scene *s, const char *text, struct words *w)
{
	char *rest = arena_copy(s->memory, text, strlen(text));

	assert_non_null(rest);
	w->count = 0;
	for (char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " ")) {
		assert_true(w->count < WORDS_MAX);
		if (*word != '\0')
			w->word[w->count++] = word;
	}
}

/* Value of the option "name=value", or NULL. */
static const char *option(const struct words *w, const char *name)
{
	const size_t length = strlen(name);

	for (int i = 0; i < w->count; i++)
		if (strncmp(w->word[i], name, length) == 0 && w->word[i][length] == '=')
			return w->word[i] + length + 1;
	return NULL;
}

static int64_t integer(const char *text)
{
	char *end;
	const long long value = strtoll(text, &end, 10);

	if (*text == '\0' || *end != '\0')
		fail_msg("'%s' is no number", text);
	return value;
}

static int64_t number(const struct words *w, const char *name, int64_t fallback)
{
	const char *text = option(w, name);

	return text != NULL ? integer(text) : fallback;
}

static const char *text_or(const struct words *w, const char *name, const char *fallback)
{
	const char *text = option(w, name);

	return text != NULL ? text : fallback;
}

static bool flag(const struct words *w, const char *name)
{
	for (int i = 0; i < w->count; i++)
		if (strcmp(w->word[i], name) == 0)
			return true;
	return false;
}

/* Providers, separated by '+'. */
static unsigned keys_of(const char *text)
{
	unsigned keys = 0;

	for (unsigned bit = 1; bit != 0 && text != NULL; bit <<= 1)
		if (provider_name(bit)[0] != '\0' && strstr(text, provider_name(bit)) != NULL)
			keys |= bit;
	return keys;
}

/* place=P asks for a grace; used=SERIAL micros=M, with ends=SECONDS from now and version=V, books a use of it. */
static void read_grace(const struct words *w, struct command *c, int64_t now_us)
{
	c->authorize.place = option(w, "place");
	c->authorize.used.serial = number(w, "used", 0);
	c->authorize.used.micros = number(w, "micros", 0);
	if (c->authorize.used.serial == 0)
		return;
	c->authorize.used.ends_at_us = now_us + number(w, "ends", 3600) * US;
	c->authorize.used.price_version = number(w, "version", 0);
}

static void read_authorize(const struct words *w, struct command *c)
{
	char *rest = w->word[2];

	c->authorize.action = option(w, "action");
	c->authorize.quantity = number(w, "n", 1);
	if (c->authorize.action == NULL)
		for (char *m = strsep(&rest, ","); m != NULL; m = strsep(&rest, ","))
			c->authorize.models[c->authorize.model_count++] = m;
	c->authorize.input_tokens = number(w, "in", 0);
	c->authorize.max_output_tokens = number(w, "out", 0);
	c->authorize.fit = flag(w, "fit");
	c->authorize.fit_minimum = 10;
	c->authorize.byok = keys_of(option(w, "byok"));
	c->authorize.ttl_us = number(w, "ttl", 600) * US;
	c->authorize.labels = (struct command_labels){text_or(w, "conversation", ""), text_or(w, "message", ""),
	                                              text_or(w, "metadata", "")};
}

static void read_settle(const struct words *w, struct command *c)
{
	static const char *const names[DIMENSION_COLUMNS] = {"in", "read", "write", "write1h", "out"};

	c->hold_seq = integer(w->word[2]);
	c->settle.outcome = flag(w, "failed") ? SETTLE_FAILED : flag(w, "partial") ? SETTLE_PARTIAL : SETTLE_COMPLETE;
	c->settle.message_id = text_or(w, "message", "");
	c->settle.no_input = flag(w, "noinput");
	c->settle.rest = number(w, "rest", 0);
	c->settle.tier = -1;
	c->settle.variant = "";
	for (int i = 0; i < DIMENSION_COLUMNS; i++) {
		c->settle.has_usage = c->settle.has_usage || option(w, names[i]) != NULL;
		c->settle.counts.of[i] = number(w, names[i], 0);
	}
}

static void read_transaction(const struct words *w, struct command *c, int sign, int64_t now_us)
{
	const int type = names_to_transaction(text_or(w, "type", "ADJUSTMENT"));
	const char *expires = option(w, "expires");

	assert_true(type >= 0);
	c->transaction.type = (enum transaction_type)type;
	c->transaction.amount_micros = sign * integer(w->word[2]);
	c->transaction.expires_at_us = expires != NULL ? now_us + integer(expires) * US : 0;
	c->transaction.priority = number(w, "priority", -1);
	c->transaction.description = c->transaction.reference = c->transaction.actor = c->transaction.metadata = "";
}

static void read_account(const struct words *w, struct command *c)
{
	const char *unit = option(w, "unit"), *mode = option(w, "mode"), *status = option(w, "status");

	c->account_change.set_unit = unit != NULL;
	c->account_change.unit = unit != NULL ? (enum account_unit)price_unit_named(unit) : UNIT_MONEY;
	c->account_change.set_mode = mode != NULL;
	c->account_change.mode = mode != NULL ? (enum account_mode)names_to_mode(mode) : MODE_PREPAID;
	c->account_change.set_status = status != NULL;
	c->account_change.status = status != NULL ? (enum account_status)names_to_status(status) : STATUS_ACTIVE;
	c->account_change.set_hard_limit = option(w, "hard") != NULL;
	c->account_change.hard_limit_micros = number(w, "hard", 0);
	c->account_change.set_soft_limit = option(w, "soft") != NULL;
	c->account_change.soft_limit_micros = number(w, "soft", 0);
	c->account_change.set_byok = option(w, "byok") != NULL;
	c->account_change.byok = keys_of(option(w, "byok"));
	c->account_change.email = option(w, "email");
	c->account_change.name = option(w, "name");
	c->account_change.time_zone = option(w, "zone");
	c->account_change.plan = option(w, "plan");
	c->account_change.set_daily_limit = option(w, "daily") != NULL;
	c->account_change.daily_limit_micros = number(w, "daily", COMMAND_NO_LIMIT);
	c->account_change.set_monthly_limit = option(w, "monthly") != NULL;
	c->account_change.monthly_limit_micros = number(w, "monthly", COMMAND_NO_LIMIT);
	c->account_change.day_micros = number(w, "today", 0);
	c->account_change.month_micros = number(w, "thismonth", 0);
}

static void read_member(const struct words *w, struct command *c)
{
	c->member = w->word[2];
	c->member_change.remove = flag(w, "remove");
	c->member_change.must_exist = flag(w, "known");
	c->member_change.set_role = flag(w, "manager") || flag(w, "member");
	c->member_change.role = flag(w, "manager");
	c->member_change.set_limit = option(w, "limit") != NULL;
	c->member_change.limit_micros = number(w, "limit", COMMAND_NO_LIMIT);
	c->member_change.set_daily_limit = option(w, "daily") != NULL;
	c->member_change.daily_limit_micros = number(w, "daily", COMMAND_NO_LIMIT);
	c->member_change.set_monthly_limit = option(w, "monthly") != NULL;
	c->member_change.monthly_limit_micros = number(w, "monthly", COMMAND_NO_LIMIT);
}

static void read_statement(const struct words *w, struct command *c)
{
	if (c->kind != COMMAND_STATEMENT)
		c->statement_seq = integer(w->word[2]);
	if (c->kind == COMMAND_STATEMENT_BEGIN)
		c->statement_begin.customer_key = text_or(w, "key", "key");
	if (c->kind == COMMAND_STATEMENT_NOTE) {
		c->statement_note.attempt = number(w, "attempt", 0);
		c->statement_note.customer_id = option(w, "customer");
		c->statement_note.gone_id = option(w, "gone");
		c->statement_note.voided = flag(w, "voided");
		c->statement_note.livemode = flag(w, "live");
		c->statement_note.invoice_id = option(w, "invoice");
		c->statement_note.invoice_url = option(w, "url");
		c->statement_note.failure = option(w, "failure");
	}
	if (c->kind == COMMAND_STATEMENT_PAID) {
		c->statement_paid.amount_minor = number(w, "minor", 0);
		c->statement_paid.currency = text_or(w, "currency", "eur");
		c->statement_paid.invoice_id = text_or(w, "invoice", "");
		c->statement_paid.livemode = flag(w, "live");
	}
	c->payment_id = text_or(w, "pi", "");
}

static enum account_unit unit_of(const struct words *w)
{
	return (enum account_unit)price_unit_named(text_or(w, "unit", "money"));
}

static void read_bonus(const struct words *w, struct command *c)
{
	c->bonus.campaign = text_or(w, "campaign", "signup");
	c->bonus.amount_micros = number(w, "amount", 10);
	c->bonus.cap_micros = number(w, "cap", 0);
	c->bonus.unit = unit_of(w);
	c->bonus.after_payment = flag(w, "paid");
	c->bonus.needs_email = flag(w, "needs-email");
	c->bonus.email = text_or(w, "email", "");
	c->bonus.person = text_or(w, "person", "");
	c->bonus.name = text_or(w, "name", "");
	c->bonus.description = "";
	if (c->kind == COMMAND_SIGNUP && option(w, "event") != NULL)
		c->event = (struct command_event){.id = option(w, "event"),
		                                  .type = "user.created",
		                                  .body = "",
		                                  .subject = "",
		                                  .provider = PROVIDER_CLERK};
}

/* "alerts a 5 10 50%": the account's own thresholds, and a percentage of a plan's credits; "alerts a standard 50%". */
static void read_thresholds(const struct words *w, struct command *c)
{
	c->alerts.addresses = c->alerts.language = "";
	c->alerts.count = flag(w, "standard") ? -1 : 0;
	for (int i = 2; i < w->count; i++) {
		char word[32];
		const size_t length = strlen(w->word[i]);

		assert_true(length < sizeof(word));
		memcpy(word, w->word[i], length + 1);
		if (word[length - 1] == '%') {
			word[length - 1] = '\0';
			c->alerts.percents[c->alerts.percent_count++] = integer(word);
		} else if (c->alerts.count >= 0) {
			c->alerts.thresholds[c->alerts.count++] = integer(word);
		}
	}
}

static void read_topup(const struct words *w, struct command *c)
{
	c->topup.amount_minor = integer(w->word[2]);
	c->topup.money_micros = number(w, "money", c->topup.amount_minor);
	c->topup.currency = text_or(w, "currency", "eur");
	c->topup.session_key = "session key";
	c->topup.customer_key = text_or(w, "key", "key");
	c->topup.save_card = flag(w, "save");
}

/* recharge a below=100 charge=20000 cap=60000 agreed; recharge a off; recharge_begin a TASK order=N;
 * recharge_note a ORDER; recharge_end a ORDER code=C; recharge_look a card. */
static void read_recharge(const struct words *w, struct command *c)
{
	if (c->kind == COMMAND_RECHARGE) {
		c->recharge.enabled = !flag(w, "off");
		c->recharge.below_micros = number(w, "below", 100);
		c->recharge.charge_micros = number(w, "charge", 20000);
		c->recharge.cap_micros = number(w, "cap", 60000);
		c->recharge.version = flag(w, "agreed") ? "1" : NULL;
		c->recharge.locale = "en";
		c->recharge.text = "terms";
		c->recharge.actor = "owner";
		c->recharge.address = "192.0.2.1";
	} else if (c->kind == COMMAND_RECHARGE_BEGIN) {
		c->recharge_begin.number = integer(w->word[2]);
		c->recharge_begin.session_key = "session key";
		c->topup_seq = number(w, "order", 0);
	} else if (c->kind == COMMAND_RECHARGE_LOOK) {
		c->recharge_look.card_changed = flag(w, "card");
	} else {
		c->topup_seq = integer(w->word[2]);
		if (c->kind == COMMAND_RECHARGE_NOTE)
			c->recharge_note.card = "pm_1";
		else
			c->recharge_end.code = text_or(w, "code", "");
		if (c->kind == COMMAND_RECHARGE_END)
			c->recharge_end.refused = flag(w, "refused");
	}
}

static enum refund_status status_of(const struct words *w)
{
	return flag(w, "failed") ? REFUND_FAILED : flag(w, "pending") ? REFUND_PENDING : REFUND_SUCCEEDED;
}

static enum topup_state state_of(const struct words *w)
{
	if (flag(w, "failed"))
		return TOPUP_FAILED;
	if (flag(w, "expired"))
		return TOPUP_EXPIRED;
	return flag(w, "pending") ? TOPUP_PENDING : TOPUP_PAID;
}

/* A fact about an order, or about the period that invoice inv paid for. */
static void read_fact(const struct words *w, struct command *c)
{
	const int64_t amount = number(w, "amount", 0);
	const char *currency = text_or(w, "currency", "eur");

	c->topup_seq = integer(w->word[2]);
	c->payment_kind = flag(w, "statement") ? PAYMENT_OF_STATEMENT : PAYMENT_OF_TOPUP;
	if (option(w, "inv") != NULL) {
		c->payment_kind = PAYMENT_OF_PERIOD;
		c->topup_seq = command_period_seq(option(w, "inv"));
	}
	c->payment_id = text_or(w, "pi", "");
	c->object_id = text_or(w, "id", "");
	if (c->kind == COMMAND_PAYMENT) {
		c->payment.state = state_of(w);
		c->payment.amount_minor = amount;
		c->payment.currency = currency;
		c->payment.livemode = flag(w, "live");
		c->payment.customer_id = text_or(w, "cus", "");
		c->payment.session_id = text_or(w, "session", "");
		c->payment.named = !flag(w, "unnamed");
	} else if (c->kind == COMMAND_REFUND) {
		c->refund.status = status_of(w);
		c->refund.amount_minor = amount;
		c->refund.currency = currency;
		c->refund.livemode = flag(w, "live");
	} else {
		c->dispute.withdrawn = flag(w, "withdrawn");
		c->dispute.reinstated = flag(w, "reinstated");
		c->dispute.amount_minor = amount;
		c->dispute.currency = currency;
		c->dispute.livemode = flag(w, "live");
	}
}

/* RFC 3339; 0 when it is not given. */
static int64_t instant(const char *text)
{
	int64_t time_us = 0;

	if (text != NULL)
		assert_int_equal(clock_parse(text, strlen(text), &time_us), 0);
	return time_us;
}

static void read_subscription(const struct words *w, struct command *c)
{
	const char *at = text_or(w, "at", "0");

	c->object_id = w->word[2];
	c->subscription.customer_id = text_or(w, "cus", "cus");
	c->subscription.status = flag(w, "ended") ? "canceled" : "active";
	c->subscription.price_id = "price";
	c->subscription.plan = text_or(w, "plan", "");
	c->subscription.live = !flag(w, "ended");
	c->subscription.rank = (int)number(w, "rank", 0);
	c->subscription.ends = flag(w, "cancelled");
	c->subscription.period_start_at_us = instant(option(w, "start"));
	c->subscription.anchor_at_us = instant(option(w, "anchor"));
	c->subscription.trial_end_us = instant(option(w, "trial"));
	c->subscription.changed = flag(w, "changed");
	c->event.created_at_us = strchr(at, 'T') != NULL ? instant(at) : integer(at);
}

static void read_period(const struct words *w, struct command *c)
{
	const char *invoice = text_or(w, "inv", "in");

	c->object_id = c->kind == COMMAND_PERIOD ? w->word[2] : "";
	c->topup_seq = command_period_seq(invoice);
	c->payment_id = text_or(w, "pi", "");
	if (c->kind != COMMAND_PERIOD)
		return;
	c->period.invoice_id = invoice;
	c->period.customer_id = text_or(w, "cus", "cus");
	c->period.currency = text_or(w, "currency", "eur");
	c->period.plan = text_or(w, "plan", "");
	c->period.instead_of = text_or(w, "instead", "");
	c->period.start_us = instant(option(w, "start"));
	c->period.end_us = instant(option(w, "end"));
	c->period.amount_minor = number(w, "amount", 100);
	c->period.livemode = flag(w, "live");
	c->period.free = flag(w, "free");
}

/* An event that the command comes from. */
static void read_event(const struct words *w, struct command *c)
{
	const char *id = option(w, "event");

	if (id == NULL || c->kind == COMMAND_SIGNUP)
		return;
	c->event.id = id;
	c->event.type = "type";
	c->event.body = "body";
	c->event.subject = text_or(w, "subject", "");
}

static enum command_kind kind_of(const char *verb)
{
	static const char *const names[COMMAND_COUNT] = {
#define COMMAND(NAME, name, needs) [COMMAND_##NAME] = #name,
#include "ledger/commands.def"
#undef COMMAND
	};

	if (strcmp(verb, "give") == 0 || strcmp(verb, "take") == 0)
		return COMMAND_TRANSACTION;
	for (int k = 0; k < COMMAND_COUNT; k++)
		if (strcmp(names[k], verb) == 0)
			return (enum command_kind)k;
	fail_msg("'%s' is no verb", verb);
	return COMMAND_COUNT;
}

static struct command *read_command(struct scene *s, const struct words *w)
{
	struct command *c = get(s, sizeof(*c));

	c->kind = kind_of(w->word[0]);
	c->account_id = w->word[1];
	c->account = id_account_key(c->account_id, strlen(c->account_id));
	c->member = text_or(w, "member", "");
	switch (c->kind) {
	case COMMAND_AUTHORIZE:
		read_authorize(w, c);
		read_grace(w, c, s->now_us);
		break;
	case COMMAND_SETTLE:
		read_settle(w, c);
		break;
	case COMMAND_RELEASE:
		c->hold_seq = integer(w->word[2]);
		break;
	case COMMAND_EXTEND:
		c->hold_seq = integer(w->word[2]);
		c->extend.ttl_us = number(w, "ttl", 0) * US;
		c->extend.max_output_tokens = number(w, "out", 0);
		break;
	case COMMAND_CHARGE:
		c->charge.action = w->word[2];
		c->charge.quantity = number(w, "n", 1);
		c->charge.labels = (struct command_labels){"", "", text_or(w, "metadata", "")};
		break;
	case COMMAND_CHECK:
		c->check.model = text_or(w, "model", "");
		c->check.action = text_or(w, "action", NULL);
		c->check.input_tokens = number(w, "in", 0);
		c->check.max_output_tokens = number(w, "out", 0);
		break;
	case COMMAND_TRANSACTION:
		read_transaction(w, c, strcmp(w->word[0], "take") == 0 ? -1 : 1, s->now_us);
		break;
	case COMMAND_ACCOUNT:
		read_account(w, c);
		break;
	case COMMAND_MEMBER:
		read_member(w, c);
		break;
	case COMMAND_STATEMENT:
	case COMMAND_STATEMENT_BEGIN:
	case COMMAND_STATEMENT_NOTE:
	case COMMAND_STATEMENT_PAID:
		read_statement(w, c);
		break;
	case COMMAND_TOUCH:
		c->touch.create = flag(w, "create");
		break;
	case COMMAND_BONUS:
	case COMMAND_SIGNUP:
		read_bonus(w, c);
		break;
	case COMMAND_REDEEM:
		c->redeem.code = w->word[2];
		c->redeem.description = "";
		c->redeem.guesses_max = number(w, "guesses", 3);
		break;
	case COMMAND_REFER:
		c->refer.referrer = id_account_key(w->word[2], strlen(w->word[2]));
		c->refer.reward_micros = number(w, "reward", 5);
		c->refer.unit = unit_of(w);
		c->refer.same_person = flag(w, "same");
		c->refer.guesses_max = number(w, "guesses", 3);
		break;
	case COMMAND_ALERTS:
		read_thresholds(w, c);
		break;
	case COMMAND_TOPUP:
		read_topup(w, c);
		break;
	case COMMAND_TOPUP_NOTE:
		c->topup_seq = integer(w->word[2]);
		c->topup_note.customer_id = option(w, "cus");
		c->topup_note.session_id = option(w, "session");
		break;
	case COMMAND_PAYMENT:
	case COMMAND_REFUND:
	case COMMAND_DISPUTE:
		read_fact(w, c);
		break;
	case COMMAND_SUBSCRIPTION:
		read_subscription(w, c);
		break;
	case COMMAND_PERIOD:
	case COMMAND_PERIOD_PAYMENT:
		read_period(w, c);
		break;
	case COMMAND_RECHARGE:
	case COMMAND_RECHARGE_BEGIN:
	case COMMAND_RECHARGE_NOTE:
	case COMMAND_RECHARGE_END:
	case COMMAND_RECHARGE_LOOK:
		read_recharge(w, c);
		break;
	case COMMAND_EVENT:
		c->event_only.state = flag(w, "parked") ? EVENT_PARKED : EVENT_IGNORED;
		c->event_only.note = "";
		break;
	default:
		fail_msg("'%s' is not played in scenes", w->word[0]);
	}
	read_event(w, c);
	c->request_id = option(w, "rid");
	c->by_customer = flag(w, "customer");
	command_prepare(c);
	return c;
}

/* ---- answers ---------------------------------------------------------------------------------------- */

/* The named figure of an answer; false when it has none of that name. */
static bool figure(const struct scene *s, const struct answer *a, const char *name, int64_t *value)
{
	const struct {
		const char *name;
		int64_t value;
	} figures[] = {
		{"amount", a->amount_micros},
		{"balance", a->balance_micros},
		{"available", a->available_micros},
		{"needed", a->needed_micros},
		{"limit", a->limit_micros},
		{"used", a->used_micros},
		{"seq", a->seq},
		{"choice", a->choice},
		{"output", a->max_output_tokens},
		{"version", a->price_version},
		{"replayed", a->replayed},
		{"absent", a->absent},
		{"credited", a->credited},
		{"first", a->first_payment},
		{"ofmember", a->of_member},
		{"minor", a->amount_minor},
		{"state", a->statement_state},
		{"stale", a->stale},
		{"resets", a->resets_at_us == 0 ? 0 : (a->resets_at_us - s->now_us) / US},
		{"expires", (a->expires_at_us - s->now_us) / US},
		{"wait", a->wait_us / US},
		{"grace", a->grace.serial},
		{"upto", a->grace.limit_micros},
		{"booked", a->grace.booked_micros},
		{"left", a->grace.left_us / US},
	};

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		if (strcmp(figures[i].name, name) == 0) {
			*value = figures[i].value;
			return true;
		}
	return false;
}

static const char *const event_states[] = {"applied", "ignored", "parked", "waiting"};

static const char *said(const struct answer *a, const char *name)
{
	static const char *const steps[] = {"nothing", "read", "post", "ask", "wait"};

	if (strcmp(name, "step") == 0)
		return steps[a->recharge_step];
	if (strcmp(name, "settlement") == 0)
		return names_settlement(a->settlement);
	if (strcmp(name, "source") == 0)
		return names_source(a->source);
	if (strcmp(name, "hold") == 0)
		return names_hold_state(a->hold_state);
	if (strcmp(name, "provider") == 0)
		return a->provider;
	if (strcmp(name, "kind") == 0)
		return names_limit(a->limit);
	if (strcmp(name, "field") == 0)
		return a->field != NULL ? a->field : "";
	if (strcmp(name, "item") == 0)
		return a->item;
	if (strcmp(name, "event") == 0)
		return event_states[a->event_state];
	if (strcmp(name, "note") == 0)
		return a->note != NULL ? a->note : "";
	fail_msg("'%s' is no figure", name);
	return "";
}

static void check_answer(struct scene *s, const struct command *c, const char *expected, const char *line)
{
	const struct answer *a = &c->answer;
	struct words w;

	split_words(s, expected, &w);
	if (strcmp(outcome_name(a->outcome), w.word[0]) != 0)
		fail_msg("\n    %s\n    found %s", line, outcome_name(a->outcome));
	seen[c->kind][a->outcome] = true;
	for (int i = 1; i < w.count; i++) {
		char *value = strchr(w.word[i], '=');
		int64_t found;

		if (value == NULL)
			fail_msg("'%s' is no figure", w.word[i]);
		*value++ = '\0';
		if (figure(s, a, w.word[i], &found)) {
			if (found != integer(value))
				wrong(line, w.word[i], integer(value), found);
		} else if (strcmp(said(a, w.word[i]), value) != 0) {
			fail_msg("\n    %s\n    %s: found %s", line, w.word[i], said(a, w.word[i]));
		}
	}
}

/* ---- events ----------------------------------------------------------------------------------------- */

static void run_batch(struct scene *s)
{
	struct decide d = {
		.rows = s->rows,
		.book = s->book,
		.now_us = s->now_us,
		.holds_max = s->rules->holds_max != 0 ? s->rules->holds_max : 1000,
		.orders_open_max = s->rules->orders_open_max != 0 ? s->rules->orders_open_max : 100,
		.capture_expired = s->rules->capture_expired,
		.action_price_micros = s->rules->actions_need_prices ? 0 : 1000000,
		.terms = TERMS,
		.grace = {.amount_micros = s->rules->outage_grace, .life_us = 3600 * US},
		.billing = {.currency = "eur",
	                    .decimals = 2,
	                    .low_balance_micros = s->rules->low_balance,
	                    .statement_min_minor = s->rules->statement_min,
	                    .grace_us = s->rules->grace_days * 86400 * US,
	                    .plan_upgrade = s->rules->plan_upgrade,
	                    .plan_free_periods = s->rules->plan_free_periods,
	                    .zone = zone_find("UTC")},
	};

	if (s->rules->topup_bonus != NULL)
		assert_int_equal(topup_bonus_read(&d.billing.topup_bonus, s->rules->topup_bonus), 0);
	if (s->count == 0)
		return;
	rows_reset(s->rows);
	for (int i = 0; i < s->count; i++)
		want_rows(s, rows_slot(s->rows, &s->batch[i]->account), s->batch[i]);
	rows_sort_slots(s->rows);
	load_tables(s, NULL, LOAD_GLOBAL, false);
	for (int i = 0; i < rows_slot_count(s->rows); i++)
		load_account(s, rows_slot_at(s->rows, i));
	for (int i = 0; i < s->count; i++)
		load_replayed(s, rows_slot(s->rows, &s->batch[i]->account), s->batch[i]);
	for (int i = 0; i < rows_slot_count(s->rows); i++)
		assert_null(slot_check(rows_slot_at(s->rows, i)));
	for (int i = 0; i < s->count; i++)
		decide(&d, rows_slot(s->rows, &s->batch[i]->account), s->batch[i]);
	assert_false(rows_failed(s->rows));
	for (int i = 0; i < rows_slot_count(s->rows); i++)
		assert_null(slot_check(rows_slot_at(s->rows, i)));
	persist_rows(s);
	for (int i = 0; i < s->count; i++)
		check_answer(s, s->batch[i], s->expected[i], s->text[i]);
	for (const struct row *row = s->table[TABLE_ACCOUNTS]; row != NULL; row = row->next) {
		check_account(s, (const struct accounts_row *)row, s->text[s->count - 1]);
		check_workspace(s, (const struct accounts_row *)row, s->text[s->count - 1]);
		check_statements(s, (const struct accounts_row *)row, s->text[s->count - 1]);
		check_periods(s, (const struct accounts_row *)row, s->text[s->count - 1]);
	}
	s->count = 0;
}

/* Remaining amounts of all grants, "0,500"; or states and costs of all usages in the order of their ends. */
static const char *list_of(struct scene *s, const struct account_key *key, enum table_id table)
{
	static const char *const states[] = {"settled", "released", "expired"};
	char *out = get(s, 4096);
	size_t length = 0;

	for (const struct row *row = s->table[table]; row != NULL; row = row->next) {
		if (!belongs(row, key))
			continue;
		if (table == TABLE_GRANTS)
			length += (size_t)snprintf(
				out + length, 4096 - length, "%s%lld", length > 0 ? "," : "",
				(long long)current_grant_remaining(account_of(s, key), (const struct grants_row *)row));
		else
			length += (size_t)snprintf(out + length, 4096 - length, "%s%s:%lld", length > 0 ? "," : "",
			                           states[((const struct usages_row *)row)->state],
			                           (long long)((const struct usages_row *)row)->cost_micros);
	}
	return out;
}

static int64_t count_rows(const struct scene *s, const struct account_key *key, enum table_id table)
{
	int64_t count = 0;

	for (const struct row *row = s->table[table]; row != NULL; row = row->next)
		count += belongs(row, key);
	return count;
}

/* "paid:20:5:0": state, credits, taken back for refunds and disputes, of each order; with a bonus, "+2-1" follows: the
 * bonus, and the part that was taken back. */
static const char *orders_of(struct scene *s, const struct account_key *key)
{
	static const char *const states[] = {"open", "pending", "expired", "failed", "paid"};
	char *out = get(s, 4096);
	size_t length = 0;

	for (const struct row *row = s->table[TABLE_TOPUPS]; row != NULL; row = row->next) {
		const struct topups_row *t = (const struct topups_row *)row;

		if (!belongs(row, key))
			continue;
		length += (size_t)snprintf(out + length, 4096 - length, "%s%s:%lld:%lld:%lld", length > 0 ? "," : "",
		                           states[t->state], (long long)t->amount_micros, (long long)t->refunded_micros,
		                           (long long)t->disputed_micros);
		if (t->bonus_micros > 0)
			length += (size_t)snprintf(out + length, 4096 - length, "+%lld-%lld",
			                           (long long)t->bonus_micros, (long long)t->bonus_returned_micros);
	}
	return out;
}

/* Of the account's row of billing. */
static const char *billing_text(const struct scene *s, const struct account_key *key, const char *name)
{
	for (const struct row *row = s->table[TABLE_BILLING]; row != NULL; row = row->next) {
		const struct billing_row *b = (const struct billing_row *)row;

		if (belongs(row, key))
			return strcmp(name, "plan") == 0       ? b->plan
			       : strcmp(name, "customer") == 0 ? b->customer_id
			                                       : b->customer_key;
	}
	return "";
}

/* "balance_low:20,limit_reached:5:daily,grant_expiring:40:7d": kind, threshold, limit, amount and days of each alert. */
static const char *alerts_of(struct scene *s, const struct account_key *key)
{
	char *out = get(s, 4096);
	size_t length = 0;

	for (const struct row *row = s->table[TABLE_ALERTS]; row != NULL; row = row->next) {
		const struct alerts_row *l = (const struct alerts_row *)row;

		if (!belongs(row, key))
			continue;
		length += (size_t)snprintf(out + length, 4096 - length, "%s%s", length > 0 ? "," : "",
		                           names_alert(l->kind));
		if (l->threshold_micros != 0)
			length +=
				(size_t)snprintf(out + length, 4096 - length, ":%lld", (long long)l->threshold_micros);
		if (l->limit_kind != LIMIT_NONE)
			length += (size_t)snprintf(out + length, 4096 - length, ":%s%s%s", names_limit(l->limit_kind),
			                           l->member[0] != '\0' ? "-" : "", l->member);
		if (l->threshold_percent != 0)
			length += (size_t)snprintf(out + length, 4096 - length, ":%lld%%:%lld",
			                           (long long)l->threshold_percent, (long long)l->amount_micros);
		if (l->days != 0)
			length += (size_t)snprintf(out + length, 4096 - length, ":%lld:%lldd",
			                           (long long)l->amount_micros, (long long)l->days);
	}
	return out;
}

/* How many events are in each state: "2,1,0". */
static const char *events_of(struct scene *s)
{
	int count[4] = {0};
	char *out = get(s, 64);

	for (const struct row *row = s->table[TABLE_WEBHOOK_EVENTS]; row != NULL; row = row->next) {
		const struct webhook_events_row *e = (const struct webhook_events_row *)row;

		assert_in_range(e->state, 0, 3);
		count[e->state]++;
		/* Only one that is taken up again keeps its body. */
		assert_string_equal(e->body, e->state == EVENT_PARKED || e->state == EVENT_WAITING ? "body" : "");
	}
	snprintf(out, 64, "%d,%d,%d", count[0], count[1], count[2]);
	return out;
}

static void see_text(const struct words *w, const char *name, const char *found, const char *line)
{
	if (option(w, name) != NULL && strcmp(option(w, name), found) != 0)
		fail_msg("\n    %s\n    %s: found %s", line, name, found);
}

/* "period:500:0,carried:30": reason, amount, seconds until it ends, of each allowance. */
static const char *allowances_of(struct scene *s, const struct account_key *key)
{
	static const char *const reasons[] = {"period", "carried", "upgrade", "seat", "less"};
	char *out = get(s, 8192);
	size_t length = 0;

	for (const struct row *row = s->table[TABLE_ALLOWANCES]; row != NULL; row = row->next) {
		const struct allowances_row *a = (const struct allowances_row *)row;

		if (belongs(row, key))
			length += (size_t)snprintf(out + length, 8192 - length, "%s%s:%lld", length > 0 ? "," : "",
			                           reasons[a->reason], (long long)a->amount_micros);
	}
	return out;
}

/* "500:0:0:0:0": given, returned, lapsed, taken back, and owed of that, of each paid period. */
static const char *periods_of(struct scene *s, const struct account_key *key)
{
	char *out = get(s, 8192);
	size_t length = 0;

	for (const struct row *row = s->table[TABLE_PAID_PERIODS]; row != NULL; row = row->next) {
		const struct paid_periods_row *p = (const struct paid_periods_row *)row;

		if (belongs(row, key))
			length += (size_t)snprintf(out + length, 8192 - length, "%s%lld:%lld:%lld:%lld:%lld",
			                           length > 0 ? "," : "", (long long)p->granted_micros,
			                           (long long)p->returned_micros, (long long)p->lapsed_micros,
			                           (long long)p->taken_micros, (long long)p->owed_micros);
	}
	return out;
}

/* "paid:2000": state and amount in cents of each statement. */
static const char *statements_of(struct scene *s, const struct account_key *key)
{
	static const char *const states[] = {"open", "sent", "failed", "paid", "void", "carried"};
	char *out = get(s, 4096);
	size_t length = 0;

	for (const struct row *row = s->table[TABLE_STATEMENTS]; row != NULL; row = row->next) {
		const struct statements_row *t = (const struct statements_row *)row;

		if (belongs(row, key))
			length += (size_t)snprintf(out + length, 4096 - length, "%s%s:%lld", length > 0 ? "," : "",
			                           states[t->state], (long long)t->amount_minor);
	}
	return out;
}

/* "on:backing_off:1:20000:1:2": state, reason, pending order, this month's sum, today's count and consent. */
static const char *recharge_of(struct scene *s, const struct account_key *key)
{
	static const char *const states[] = {"off", "on", "paused"};
	static const char *const reasons[RECHARGE_REASONS] = {
		"",
#define RECHARGE_REASON(NAME, name, card, english, french) name,
#include "ledger/recharge_reasons.def"
#undef RECHARGE_REASON
	};
	char *out = get(s, 256);

	for (const struct row *row = s->table[TABLE_RECHARGES]; row != NULL; row = row->next) {
		const struct recharges_row *r = (const struct recharges_row *)row;

		if (belongs(row, key))
			snprintf(out, 256, "%s:%s:%lld:%lld:%lld:%lld", states[r->state], reasons[r->reason],
			         (long long)r->pending_seq, (long long)r->month_micros, (long long)r->day_count,
			         (long long)r->consent_seq);
	}
	return out;
}

/* "1@0,2@3600": the number of each task of auto-recharge, and the seconds until it is due. */
static const char *recharge_tasks_of(struct scene *s, const struct account_key *key)
{
	char *out = get(s, 4096);
	size_t length = 0;

	for (const struct row *row = s->table[TABLE_OUTBOX]; row != NULL; row = row->next) {
		const struct outbox_row *o = (const struct outbox_row *)row;

		if (belongs(row, key) && o->kind == OUTBOX_RECHARGE)
			length += (size_t)snprintf(out + length, 4096 - length, "%s%lld@%lld", length > 0 ? "," : "",
			                           (long long)o->subject_seq,
			                           (long long)((o->next_at_us - s->now_us) / US));
	}
	return out;
}

static void see_member(const struct scene *s, const struct words *w, const struct account_key *key, const char *line)
{
	const char *name = option(w, "member");

	for (const struct row *row = s->table[TABLE_MEMBERS]; row != NULL && name != NULL; row = row->next) {
		const struct members_row *m = (const struct members_row *)row;

		if (!belongs(row, key) || strcmp(m->member_id, name) != 0)
			continue;
		if (number(w, "quota", m->quota_micros) != m->quota_micros)
			wrong(line, "quota", number(w, "quota", 0), m->quota_micros);
		if (number(w, "mheld", m->held_micros) != m->held_micros)
			wrong(line, "held by the member", number(w, "mheld", 0), m->held_micros);
		if (number(w, "mused", m->period_micros) != m->period_micros)
			wrong(line, "used by the member", number(w, "mused", 0), m->period_micros);
		return;
	}
	if (name != NULL)
		fail_msg("\n    %s\n    there is no such member", line);
}

static void see_workspace(struct scene *s, const struct words *w, const struct account_key *key, const char *line)
{
	const struct workspaces_row *ws = workspace_row(s, key->bytes);

	see_text(w, "allowances", allowances_of(s, key), line);
	see_text(w, "statements", statements_of(s, key), line);
	see_text(w, "periods", periods_of(s, key), line);
	see_member(s, w, key, line);
	if (number(w, "workspace", ws != NULL) != (ws != NULL))
		wrong(line, "workspace", number(w, "workspace", 0), ws != NULL);
	if (ws == NULL)
		return;
	const struct {
		const char *name;
		int64_t value;
	} columns[] = {
		{"reserved", ws->reserved_micros},
		{"granted", ws->granted_micros},
		{"carried", ws->carried_micros},
		{"day", ws->day_micros},
		{"month", ws->month_micros},
		{"stated", ws->stated_micros},
		{"overdue", ws->overdue_micros},
		{"arrears", ws->arrears_micros},
		{"outbox", count_rows(s, key, TABLE_OUTBOX)},
		{"ends", ws->period_end_us == 0 ? 0 : (ws->period_end_us - s->now_us) / US},
	};
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		if (option(w, columns[i].name) != NULL && number(w, columns[i].name, 0) != columns[i].value)
			wrong(line, columns[i].name, number(w, columns[i].name, 0), columns[i].value);
	if (option(w, "until") != NULL && instant(option(w, "until")) != ws->period_end_us)
		wrong(line, "until", instant(option(w, "until")), ws->period_end_us);
	see_text(w, "on", ws->plan, line);
}

/* "1,0": how often each statement's charge was declined. */
static const char *failures_of(struct scene *s, const struct account_key *key)
{
	char *out = get(s, 4096);
	size_t length = 0;

	for (const struct row *row = s->table[TABLE_STATEMENTS]; row != NULL; row = row->next)
		if (belongs(row, key))
			length += (size_t)snprintf(out + length, 4096 - length, "%s%lld", length > 0 ? "," : "",
			                           (long long)((const struct statements_row *)row)->failures);
	return out;
}

static void see(struct scene *s, const struct words *w, const char *line)
{
	const struct account_key key = id_account_key(w->word[1], strlen(w->word[1]));
	const struct accounts_row *a = account_of(s, &key);

	if (a == NULL)
		fail_msg("\n    %s\n    there is no such account", line);
	const struct {
		const char *name;
		int64_t value;
	} columns[] = {
		{"balance", a->balance_micros},
		{"held", a->held_micros},
		{"open", a->open_holds},
		{"due", (due_next_us(a) - s->now_us) / US},
		{"entries", a->entry_seq},
		{"byok", a->byok},
		{"transactions", count_rows(s, &key, TABLE_TRANSACTIONS)},
		{"requests", count_rows(s, &key, TABLE_REQUESTS)},
		{"members", count_rows(s, &key, TABLE_MEMBERS)},
		{"profiles", count_rows(s, &key, TABLE_PROFILES)},
		{"status", a->status},
	};
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		if (option(w, columns[i].name) != NULL && number(w, columns[i].name, 0) != columns[i].value)
			wrong(line, columns[i].name, number(w, columns[i].name, 0), columns[i].value);
	const struct {
		const char *name;
		enum table_id table;
	} lists[] = {{"grants", TABLE_GRANTS}, {"usages", TABLE_USAGES}};
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (option(w, lists[i].name) != NULL &&
		    strcmp(option(w, lists[i].name), list_of(s, &key, lists[i].table)) != 0)
			fail_msg("\n    %s\n    %s: found %s", line, lists[i].name, list_of(s, &key, lists[i].table));
	see_workspace(s, w, &key, line);
	see_text(w, "orders", orders_of(s, &key), line);
	see_text(w, "alerts", alerts_of(s, &key), line);
	see_text(w, "failures", failures_of(s, &key), line);
	see_text(w, "recharge", recharge_of(s, &key), line);
	see_text(w, "tasks", recharge_tasks_of(s, &key), line);
	see_text(w, "events", events_of(s), line);
	see_text(w, "plan", billing_text(s, &key, "plan"), line);
	see_text(w, "customer", billing_text(s, &key, "customer"), line);
	see_text(w, "key", billing_text(s, &key, "key"), line);
}

static void play_command(struct scene *s, const char *line)
{
	const char *arrow = strstr(line, " -> ");
	char *before;
	struct words w;

	if (arrow == NULL)
		fail_msg("\n    %s\n    expects nothing", line);
	before = get(s, (size_t)(arrow - line) + 1);
	memcpy(before, line, (size_t)(arrow - line));
	split_words(s, before, &w);
	if (s->count == BATCH_MAX || !s->combine)
		run_batch(s);
	s->batch[s->count] = read_command(s, &w);
	s->expected[s->count] = arrow + 4;
	s->text[s->count++] = line;
	if (!s->combine)
		run_batch(s);
}

/* As octroictl makes one. */
static void make_code(struct scene *s, const struct words *w)
{
	struct codes_row *code = get(s, sizeof(*code));
	const int64_t expires = number(w, "expires", 0);

	table_row_clear(&code->row, TABLE_CODES);
	code_key(w->word[1], code->id);
	code->row.change = ROW_NEW;
	code->code = w->word[1];
	code->unit = unit_of(w);
	code->amount_micros = number(w, "amount", 10);
	code->expires_at_us = expires != 0 ? s->now_us + expires * US : 0;
	code->uses_max = number(w, "uses", 1);
	code->uses_per_account = number(w, "each", 1);
	code->revoked_at_us = flag(w, "revoked") ? s->now_us : 0;
	persist_row(s, &code->row);
}

/* As octroictl plan set does: a new version, from now on. */
static void make_plan(struct scene *s, const struct words *w)
{
	static const char *const scopes[] = {"pool", "seat", "mixed"};
	struct plan p = {.unit = unit_of(w), .version = ++s->versions};
	const char *action = option(w, "action"), *model = option(w, "model");

	snprintf(p.name, sizeof(p.name), "%s", w->word[1]);
	for (int i = 0; i < 3; i++)
		if (strcmp(scopes[i], text_or(w, "scope", "pool")) == 0)
			p.scope = (enum plan_scope)i;
	p.pool_micros = number(w, "pool", 0);
	p.manager_micros = number(w, "manager", 0);
	p.member_micros = number(w, "seat", 0);
	p.managers_to = number(w, "managers", 1);
	p.seats_to = number(w, "seats", 0);
	p.rollover_micros = number(w, "rollover", 0);
	p.starts_at_us = s->now_us;
	if (action != NULL) {
		p.action_count = 1;
		snprintf(p.actions[0].name, sizeof(p.actions[0].name), "%s", action);
		p.actions[0].credits_micros = number(w, "costs", 1);
	}
	if (model != NULL) {
		p.model_count = 1;
		snprintf(p.models[0], sizeof(p.models[0]), "%s", model);
	}
	book_add_plan(s->book, &p);
}

static void set_time(struct scene *s, const char *text)
{
	int64_t time_us;

	assert_int_equal(clock_parse(text, strlen(text), &time_us), 0);
	assert_true(time_us >= s->now_us);
	s->now_us = time_us;
}

static void play_line(struct scene *s, const char *line)
{
	struct words w;

	split_words(s, line, &w);
	if (strcmp(w.word[0], "pass") == 0) {
		run_batch(s);
		s->now_us += integer(w.word[1]) * US;
	} else if (strcmp(w.word[0], "see") == 0) {
		run_batch(s);
		see(s, &w, line);
	} else if (strcmp(w.word[0], "forget") == 0) {
		run_batch(s);
		book_release(s->book);
		s->book = book_of(prices, 0, 3);
	} else if (strcmp(w.word[0], "at") == 0) {
		run_batch(s);
		set_time(s, w.word[1]);
	} else if (strcmp(w.word[0], "plan") == 0) {
		run_batch(s);
		make_plan(s, &w);
	} else if (strcmp(w.word[0], "code") == 0) {
		run_batch(s);
		make_code(s, &w);
	} else {
		play_command(s, line);
	}
}

void scene_play(const struct scene_rules *rules, const char *const *lines, size_t count)
{
	for (int combine = 0; combine < 2; combine++) {
		struct scene s = {.rules = rules, .now_us = START_US, .versions = 2, .combine = combine != 0};

		s.memory = arena_new(MEMORY_MAX);
		assert_non_null(s.memory);
		s.rows = rows_new(s.memory);
		s.book = book_of(prices, sizeof(prices) / sizeof(prices[0]), 2);
		assert_true(s.rows != NULL && s.book != NULL);
		for (size_t i = 0; i < count; i++)
			play_line(&s, lines[i]);
		run_batch(&s);
		rows_free(s.rows);
		book_release(s.book);
		arena_free(s.memory);
	}
}
