#include "ledger/rows/rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define BUCKETS 2048 /* power of two; a full batch names about as many rows */
#define SLOTS_MAX 1024
_Static_assert((BUCKETS & (BUCKETS - 1)) == 0, "BUCKETS is a power of two");
_Static_assert((SLOTS_MAX & (SLOTS_MAX - 1)) == 0, "SLOTS_MAX is a power of two");

/* A key that was asked for.  row is NULL until the row is loaded or added. */
struct want {
	enum table_id table;
	bool by_text;
	struct slot *slot;
	union {
		unsigned char bytes[ID_KEY_BYTES]; /* of an integer too */
		const char *text;
	} key;
	struct row *row;
	struct want *next_in_bucket, *next_in_table;
};

/* Room for a row of any table: usages and workspaces have the largest. */
struct spare {
	union {
		struct usages_row usage;
		struct workspaces_row workspace;
	};
};
#define TABLE(NAME, name, load) \
	_Static_assert(sizeof(struct name##_row) <= sizeof(struct spare), "struct spare lacks room for " #name);
#include "ledger/rows/tables.def"
#undef TABLE

struct rows {
	struct arena *arena;
	struct want *bucket[BUCKETS];
	struct want *wanted[TABLE_COUNT];
	struct slot *slots[SLOTS_MAX];
	struct slot *slot_bucket[SLOTS_MAX * 2];
	int slot_count;
	struct row *changed[TABLE_COUNT], **changed_end[TABLE_COUNT];
	bool failed;
	/* Lent by rows_alloc and rows_text when memory is short. */
	struct spare spare[TABLE_COUNT];
	char spare_text[ROWS_TEXT_MAX];
};

struct rows *rows_new(struct arena *arena)
{
	struct rows *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->arena = arena;
	rows_reset(r);
	return r;
}

void rows_free(struct rows *r)
{
	free(r);
}

void rows_reset(struct rows *r)
{
	memset(r->bucket, 0, sizeof(r->bucket));
	memset(r->wanted, 0, sizeof(r->wanted));
	memset(r->slot_bucket, 0, sizeof(r->slot_bucket));
	memset(r->changed, 0, sizeof(r->changed));
	for (int t = 0; t < TABLE_COUNT; t++)
		r->changed_end[t] = &r->changed[t];
	r->slot_count = 0;
	r->failed = false;
}

/* Account keys are pieces of a SHA-256 already. */
static size_t key_hash(const struct account_key *key)
{
	size_t h;

	memcpy(&h, key->bytes, sizeof(h));
	return h;
}

/* The place of the slot, or the free place where it belongs. */
static struct slot **slot_place(struct rows *r, const struct account_key *key)
{
	const size_t mask = SLOTS_MAX * 2 - 1;
	size_t at = key_hash(key) & mask;

	/* Half of the places stay free, so that the search ends. */
	CHECK(r->slot_count >= 0 && r->slot_count <= SLOTS_MAX);
	while (r->slot_bucket[at] != NULL && memcmp(&r->slot_bucket[at]->key, key, sizeof(*key)) != 0)
		at = (at + 1) & mask;
	return &r->slot_bucket[at];
}

struct slot *rows_slot_known(struct rows *r, const struct account_key *key)
{
	struct slot *s = *slot_place(r, key);

	CHECK(s == NULL || memcmp(&s->key, key, sizeof(*key)) == 0);
	return s;
}

struct slot *rows_slot(struct rows *r, const struct account_key *key)
{
	struct slot **place = slot_place(r, key);
	struct slot *s = *place;

	if (s != NULL)
		return s;
	if (r->slot_count == SLOTS_MAX)
		return NULL;
	s = arena_alloc(r->arena, sizeof(*s));
	if (s == NULL)
		return NULL;
	CHECK(*place == NULL && s->account == NULL && s->grants == NULL);
	s->key = *key;
	*place = s;
	r->slots[r->slot_count++] = s;
	return s;
}

int rows_slot_count(const struct rows *r)
{
	return r->slot_count;
}

struct slot *rows_slot_at(struct rows *r, int index)
{
	CHECK(index >= 0 && index < r->slot_count);
	return r->slots[index];
}

static int compare_slots(const void *a, const void *b)
{
	const struct slot *const *x = a, *const *y = b;
	const int order = memcmp(&(*x)->key, &(*y)->key, sizeof((*x)->key));

	CHECK(order != 0 || *x == *y);
	return order;
}

void rows_sort_slots(struct rows *r)
{
	CHECK(!rows_any_changed(r));
	qsort(r->slots, (size_t)r->slot_count, sizeof(r->slots[0]), compare_slots);
}

static void set_key(struct want *w, enum table_id table, const void *key)
{
	const struct column *c = table_key(table);

	memset(&w->key, 0, sizeof(w->key));
	if (c == NULL)
		return;
	w->by_text = c->type == COLUMN_TEXT;
	CHECK(key != NULL && (w->by_text || c->size <= sizeof(w->key.bytes)));
	if (w->by_text)
		w->key.text = key;
	else
		memcpy(w->key.bytes, key, c->size);
}

/* True if rows that are loaded so are looked up by what rows_want takes. */
static bool is_looked_up(enum table_load load)
{
	return load == LOAD_NAMED || load == LOAD_LATER || load == LOAD_GLOBAL;
}

static size_t want_hash(const struct want *w)
{
	uint64_t h = (uint64_t)w->table * UINT64_C(0x9E3779B97F4A7C15);

	if (w->slot != NULL)
		h += key_hash(&w->slot->key);
	if (w->by_text) {
		CHECK(w->key.text != NULL);
		for (const char *p = w->key.text; *p != '\0'; p++)
			h = (h ^ (unsigned char)*p) * UINT64_C(0x100000001B3);
	} else {
		uint64_t half;

		memcpy(&half, w->key.bytes, sizeof(half));
		h ^= half * UINT64_C(0xD6E8FEB86659FD93);
	}
	return (size_t)(h >> 17) & (BUCKETS - 1);
}

static bool same_key(const struct want *a, const struct want *b)
{
	if (a->table != b->table || a->slot != b->slot)
		return false;
	if (a->by_text) {
		CHECK(a->key.text != NULL && b->key.text != NULL);
		return strcmp(a->key.text, b->key.text) == 0;
	}
	/* set_key zeroes the whole union first. */
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c) */
	return memcmp(&a->key, &b->key, sizeof(a->key)) == 0;
}

static struct want *find_row(struct rows *r, struct slot *s, enum table_id table, const void *key)
{
	const enum table_load load = table_of(table)->load;
	struct want sought = {.table = table, .slot = s}, *w;

	CHECK(is_looked_up(load));
	/* Only rows of no account have no slot. */
	CHECK((s == NULL) == (load == LOAD_GLOBAL));
	set_key(&sought, table, key);
	for (w = r->bucket[want_hash(&sought)]; w != NULL; w = w->next_in_bucket)
		if (same_key(w, &sought))
			break;
	return w;
}

bool rows_want(struct rows *r, struct slot *s, enum table_id table, const void *key)
{
	struct want *w;
	size_t bucket;

	CHECK(r->slot_count > 0 || s == NULL);
	if (find_row(r, s, table, key) != NULL)
		return true;
	w = arena_alloc(r->arena, sizeof(*w));
	if (w == NULL) {
		r->failed = true;
		return false;
	}
	CHECK(w->row == NULL);
	w->table = table;
	w->slot = s;
	set_key(w, table, key);
	bucket = want_hash(w);
	w->next_in_bucket = r->bucket[bucket];
	r->bucket[bucket] = w;
	w->next_in_table = r->wanted[table];
	r->wanted[table] = w;
	return true;
}

bool rows_wanted(struct rows *r, struct slot *s, enum table_id table, const void *key)
{
	return find_row(r, s, table, key) != NULL;
}

void rows_each_wanted(struct rows *r, enum table_id table,
                      bool (*visit)(void *context, struct slot *s, const void *key), void *context)
{
	CHECK(is_looked_up(table_of(table)->load));
	for (struct want *w = r->wanted[table]; w != NULL; w = w->next_in_table) {
		CHECK(w->table == table);
		if (!visit(context, w->slot, w->by_text ? (const void *)w->key.text : &w->key))
			break;
	}
}

/* The key of the row, as rows_want takes it. */
static const void *key_of(const struct row *row)
{
	const struct column *c = table_key(row->table);
	const void *field;

	if (c == NULL)
		return NULL;
	field = (const char *)row + c->offset;
	/* No name is empty: "" stands for nobody. */
	CHECK(c->type != COLUMN_TEXT || (*(const char *const *)field)[0] != '\0');
	return c->type == COLUMN_TEXT ? *(const char *const *)field : field;
}

/* Grants are spent by priority, then by expiry (one that never expires comes last), then by age. */
static bool spent_before(const struct grants_row *a, const struct grants_row *b)
{
	CHECK(a->seq != b->seq);
	if (a->priority != b->priority)
		return a->priority < b->priority;
	if (a->expires_at_us != b->expires_at_us) {
		if (a->expires_at_us == 0 || b->expires_at_us == 0)
			return b->expires_at_us == 0;
		return a->expires_at_us < b->expires_at_us;
	}
	return a->seq < b->seq;
}

static void link_grant(struct slot *s, struct grants_row *g)
{
	struct row **at = (struct row **)(void *)&s->grants;

	while (*at != NULL && spent_before((struct grants_row *)*at, g))
		at = &(*at)->next;
	/* The list stays in the order of spending. */
	CHECK(*at == NULL || spent_before(g, (struct grants_row *)*at));
	g->row.next = *at;
	*at = &g->row;
}

/* Puts a hold that was read among the others in the order of expiry, and a new one in front. */
static void link_hold(struct slot *s, struct holds_row *h)
{
	struct row **at = (struct row **)(void *)&s->holds;

	for (; h->row.change == ROW_CLEAN && *at != NULL; at = &(*at)->next) {
		const struct holds_row *other = (const struct holds_row *)*at;

		if (h->expires_at_us < other->expires_at_us ||
		    (h->expires_at_us == other->expires_at_us && h->seq < other->seq))
			break;
	}
	h->row.next = *at;
	*at = &h->row;
	CHECK(s->holds != NULL);
}

/* True if the first column of the row, the account's key, is that of the slot; a global row has no slot. */
static bool belongs(const struct slot *s, const struct row *row)
{
	const struct table *t = table_of(row->table);

	if (t->load == LOAD_GLOBAL)
		return s == NULL;
	return s != NULL && memcmp((const char *)row + t->columns[0].offset, s->key.bytes, sizeof(s->key.bytes)) == 0;
}

/* Makes the row findable. */
static bool place(struct rows *r, struct slot *s, struct row *row)
{
	const void *key = key_of(row);
	struct want *w;

	CHECK(belongs(s, row));
	switch (table_of(row->table)->load) {
	case LOAD_LOCKED:
		CHECK(s->account == NULL);
		s->account = (struct accounts_row *)row;
		return true;
	case LOAD_ACCOUNT:
		if (row->table == TABLE_GRANTS) {
			link_grant(s, (struct grants_row *)row);
			return true;
		}
		CHECK(row->table == TABLE_WORKSPACES && s->workspace == NULL);
		CHECK(s->account != NULL);
		s->workspace = (struct workspaces_row *)row;
		return true;
	case LOAD_NEVER:
		CHECK(row->table == TABLE_ENTRIES || row->change == ROW_NEW);
		if (row->table == TABLE_ENTRIES) {
			row->next = (struct row *)s->entries;
			s->entries = (struct entries_row *)row;
		}
		return true;
	case LOAD_NAMED:
	case LOAD_LATER:
	case LOAD_GLOBAL:
		break;
	}
	if (!rows_want(r, s, row->table, key))
		return false;
	w = find_row(r, s, row->table, key);
	CHECK(w != NULL);
	/* A period that a command names may also run.  It is read twice then. */
	if (row->table == TABLE_PAID_PERIODS && w->row != NULL && row->change == ROW_CLEAN)
		return true;
	CHECK(w->row == NULL);
	w->row = row;
	if (row->table == TABLE_PAID_PERIODS) {
		row->next = (struct row *)s->periods;
		s->periods = (struct paid_periods_row *)row;
	}
	if (row->table == TABLE_HOLDS)
		link_hold(s, (struct holds_row *)row);
	if (row->table == TABLE_MEMBERS) {
		row->next = (struct row *)s->members;
		s->members = (struct members_row *)row;
	}
	return true;
}

/* Keeps the row as it was read, for table_sql_form.  False when memory is short. */
static bool keep_read(struct rows *r, struct row *row)
{
	const struct table *t = table_of(row->table);
	struct row *copy;

	CHECK(row->read == NULL);
	if (!t->has_seldom)
		return true;
	copy = arena_alloc(r->arena, t->row_size);
	if (copy == NULL)
		return false;
	memcpy(copy, row, t->row_size);
	row->read = copy;
	return true;
}

bool rows_load(struct rows *r, struct slot *s, struct row *row)
{
	/* No row that was read is linked or changed before it is placed. */
	CHECK(row->next == NULL && row->written == NULL);
	row->change = ROW_CLEAN;
	return keep_read(r, row) && place(r, s, row);
}

void rows_forget_holds(struct rows *r, struct slot *s)
{
	for (struct holds_row *h = s->holds; h != NULL; h = (struct holds_row *)h->row.next) {
		CHECK(h->row.change == ROW_CLEAN);
		find_row(r, s, TABLE_HOLDS, &h->seq)->row = NULL;
	}
	s->holds = NULL;
}

struct row *rows_alloc(struct rows *r, enum table_id table)
{
	struct row *row = arena_alloc(r->arena, table_of(table)->row_size);

	CHECK((unsigned)table < TABLE_COUNT);
	if (row == NULL) {
		r->failed = true;
		row = &r->spare[table].usage.row;
	}
	table_row_clear(row, table);
	return row;
}

char *rows_text(struct rows *r, size_t size)
{
	char *text;

	CHECK(size > 0 && size <= sizeof(r->spare_text));
	text = arena_alloc(r->arena, size);
	if (text != NULL)
		return text;
	r->failed = true;
	return r->spare_text;
}

bool rows_failed(const struct rows *r)
{
	return r->failed;
}

/* The row; NULL: it was looked for and is not there. */
struct row *rows_find(struct rows *r, struct slot *s, enum table_id table, const void *key)
{
	struct want *w = find_row(r, s, table, key);

	CHECK(w != NULL);
	if (w->row == NULL || w->row->change == ROW_ENDED || w->row->change == ROW_DROPPED)
		return NULL;
	CHECK(w->row->table == table && belongs(s, w->row));
	return w->row;
}

struct holds_row *rows_hold(struct rows *r, struct slot *s, int64_t seq)
{
	struct holds_row *row = (struct holds_row *)rows_find(r, s, TABLE_HOLDS, &seq);

	CHECK(row == NULL || row->seq == seq);
	return row;
}

struct usages_row *rows_usage(struct rows *r, struct slot *s, int64_t seq)
{
	struct usages_row *row = (struct usages_row *)rows_find(r, s, TABLE_USAGES, &seq);

	CHECK(row == NULL || row->seq == seq);
	return row;
}

struct requests_row *rows_request(struct rows *r, struct slot *s, const unsigned char key[ID_KEY_BYTES])
{
	struct requests_row *q = (struct requests_row *)rows_find(r, s, TABLE_REQUESTS, key);

	CHECK(q == NULL || memcmp(q->request_key, key, sizeof(q->request_key)) == 0);
	return q;
}

struct members_row *rows_member(struct rows *r, struct slot *s, const char *member)
{
	struct members_row *m = (struct members_row *)rows_find(r, s, TABLE_MEMBERS, member);

	CHECK(m == NULL || strcmp(m->member_id, member) == 0);
	return m;
}

struct profiles_row *rows_profile(struct rows *r, struct slot *s)
{
	return (struct profiles_row *)rows_find(r, s, TABLE_PROFILES, NULL);
}

struct billing_row *rows_billing(struct rows *r, struct slot *s)
{
	return (struct billing_row *)rows_find(r, s, TABLE_BILLING, NULL);
}

struct recharges_row *rows_recharge(struct rows *r, struct slot *s)
{
	return (struct recharges_row *)rows_find(r, s, TABLE_RECHARGES, NULL);
}

struct graces_row *rows_grace(struct rows *r, struct slot *s)
{
	return (struct graces_row *)rows_find(r, s, TABLE_GRACES, NULL);
}

struct topups_row *rows_topup(struct rows *r, struct slot *s, int64_t seq)
{
	struct topups_row *row = (struct topups_row *)rows_find(r, s, TABLE_TOPUPS, &seq);

	CHECK(row == NULL || row->seq == seq);
	return row;
}

struct captures_row *rows_capture(struct rows *r, struct slot *s, int64_t seq)
{
	struct captures_row *row = (struct captures_row *)rows_find(r, s, TABLE_CAPTURES, &seq);

	CHECK(row == NULL || row->seq == seq);
	return row;
}

struct paid_periods_row *rows_period(struct rows *r, struct slot *s, int64_t seq)
{
	struct paid_periods_row *row = (struct paid_periods_row *)rows_find(r, s, TABLE_PAID_PERIODS, &seq);

	CHECK(row == NULL || row->seq == seq);
	return row;
}

struct paid_periods_row *rows_periods(struct slot *s)
{
	CHECK(s->periods_loaded);
	return s->periods;
}

struct grants_row *rows_grants(struct slot *s)
{
	CHECK(s->grants_loaded);
	return s->grants;
}

struct holds_row *rows_open_holds(struct slot *s)
{
	CHECK(s->holds_loaded);
	CHECK(s->holds == NULL || s->account != NULL);
	return s->holds;
}

struct members_row *rows_members(struct slot *s)
{
	CHECK(s->members_loaded);
	CHECK(s->members == NULL || s->workspace != NULL);
	return s->members;
}

static void note_changed(struct rows *r, struct row *row)
{
	CHECK((unsigned)row->table < TABLE_COUNT);
	/* The end of the list is the end. */
	CHECK(*r->changed_end[row->table] == NULL);
	row->written = NULL;
	*r->changed_end[row->table] = row;
	r->changed_end[row->table] = &row->written;
}

void rows_add(struct rows *r, struct slot *s, struct row *row)
{
	if (r->failed)
		return;
	/* A row is added once, and before it is changed. */
	CHECK(row->change == ROW_CLEAN && row->written == NULL);
	row->change = ROW_NEW;
	if (!place(r, s, row))
		return;
	note_changed(r, row);
}

void rows_touch(struct rows *r, struct row *row)
{
	/* A row that is to be deleted changes no more. */
	CHECK(row->change != ROW_ENDED && row->change != ROW_DROPPED);
	if (row->change != ROW_CLEAN || r->failed)
		return;
	row->change = ROW_CHANGED;
	note_changed(r, row);
}

void rows_end(struct rows *r, struct row *row)
{
	CHECK(row->change != ROW_ENDED && row->change != ROW_DROPPED);
	/* Nothing else is ever deleted. */
	CHECK(row->table == TABLE_HOLDS);
	if (row->change == ROW_CLEAN)
		note_changed(r, row);
	row->change = row->change == ROW_NEW ? ROW_DROPPED : ROW_ENDED;
}

struct row *rows_changed(struct rows *r, enum table_id table)
{
	CHECK((unsigned)table < TABLE_COUNT);
	CHECK(r->changed[table] == NULL || r->changed[table]->change != ROW_CLEAN);
	return r->changed[table];
}

bool rows_any_changed(struct rows *r)
{
	for (int t = 0; t < TABLE_COUNT; t++)
		if (r->changed[t] != NULL)
			return true;
	return false;
}
