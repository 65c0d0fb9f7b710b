#include "prices/book.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "db/sql.h"
#include "prices/plan_json.h"

/* All prices of one item: rows[first] to rows[first + count - 1], by start, then version. */
struct item {
	uint64_t hash;
	size_t first, count;
};

/* Immutable after freeze, except for references.  rows are sorted by kind, item, start, version; items
 * follow their order.  slots is an open hash table, a power of two long.  A slot holds the index of an
 * item plus one; 0: empty. */
struct book {
	int references; /* atomic */
	int64_t latest_version;
	struct price *rows;
	size_t row_count, row_capacity;
	struct item *items;
	size_t item_count;
	uint32_t *slots;
	size_t slot_mask;
	struct plan **plans; /* by name, start and version */
	size_t plan_count, plan_capacity;
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

static int by_start(const void *left, const void *right)
{
	const struct plan *a = *(struct plan *const *)left;
	const struct plan *b = *(struct plan *const *)right;
	const int names = strcmp(a->name, b->name);

	if (names != 0)
		return names;
	if (a->starts_at_us != b->starts_at_us)
		return a->starts_at_us < b->starts_at_us ? -1 : 1;
	return a->version < b->version ? -1 : a->version > b->version;
}

static void sort_plans(struct book *b)
{
	if (b->plan_count > 0)
		qsort(b->plans, b->plan_count, sizeof(struct plan *), by_start);
}

/* Sorts the rows and makes the index; the book does not change any more after that.  False when memory is short. */
static bool freeze(struct book *b)
{
	size_t slot_count = 16;

	CHECK(b->row_count < UINT32_MAX / 4);
	sort_plans(b);
	if (b->row_count > 0)
		qsort(b->rows, b->row_count, sizeof(b->rows[0]), by_order);
	b->items = calloc(b->row_count + 1, sizeof(b->items[0]));
	if (b->items == NULL)
		return false;
	group_rows(b);
	while (slot_count < b->item_count * 2)
		slot_count *= 2;
	b->slots = calloc(slot_count, sizeof(b->slots[0]));
	if (b->slots == NULL)
		return false;
	b->slot_mask = slot_count - 1;
	for (size_t i = 0; i < b->item_count; i++)
		index_item(b, i);
	return true;
}

static struct book *book_new(void)
{
	struct book *b = calloc(1, sizeof(*b));

	if (b != NULL)
		b->references = 1;
	return b;
}

/* Room for one more row, zeroed; NULL when memory is short. */
static struct price *add_price_row(struct book *b)
{
	if (b->row_count == b->row_capacity) {
		const size_t capacity = b->row_capacity == 0 ? 64 : b->row_capacity * 2;
		struct price *rows = reallocarray(b->rows, capacity, sizeof(b->rows[0]));

		if (rows == NULL)
			return NULL;
		b->rows = rows;
		b->row_capacity = capacity;
	}
	memset(&b->rows[b->row_count], 0, sizeof(b->rows[0]));
	return &b->rows[b->row_count++];
}

/* Room for one more plan, zeroed; NULL when memory is short. */
static struct plan *add_plan(struct book *b)
{
	struct plan *p;

	if (b->plan_count == b->plan_capacity) {
		const size_t capacity = b->plan_capacity == 0 ? 16 : b->plan_capacity * 2;
		struct plan **plans = reallocarray(b->plans, capacity, sizeof(struct plan *));

		if (plans == NULL)
			return NULL;
		b->plans = plans;
		b->plan_capacity = capacity;
	}
	p = calloc(1, sizeof(*p));
	if (p != NULL)
		b->plans[b->plan_count++] = p;
	return p;
}

void book_add_plan(struct book *b, const struct plan *p)
{
	struct plan *added;

	CHECK(plan_valid(p) && b->references == 1);
	added = add_plan(b);
	CHECK(added != NULL);
	*added = *p;
	sort_plans(b);
}

/* Gives the price a copy of the lines, line_count of them; false when memory is short. */
static bool keep_lines(struct price *p, const struct price_line *lines)
{
	const size_t bytes = (size_t)p->line_count * sizeof(lines[0]);
	struct price_line *copy = bytes > 0 ? malloc(bytes) : NULL;

	p->lines = copy;
	if (copy != NULL)
		memcpy(copy, lines, bytes);
	return bytes == 0 || copy != NULL;
}

struct book *book_of(const struct price *prices, size_t count, int64_t latest_version)
{
	struct book *b = book_new();

	CHECK(b != NULL);
	for (size_t i = 0; i < count; i++) {
		struct price *added = add_price_row(b);

		CHECK(added != NULL && price_valid(&prices[i]) && prices[i].version <= latest_version);
		*added = prices[i];
		CHECK(keep_lines(added, prices[i].lines));
	}
	b->latest_version = latest_version;
	CHECK(freeze(b));
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
	for (size_t i = 0; i < b->row_count; i++)
		free((void *)(uintptr_t)b->rows[i].lines);
	for (size_t i = 0; i < b->plan_count; i++)
		free(b->plans[i]);
	free(b->plans);
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

	if (row->field[column] == NULL || length >= max || memchr(row->field[column], '\0', length) != NULL)
		return false;
	memcpy(out, row->field[column], length);
	out[length] = '\0';
	return true;
}

enum column { KIND, ITEM, VERSION, PROVIDER, CREDITS, LINES, TIERS, STARTS_AT, MARGIN, RATE, CREDIT_VALUE };

/* Reads the lines of a model.  A version before schema version 4 has tiers instead. */
static bool read_price_lines(const struct db_row *row, struct price *p)
{
	struct price_line lines[PRICE_LINES_MAX];

	p->line_count = row->length[LINES] > 0 ? price_read_lines(row->field[LINES], row->length[LINES], lines)
	                                       : price_read_tiers(row->field[TIERS], row->length[TIERS], lines);
	if (p->line_count > 0)
		return keep_lines(p, lines);
	p->line_count = 0;
	return false;
}

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
	if (kind == PRICE_ACTION ? row->length[TIERS] + row->length[LINES] > 0 : !read_price_lines(row, p))
		return false;
	return price_valid(p);
}

/* -1, logged, when the row is no price. */
static int take_price(void *context, const struct db_row *row)
{
	struct price *p = add_price_row(context);

	if (p == NULL)
		return -1;
	if (read_row(row, p))
		return 0;
	/* An older price must not replace one that cannot be read. */
	log_event(LOG_LEVEL_ERROR, "price_unreadable", LOG_TEXT("item", p->item), LOG_NUMBER("version", p->version));
	return -1;
}

enum plan_column {
	PLAN_COLUMN_NAME,
	PLAN_COLUMN_VERSION,
	PLAN_COLUMN_STARTS_AT,
	PLAN_COLUMN_TITLE,
	PLAN_COLUMN_ACTIONS,
	PLAN_COLUMN_MODELS,
	PLAN_COLUMN_UNIT,
	PLAN_COLUMN_SCOPE,
	PLAN_COLUMN_FIGURES /* the first figure; the others follow in the order of read_plan_figures */
};

static bool read_plan_figures(const struct db_row *row, struct plan *p)
{
	const int64_t unit = db_int(row, PLAN_COLUMN_UNIT), scope = db_int(row, PLAN_COLUMN_SCOPE);
	int64_t *const figures[] = {
		&p->pool_micros,
		&p->manager_micros,
		&p->member_micros,
		&p->managers_to,
		&p->seats_from,
		&p->seats_to,
		&p->rollover_micros,
		&p->expected_manager_micros,
		&p->expected_member_micros,
		&p->fee_minor,
	};

	if ((unit != UNIT_MONEY && unit != UNIT_CREDIT) || scope < PLAN_POOL || scope > PLAN_MIXED)
		return false;
	p->unit = (enum account_unit)unit;
	p->scope = (enum plan_scope)scope;
	for (unsigned i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		*figures[i] = db_int(row, PLAN_COLUMN_FIGURES + i);
	return true;
}

static bool read_plan_list(const struct db_row *row, unsigned column, struct plan *p,
                           bool (*read)(const struct json *list, struct plan *p))
{
	char error[JSON_ERROR_MAX];
	struct json *list = json_parse(row->field[column], row->length[column], true, error);
	const bool good = list != NULL && read(list, p);

	json_free(list);
	return good;
}

static bool read_plan(const struct db_row *row, struct plan *p)
{
	if (!copy_text(row, PLAN_COLUMN_NAME, p->name, sizeof(p->name)) ||
	    !copy_text(row, PLAN_COLUMN_TITLE, p->title, sizeof(p->title)))
		return false;
	p->version = db_int(row, PLAN_COLUMN_VERSION);
	p->starts_at_us = db_int(row, PLAN_COLUMN_STARTS_AT);
	return read_plan_figures(row, p) && read_plan_list(row, PLAN_COLUMN_ACTIONS, p, plan_json_read_actions) &&
	       read_plan_list(row, PLAN_COLUMN_MODELS, p, plan_json_read_models) && plan_valid(p);
}

/* -1, logged, when the row is no plan. */
static int take_plan(void *context, const struct db_row *row)
{
	struct plan *p = add_plan(context);

	if (p == NULL)
		return -1;
	if (read_plan(row, p))
		return 0;
	log_event(LOG_LEVEL_ERROR, "plan_unreadable", LOG_TEXT("plan", p->name),
	          LOG_NUMBER("version", db_int(row, PLAN_COLUMN_VERSION)));
	return -1;
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
	if (db_each(d, take_price, b) < 0 || db_next(d, &more) != DB_OK || !more)
		return -1;
	return db_each(d, take_plan, b) < 0 ? -1 : 0;
}

struct book *book_load(struct db *d)
{
	struct book *b = book_new();
	struct buf sql;
	int result = -1;

	if (b == NULL)
		return NULL;
	buf_init(&sql, 1024);
	/* The version is read first.  Rows that are newer than it do no harm.  A version whose rows were
	 * missed would never be asked for again. */
	sql_literal(&sql, "SELECT COALESCE(MAX(id), 0) FROM price_versions;"
	                  "SELECT p.kind, p.item, p.version, p.provider, p.credits_micros, p.price_lines, p.tiers,"
	                  " v.starts_at_us, v.margin_ppm, v.rate_ppm, v.credit_value_ppm"
	                  " FROM prices p JOIN price_versions v ON v.id = p.version;"
	                  "SELECT p.name, p.version, v.starts_at_us, p.title, p.actions, p.models, p.unit, p.scope,"
	                  " p.pool_micros, p.manager_micros, p.member_micros, p.managers_to, p.seats_from, p.seats_to,"
	                  " p.rollover_micros, p.expected_manager_micros, p.expected_member_micros, p.fee_minor"
	                  " FROM plans p JOIN price_versions v ON v.id = p.version");
	if (db_query(d, &sql) == DB_OK)
		result = read_book(d, b);
	if (db_finish(d) != DB_OK)
		result = -1;
	buf_free(&sql);
	if (result != 0 || !freeze(b)) {
		book_release(b);
		return NULL;
	}
	return b;
}

static const struct item *find_price(const struct book *b, enum price_kind kind, const char *item)
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

const struct price *book_price_at(const struct book *b, enum price_kind kind, const char *item, int64_t time_us)
{
	const struct item *i = find_price(b, kind, item);

	return i != NULL ? item_at(b, i, time_us) : NULL;
}

const struct price *book_price_of_version(const struct book *b, enum price_kind kind, const char *item, int64_t version)
{
	const struct item *i = find_price(b, kind, item);

	for (size_t n = 0; i != NULL && n < i->count; n++) {
		if (b->rows[i->first + n].version == version)
			return &b->rows[i->first + n];
	}
	return NULL;
}

int book_each(const struct book *b, int64_t time_us, int (*visit)(void *context, const struct price *p), void *context)
{
	int result = 0;

	for (size_t i = 0; i < b->item_count && result == 0; i++) {
		const struct price *p = item_at(b, &b->items[i], time_us);

		if (p != NULL)
			result = visit(context, p);
	}
	return result;
}

int book_each_row(const struct book *b, int (*visit)(void *context, const struct price *p), void *context)
{
	int result = 0;

	for (size_t i = 0; i < b->row_count && result == 0; i++)
		result = visit(context, &b->rows[i]);
	return result;
}

/* ---- plans ----------------------------------------------------------------------------------------- */

/* The index of the first plan whose name is not below name, bytewise.  If the plan is there, that is its first version,
 * and its other versions follow. */
static size_t find_plan(const struct book *b, const char *name)
{
	size_t low = 0, high = b->plan_count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (strcmp(b->plans[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_plan(const struct book *b, size_t i, const char *name)
{
	return i < b->plan_count && strcmp(b->plans[i]->name, name) == 0;
}

const struct plan *book_plan_at(const struct book *b, const char *name, int64_t time_us)
{
	size_t i = find_plan(b, name);

	if (!is_plan(b, i, name))
		return NULL;
	while (is_plan(b, i + 1, name) && b->plans[i + 1]->starts_at_us <= time_us)
		i++;
	return b->plans[i];
}

const struct plan *book_plan(const struct book *b, const char *name)
{
	return book_plan_at(b, name, INT64_MAX);
}

const struct plan *book_plan_of_version(const struct book *b, const char *name, int64_t version)
{
	for (size_t i = find_plan(b, name); is_plan(b, i, name); i++)
		if (b->plans[i]->version == version)
			return b->plans[i];
	return NULL;
}

int book_each_plan(const struct book *b, int (*visit)(void *context, const struct plan *p), void *context)
{
	int result = 0;

	for (size_t i = 0; i < b->plan_count && result == 0; i++)
		if (!is_plan(b, i + 1, b->plans[i]->name))
			result = visit(context, b->plans[i]);
	return result;
}

int book_each_plan_row(const struct book *b, int (*visit)(void *context, const struct plan *p), void *context)
{
	int result = 0;

	for (size_t i = 0; i < b->plan_count && result == 0; i++)
		result = visit(context, b->plans[i]);
	return result;
}
