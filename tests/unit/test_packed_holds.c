/*
 * Open holds in the account's row, over batches: what is read, changed and written.
 */
#include "unit.h"
#include "batch_rows.h"

#include "ledger/rows/packed_hold.h"
#include "ledger/rows/packed_holds.h"

#define HOLDS_MAX 8

/* An account and its rows of holds, as they lie in the database.  The hold of number seq is in place seq - 1. */
struct stored {
	struct accounts_row account;
	struct holds_row holds[HOLDS_MAX];
	bool there[HOLDS_MAX];
};

static struct arena *kept;

static int start(void **state)
{
	kept = arena_new(1 << 20);
	return kept != NULL ? start_rows(state) : -1;
}

static int end(void **state)
{
	arena_free(kept);
	return end_rows(state);
}

static void make(struct stored *d)
{
	memset(d, 0, sizeof(*d));
	table_row_clear(&d->account.row, TABLE_ACCOUNTS);
	d->account.id[0] = 7;
	d->account.external_id = "a";
}

static void load_row(struct slot *s, const struct row *stored)
{
	struct row *row = rows_alloc(rows, stored->table);

	memcpy(row, stored, table_of(stored->table)->row_size);
	row->next = row->written = NULL;
	row->read = NULL;
	assert_true(rows_load(rows, s, row));
}

/* As prefetch.  Returns true if the rows of holds were read.  named: 0, or the number of the hold that a command names. */
static bool load(const struct stored *d, struct slot **slot, bool due, int64_t named)
{
	struct account_key key;
	bool needed;

	arena_reset(arena);
	rows_reset(rows);
	memcpy(key.bytes, d->account.id, sizeof(key.bytes));
	*slot = rows_slot(rows, &key);
	if (named != 0)
		assert_true(rows_want(rows, *slot, TABLE_HOLDS, &named));
	load_row(*slot, &d->account.row);
	assert_null(packed_hold_check((*slot)->account));
	(*slot)->holds_loaded = due;
	needed = packed_hold_beside((*slot)->account) &&
	         (due || (named != 0 && packed_hold_find((*slot)->account, named) == PACKED_HOLDS));
	for (int i = 0; i < HOLDS_MAX && needed; i++)
		if (d->there[i] && (due || i + 1 == named))
			load_row(*slot, &d->holds[i].row);
	assert_true(packed_holds_load(rows, *slot));
	assert_null(slot_check(*slot));
	return needed;
}

/* A copy that outlives the batch. */
static void keep(struct row *to, const struct row *from)
{
	const struct table *t = table_of(from->table);

	memcpy(to, from, t->row_size);
	*to = (struct row){.table = from->table};
	for (int i = 0; i < t->column_count; i++) {
		const char **text = (const char **)(void *)((char *)to + t->columns[i].offset);

		if (t->columns[i].type == COLUMN_TEXT)
			*text = arena_copy(kept, *text, strlen(*text));
	}
}

/* As persist.  Returns the number of rows of holds that were written or deleted. */
static int store(struct stored *d, struct slot *s)
{
	int written = 0;

	assert_null(slot_check(s));
	packed_holds_note(rows, s);
	assert_false(rows_failed(rows));
	for (const struct row *row = rows_changed(rows, TABLE_HOLDS); row != NULL; row = row->written) {
		const struct holds_row *h = (const struct holds_row *)row;

		if (row->change == ROW_COPIED || row->change == ROW_DROPPED)
			continue;
		written++;
		assert_int_equal(d->there[h->seq - 1], row->change != ROW_NEW);
		d->there[h->seq - 1] = row->change != ROW_ENDED;
		keep(&d->holds[h->seq - 1].row, row);
	}
	if (rows_changed(rows, TABLE_ACCOUNTS) != NULL)
		keep(&d->account.row, &s->account->row);
	assert_null(packed_hold_check(&d->account));
	return written;
}

/* As authorize. */
static struct holds_row *place(struct slot *s, int64_t seq, micros reserved, const char *metadata)
{
	struct holds_row *h = (struct holds_row *)rows_alloc(rows, TABLE_HOLDS);

	memcpy(h->account_id, s->account->id, sizeof(h->account_id));
	h->seq = seq;
	h->member = "ann";
	h->item = "gpt-4o";
	h->provider = "openai";
	h->reserved_micros = reserved;
	h->expires_at_us = 2000 - seq;
	h->metadata = metadata;
	rows_add(rows, s, &h->row);
	s->account->open_holds++;
	if (s->account->hold_seq < seq)
		s->account->hold_seq = seq;
	s->account->held_micros += reserved;
	rows_touch(rows, &s->account->row);
	return h;
}

/* As settle. */
static void finish(struct slot *s, int64_t seq)
{
	struct holds_row *h = rows_hold(rows, s, seq);

	assert_non_null(h);
	s->account->open_holds--;
	s->account->held_micros -= h->reserved_micros;
	rows_end(rows, &h->row);
	rows_touch(rows, &s->account->row);
}

/* Places so many holds, in one batch. */
static int place_many(struct stored *d, int64_t first, int count, const char *metadata)
{
	struct slot *s;

	load(d, &s, false, 0);
	for (int i = 0; i < count; i++)
		place(s, first + i, 10 + i, metadata);
	return store(d, s);
}

static void test_a_hold_costs_no_row_of_holds(void **state)
{
	struct stored d;
	struct slot *s;
	struct holds_row *h;

	(void)state;
	make(&d);
	assert_int_equal(place_many(&d, 1, 1, "{\"a\":\"b c\"}"), 0);
	assert_int_equal(packed_hold_count(&d.account), 1);
	assert_false(load(&d, &s, false, 1));
	h = rows_hold(rows, s, 1);
	assert_non_null(h);
	assert_int_equal(h->reserved_micros, 10);
	assert_int_equal(h->expires_at_us, 1999);
	assert_string_equal(h->member, "ann");
	assert_string_equal(h->item, "gpt-4o");
	assert_string_equal(h->provider, "openai");
	assert_string_equal(h->metadata, "{\"a\":\"b c\"}");
	assert_string_equal(h->conversation_id, "");
	assert_string_equal(h->counts, "");
	assert_memory_equal(h->account_id, d.account.id, sizeof(h->account_id));
	finish(s, 1);
	assert_int_equal(store(&d, s), 0);
	assert_int_equal(packed_hold_count(&d.account), 0);
	assert_false(load(&d, &s, true, 1));
	assert_null(rows_hold(rows, s, 1));
}

static void test_all_columns_of_a_hold_come_back(void **state)
{
	const struct table *t = table_of(TABLE_HOLDS);
	struct holds_row sent, *h;
	struct stored d;
	struct slot *s;
	char names[HOLDS_MAX * 8][4];

	(void)state;
	make(&d);
	load(&d, &s, false, 0);
	h = place(s, 1, 7, "");
	for (int i = 2; i < t->column_count; i++) {
		void *field = (char *)h + t->columns[i].offset;

		(void)snprintf(names[i], sizeof(names[i]), "%c%d", 'a' + i, i % 10);
		if (t->columns[i].type == COLUMN_TEXT)
			*(const char **)field = names[i];
		else if (field != (void *)&h->reserved_micros)
			*(int64_t *)field = i % 2 == 0 ? -i : i;
	}
	h->quantity = INT64_MAX;
	h->price_version = INT64_MIN;
	keep(&sent.row, &h->row);
	assert_int_equal(store(&d, s), 0);
	assert_false(load(&d, &s, false, 1));
	h = rows_hold(rows, s, 1);
	for (int i = 1; i < t->column_count; i++) {
		const void *was = (const char *)&sent + t->columns[i].offset, *is = (char *)h + t->columns[i].offset;

		if (t->columns[i].type == COLUMN_TEXT)
			assert_string_equal(*(const char *const *)is, *(const char *const *)was);
		else
			assert_int_equal(*(const int64_t *)is, *(const int64_t *)was);
	}
}

static void test_holds_without_room_are_rows(void **state)
{
	struct stored d;
	struct slot *s;
	int64_t before = 0;
	int count = 0;

	(void)state;
	make(&d);
	assert_int_equal(place_many(&d, 1, PACKED_HOLDS + 2, ""), 2);
	assert_int_equal(packed_hold_count(&d.account), PACKED_HOLDS);
	/* Where all are read, they are in the order of expiry. */
	assert_true(load(&d, &s, true, 0));
	for (const struct holds_row *h = s->holds; h != NULL; h = (const struct holds_row *)h->row.next) {
		assert_true(h->expires_at_us > before);
		before = h->expires_at_us;
		count++;
	}
	assert_int_equal(count, PACKED_HOLDS + 2);
	/* Each ends in its place.  A new one takes the room of one that has ended. */
	for (int64_t seq = 1; seq <= PACKED_HOLDS + 2; seq++) {
		const bool packed = (packed_hold_find(&d.account, seq) < PACKED_HOLDS);

		assert_int_equal(load(&d, &s, false, seq), !packed);
		finish(s, seq);
		assert_int_equal(store(&d, s), packed ? 0 : 1);
	}
	assert_int_equal(packed_hold_count(&d.account), 0);
	assert_int_equal(d.account.open_holds, 0);
	for (int i = 0; i < HOLDS_MAX; i++)
		assert_false(d.there[i]);
}

static void test_the_room_of_an_ended_hold_is_taken_in_the_same_batch(void **state)
{
	struct stored d;
	struct slot *s;

	(void)state;
	make(&d);
	assert_int_equal(place_many(&d, 1, PACKED_HOLDS, ""), 0);
	load(&d, &s, false, 2);
	finish(s, 2);
	place(s, PACKED_HOLDS + 1, 5, "");
	/* Made and ended within the batch: written nowhere. */
	place(s, PACKED_HOLDS + 2, 5, "");
	finish(s, PACKED_HOLDS + 2);
	assert_int_equal(store(&d, s), 0);
	assert_int_equal(packed_hold_count(&d.account), PACKED_HOLDS);
	assert_false((packed_hold_find(&d.account, 2) < PACKED_HOLDS));
	assert_true((packed_hold_find(&d.account, PACKED_HOLDS + 1) < PACKED_HOLDS));
}

static void test_what_does_not_fit_is_a_row(void **state)
{
	char label[PACKED_HOLD_MAX + 1];
	struct stored d;

	(void)state;
	memset(label, 'x', sizeof(label) - 1);
	label[sizeof(label) - 1] = '\0';
	make(&d);
	assert_int_equal(place_many(&d, 1, 1, label), 1);
	assert_int_equal(place_many(&d, 2, 1, "a\tb"), 1);
	assert_int_equal(place_many(&d, 3, 1, "a\nb "), 0);
	assert_int_equal(packed_hold_count(&d.account), 1);
	assert_true(d.there[0] && d.there[1] && !d.there[2]);
	assert_string_equal(d.holds[1].metadata, "a\tb");
}

/* An extension may make a hold too long for its column. */
static void test_a_changed_hold_stays_or_moves(void **state)
{
	char label[PACKED_HOLD_MAX + 1];
	struct holds_row *h;
	struct stored d;
	struct slot *s;
	size_t length;

	(void)state;
	make(&d);
	memset(label, 'x', sizeof(label));
	/* As long as a column takes. */
	label[PACKED_HOLD_MAX] = '\0';
	assert_int_equal(place_many(&d, 1, 1, ""), 0);
	length = strcspn(d.account.hold_1, " ");
	make(&d);
	label[PACKED_HOLD_MAX - length] = '\0';
	assert_int_equal(place_many(&d, 1, 1, label), 0);
	assert_int_equal(strlen(d.account.hold_1), PACKED_HOLD_MAX);
	load(&d, &s, false, 1);
	h = rows_hold(rows, s, 1);
	h->expires_at_us = 1998;
	rows_touch(rows, &h->row);
	assert_int_equal(store(&d, s), 0);
	load(&d, &s, false, 1);
	h = rows_hold(rows, s, 1);
	assert_int_equal(h->expires_at_us, 1998);
	h->expires_at_us = 12000;
	rows_touch(rows, &h->row);
	assert_int_equal(store(&d, s), 1);
	assert_int_equal(packed_hold_count(&d.account), 0);
	assert_true(d.there[0]);
	/* From then on it is a row. */
	assert_true(load(&d, &s, false, 1));
	h = rows_hold(rows, s, 1);
	assert_int_equal(h->expires_at_us, 12000);
	h->expires_at_us = 13000;
	rows_touch(rows, &h->row);
	assert_int_equal(store(&d, s), 1);
	load(&d, &s, false, 1);
	finish(s, 1);
	assert_int_equal(store(&d, s), 1);
	assert_false(d.there[0]);
}

static void test_a_column_keeps_its_length(void **state)
{
	struct stored d;
	struct slot *s;
	size_t length;

	(void)state;
	make(&d);
	assert_string_equal(d.account.hold_1, "");
	place_many(&d, 1, 1, "a metadata of some length");
	length = strlen(d.account.hold_1);
	assert_true(length > 0 && length % 32 == 0);
	load(&d, &s, false, 1);
	finish(s, 1);
	store(&d, s);
	assert_int_equal(strlen(d.account.hold_1), length);
	place_many(&d, 2, 1, "");
	assert_int_equal(strlen(d.account.hold_1), length);
	assert_string_equal(d.account.hold_2, "");
}

/* Open holds of an older version are all rows. */
static void test_holds_of_before_stay_where_they_are(void **state)
{
	struct stored d;
	struct slot *s;

	(void)state;
	make(&d);
	for (int i = 0; i < 2; i++) {
		struct holds_row *h = &d.holds[i];

		table_row_clear(&h->row, TABLE_HOLDS);
		h->account_id[0] = 7;
		h->seq = i + 1;
		h->reserved_micros = 4;
		d.there[i] = true;
	}
	d.account.open_holds = d.account.hold_seq = 2;
	d.account.held_micros = 8;
	assert_int_equal(place_many(&d, 3, 1, ""), 0);
	assert_true(load(&d, &s, false, 1));
	finish(s, 1);
	assert_int_equal(store(&d, s), 1);
	assert_false(load(&d, &s, false, 3));
	finish(s, 3);
	assert_int_equal(store(&d, s), 0);
	assert_true(load(&d, &s, true, 0));
	assert_int_equal(s->holds->seq, 2);
}

static void test_texts_that_are_no_holds(void **state)
{
	static const char *const wrong[] = {"x",
	                                    "1",
	                                    "1\tann",
	                                    "1\tann\tx\t",
	                                    "0\t",
	                                    "-1\t",
	                                    "1\t \tx",
	                                    " 1\t",
	                                    "\t",
	                                    "1x\t",
	                                    "99999999999999999999\t",
	                                    "1\tann\t-\t",
	                                    "1\tann\t\t",
	                                    "1\tann\t9223372036854775808\t",
	                                    "1\tann\t-9223372036854775809\t"};
	struct stored d;
	struct slot slot = {.account = &d.account};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		make(&d);
		d.account.open_holds = PACKED_HOLDS;
		d.account.hold_seq = 9;
		d.account.hold_2 = wrong[i];
		assert_non_null(slot_check(&slot));
	}
	make(&d);
	d.account.hold_1 = "1\tann\t";
	d.account.hold_seq = 1;
	assert_non_null(slot_check(&slot)); /* open_holds is 0 */
	d.account.open_holds = 2;
	d.account.hold_seq = 0;
	assert_non_null(slot_check(&slot)); /* never given to a hold */
	d.account.hold_seq = 1;
	assert_null(slot_check(&slot)); /* of an earlier version: the last columns are not there */
	d.account.hold_3 = "1\t";
	assert_non_null(slot_check(&slot)); /* twice */
	d.account.hold_3 = "   ";
	assert_null(slot_check(&slot));
	assert_int_equal(packed_hold_count(&d.account), 1);
}

static void test_memory_may_be_short(void **state)
{
	struct arena *small = arena_new(sizeof(struct slot) + 2 * sizeof(struct accounts_row) + 128);
	struct rows *few = rows_new(small);
	struct slot *s = rows_slot(few, &(struct account_key){{7}});
	struct accounts_row *a = (struct accounts_row *)rows_alloc(few, TABLE_ACCOUNTS);

	(void)state;
	assert_non_null(s);
	assert_false(rows_failed(few));
	a->id[0] = 7;
	a->open_holds = 1;
	a->hold_1 = "1\tann\t";
	assert_true(rows_load(few, s, &a->row));
	s->holds_loaded = true;
	assert_false(packed_holds_load(few, s));
	assert_true(rows_failed(few));
	rows_free(few);
	arena_free(small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_hold_costs_no_row_of_holds),
		TEST(test_all_columns_of_a_hold_come_back),
		TEST(test_holds_without_room_are_rows),
		TEST(test_the_room_of_an_ended_hold_is_taken_in_the_same_batch),
		TEST(test_what_does_not_fit_is_a_row),
		TEST(test_a_changed_hold_stays_or_moves),
		TEST(test_a_column_keeps_its_length),
		TEST(test_holds_of_before_stay_where_they_are),
		TEST(test_texts_that_are_no_holds),
		TEST(test_memory_may_be_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
