#include "ledger/book.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "db/sql.h"

/* All prices of one item: rows[first] to rows[first + count - 1], by start, then version. */
struct item {
	uint64_t hash;
	size_t first, count;
};

/* B: immutable but for references.  rows are sorted by kind, item, start, version; items follow
 * their order.  slots is an open hash table of numbers of items plus one, a power of two long. */
struct book {
	int references; /* atomic */
	int64_t latest_version;
	struct price *rows;
	size_t row_count, row_capacity;
	struct item *items;
	size_t item_count;
	uint32_t *slots;
	size_t slot_mask;
};

static int by_order(const void *left, const void *right)
{
	const struct price *a = left;
	const struct price *b = right;
	int names;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	names = strcmp(a->item, b->item);
	if (names != 0)
		return names;
	if (a->starts_at_us != b->starts_at_us)
		return a->starts_at_us < b->starts_at_us ? -1 : 1;
	if (a->version != b->version)
		return a->version < b->version ? -1 : 1;
	return 0;
}

/* FNV-1a. */
static uint64_t hash_of(enum price_kind kind, const char *item)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (uint64_t)kind;

	for (; *item != '\0'; item++)
		hash = (hash ^ (unsigned char)*item) * UINT64_C(0x100000001b3);
	return hash;
}

static bool is_item(const struct price *p, enum price_kind kind, const char *item)
{
	return p->kind == kind && strcmp(p->item, item) == 0;
}

static void index_item(struct book *b, size_t number)
{
	size_t slot = b->items[number].hash & b->slot_mask;

	while (b->slots[slot] != 0)
		slot = (slot + 1) & b->slot_mask;
	b->slots[slot] = (uint32_t)(number + 1);
}

static void group_rows(struct book *b)
{
	struct item *current = NULL;

	for (size_t i = 0; i < b->row_count; i++) {
		const struct price *p = &b->rows[i];

		if (current == NULL || !is_item(&b->rows[current->first], p->kind, p->item)) {
			current = &b->items[b->item_count++];
			*current = (struct item){.hash = hash_of(p->kind, p->item), .first = i};
		}
		current->count++;
	}
}

/* Sorts the rows and makes the index; the book does not change any more after that. */
static void seal(struct book *b)
{
	size_t slot_count = 16;

	CHECK(b->row_count < UINT32_MAX / 4);
	if (b->row_count > 0)
		qsort(b->rows, b->row_count, sizeof(b->rows[0]), by_order);
	b->items = calloc(b->row_count + 1, sizeof(b->items[0]));
	CHECK(b->items != NULL);
	group_rows(b);
	while (slot_count < b->item_count * 2)
		slot_count *= 2;
	b->slots = calloc(slot_count, sizeof(b->slots[0]));
	CHECK(b->slots != NULL);
	b->slot_mask = slot_count - 1;
	for (size_t i = 0; i < b->item_count; i++)
		index_item(b, i);
}

static struct book *book_new(void)
{
	struct book *b = calloc(1, sizeof(*b));

	CHECK(b != NULL);
	b->references = 1;
	return b;
}

/* Room for one more row, zeroed. */
static struct price *add_row(struct book *b)
{
	if (b->row_count == b->row_capacity) {
		b->row_capacity = b->row_capacity == 0 ? 64 : b->row_capacity * 2;
		b->rows = reallocarray(b->rows, b->row_capacity, sizeof(b->rows[0]));
		CHECK(b->rows != NULL);
	}
	memset(&b->rows[b->row_count], 0, sizeof(b->rows[0]));
	return &b->rows[b->row_count++];
}

struct book *book_of(const struct price *prices, size_t count, int64_t latest_version)
{
	struct book *b = book_new();

	for (size_t i = 0; i < count; i++) {
		CHECK(price_valid(&prices[i]) && prices[i].version <= latest_version);
		*add_row(b) = prices[i];
	}
	b->latest_version = latest_version;
	seal(b);
	return b;
}

struct book *book_hold(struct book *b)
{
	CHECK(__atomic_fetch_add(&b->references, 1, __ATOMIC_RELAXED) > 0);
	return b;
}

void book_release(struct book *b)
{
	int before;

	if (b == NULL)
		return;
	before = __atomic_fetch_sub(&b->references, 1, __ATOMIC_ACQ_REL);
	CHECK(before > 0);
	if (before > 1)
		return;
	free(b->rows);
	free(b->items);
	free(b->slots);
	free(b);
}

int64_t book_version(const struct book *b)
{
	return b->latest_version;
}

static bool copy_text(const struct db_row *row, unsigned column, char *out, size_t max)
{
	size_t length = row->length[column];

	if (row->field[column] == NULL || length >= max ||
	    memchr(row->field[column], '\0', length) != NULL)
		return false;
	memcpy(out, row->field[column], length);
	out[length] = '\0';
	return true;
}

enum column {
	KIND,
	ITEM,
	VERSION,
	PROVIDER,
	CREDITS,
	TIERS,
	STARTS_AT,
	MARGIN,
	RATE,
	CREDIT_VALUE
};

static bool read_row(const struct db_row *row, struct price *p)
{
	int64_t kind = db_int(row, KIND);

	if (kind != PRICE_MODEL && kind != PRICE_ACTION)
		return false;
	p->kind = (enum price_kind)kind;
	p->version = db_int(row, VERSION);
	p->starts_at_us = db_int(row, STARTS_AT);
	p->credits_micros = db_int(row, CREDITS);
	p->terms.margin_ppm = db_int(row, MARGIN);
	p->terms.rate_ppm = db_int(row, RATE);
	p->terms.credit_value_ppm = db_int(row, CREDIT_VALUE);
	if (!copy_text(row, ITEM, p->item, sizeof(p->item)) ||
	    !copy_text(row, PROVIDER, p->provider, sizeof(p->provider)))
		return false;
	if (kind == PRICE_ACTION ? row->length[TIERS] > 0
	                         : price_read_tiers(p, row->field[TIERS], row->length[TIERS]) != 0)
		return false;
	return price_valid(p);
}

/* Reads the rows of the current result; -1, logged, when one is no price. */
static int read_rows(struct db *d, struct book *b)
{
	struct db_row row;
	int found = db_row(d, &row);

	for (; found == 1; found = db_row(d, &row)) {
		struct price *p = add_row(b);

		if (!read_row(&row, p)) {
			/* A price that nobody can read must not make way for an older one. */
			log_event(LOG_LEVEL_ERROR, "price_unreadable", LOG_TEXT("item", p->item),
			          LOG_NUMBER("version", p->version));
			return -1;
		}
	}
	return found;
}

static int read_book(struct db *d, struct book *b)
{
	struct db_row row;
	bool more;

	if (db_row(d, &row) != 1)
		return -1;
	b->latest_version = db_int(&row, 0);
	if (db_next(d, &more) != DB_OK || !more)
		return -1;
	return read_rows(d, b);
}

struct book *book_load(struct db *d)
{
	struct book *b = book_new();
	struct buf sql;
	int result = -1;

	buf_init(&sql, 1024);
	/* The version first: rows that are newer than it do no harm, but a version whose rows were
	 * missed would never be asked for again. */
	sql_literal(&sql, "SELECT COALESCE(MAX(id), 0) FROM price_versions;"
	                  "SELECT p.kind, p.item, p.version, p.provider, p.credits_micros, p.tiers,"
	                  " v.starts_at_us, v.margin_ppm, v.rate_ppm, v.credit_value_ppm"
	                  " FROM prices p JOIN price_versions v ON v.id = p.version");
	if (db_query(d, &sql) == DB_OK)
		result = read_book(d, b);
	if (db_finish(d) != DB_OK)
		result = -1;
	buf_free(&sql);
	if (result != 0) {
		book_release(b);
		return NULL;
	}
	seal(b);
	return b;
}

static const struct item *find(const struct book *b, enum price_kind kind, const char *item)
{
	uint64_t hash = hash_of(kind, item);
	size_t slot = hash & b->slot_mask;

	for (; b->slots[slot] != 0; slot = (slot + 1) & b->slot_mask) {
		const struct item *i = &b->items[b->slots[slot] - 1];

		if (i->hash == hash && is_item(&b->rows[i->first], kind, item))
			return i;
	}
	return NULL;
}

static const struct price *item_at(const struct book *b, const struct item *i, int64_t time_us)
{
	for (size_t n = i->count; n > 0; n--) {
		const struct price *p = &b->rows[i->first + n - 1];

		if (p->starts_at_us <= time_us)
			return p;
	}
	return NULL;
}

const struct price *book_price_at(const struct book *b, enum price_kind kind, const char *item,
                                  int64_t time_us)
{
	const struct item *i = find(b, kind, item);

	return i != NULL ? item_at(b, i, time_us) : NULL;
}

const struct price *book_price_of_version(const struct book *b, enum price_kind kind,
                                          const char *item, int64_t version)
{
	const struct item *i = find(b, kind, item);

	for (size_t n = 0; i != NULL && n < i->count; n++) {
		if (b->rows[i->first + n].version == version)
			return &b->rows[i->first + n];
	}
	return NULL;
}

int book_each(const struct book *b, int64_t time_us,
              int (*visit)(void *context, const struct price *p), void *context)
{
	int result = 0;

	for (size_t i = 0; i < b->item_count && result == 0; i++) {
		const struct price *p = item_at(b, &b->items[i], time_us);

		if (p != NULL)
			result = visit(context, p);
	}
	return result;
}

int book_each_row(const struct book *b, int (*visit)(void *context, const struct price *p),
                  void *context)
{
	int result = 0;

	for (size_t i = 0; i < b->row_count && result == 0; i++)
		result = visit(context, &b->rows[i]);
	return result;
}
