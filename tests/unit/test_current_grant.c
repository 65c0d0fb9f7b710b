/*
 * The copy of the grant that is spent now, over batches: what is read of an account, changed and written.
 */
#include "unit.h"
#include "batch_rows.h"

#include "ledger/rows/current_grant.h"

#define GRANTS_MAX 4

/* An account and its grants, as they lie in the database.  Grants are spent in the order of seq, unless a priority is set. */
struct stored {
	struct accounts_row account;
	struct grants_row grants[GRANTS_MAX];
	int count;
};

static void make_grant(struct stored *d, struct grants_row *g, micros rest)
{
	table_row_clear(&g->row, TABLE_GRANTS);
	memcpy(g->account_id, d->account.id, sizeof(g->account_id));
	g->seq = d->count;
	g->type = 2;
	g->priority = 10;
	g->amount_micros = 100;
	g->remaining_micros = rest;
	g->created_at_us = 1000 + d->count;
}

/* An account of an older version: its row has no copy. */
static void make(struct stored *d, int count, const micros *rests)
{
	memset(d, 0, sizeof(*d));
	table_row_clear(&d->account.row, TABLE_ACCOUNTS);
	d->account.id[0] = 7;
	d->account.external_id = "a";
	for (int i = 0; i < count; i++) {
		d->count++;
		make_grant(d, &d->grants[i], rests[i]);
	}
}

static void load_row(struct slot *s, const struct row *stored)
{
	struct row *row = rows_alloc(rows, stored->table);

	memcpy(row, stored, table_of(stored->table)->row_size);
	assert_true(rows_load(rows, s, row));
}

/* As prefetch.  Returns true if the rows of grants were read. */
static bool load(const struct stored *d, struct slot **slot)
{
	struct account_key key;
	bool needed;

	arena_reset(arena);
	rows_reset(rows);
	memcpy(key.bytes, d->account.id, sizeof(key.bytes));
	*slot = rows_slot(rows, &key);
	load_row(*slot, &d->account.row);
	(*slot)->grants_loaded = true;
	needed = current_grant_needs_rows((*slot)->account);
	for (int i = 0; i < d->count && needed; i++)
		if (d->grants[i].remaining_micros > 0)
			load_row(*slot, &d->grants[i].row);
	assert_true(current_grant_load(rows, *slot));
	return needed;
}

static bool is_written(const struct row *row)
{
	return row->change == ROW_CHANGED || row->change == ROW_NEW;
}

/* As persist.  Returns the number of rows of grants that were written. */
static int store(struct stored *d, struct slot *s)
{
	int written = 0;

	current_grant_note(rows, s);
	for (const struct row *row = rows_changed(rows, TABLE_GRANTS); row != NULL; row = row->written) {
		const struct grants_row *g = (const struct grants_row *)row;

		assert_true(is_written(row) || row->change == ROW_COPIED);
		if (!is_written(row))
			continue;
		written++;
		if (row->change == ROW_NEW)
			d->count++;
		d->grants[g->seq - 1] = *g;
		d->grants[g->seq - 1].row = (struct row){.table = TABLE_GRANTS};
	}
	if (rows_changed(rows, TABLE_ACCOUNTS) != NULL) {
		d->account = *s->account;
		d->account.row = (struct row){.table = TABLE_ACCOUNTS};
	}
	return written;
}

static struct grants_row *loaded(struct slot *s, int64_t seq)
{
	for (struct grants_row *g = s->grants; g != NULL; g = (struct grants_row *)g->row.next)
		if (g->seq == seq)
			return g;
	return NULL;
}

/* A batch that changes the rest of a grant by so much.  Returns the number of rows of grants that were read or written. */
static int change(struct stored *d, int64_t seq, micros amount)
{
	struct slot *s;
	const bool read = load(d, &s);
	struct grants_row *g = loaded(s, seq);

	assert_non_null(g);
	g->remaining_micros += amount;
	rows_touch(rows, &g->row);
	rows_touch(rows, &s->account->row);
	return store(d, s) + (read ? d->count : 0);
}

static void check(const struct stored *d, int64_t current, int64_t beside, const micros *rests)
{
	assert_int_equal(d->account.current_grant_seq, current);
	assert_int_equal(d->account.grants_beside, beside);
	for (int i = 0; i < d->count; i++) {
		assert_int_equal(current_grant_remaining(&d->account, &d->grants[i]), rests[i]);
		/* Readers look for grants with a rest. */
		if (d->grants[i].seq == current)
			assert_true(d->grants[i].remaining_micros > 0);
	}
	if (current <= 0)
		return;
	assert_int_equal(d->account.current_type, d->grants[current - 1].type);
	assert_int_equal(d->account.current_priority, d->grants[current - 1].priority);
	assert_int_equal(d->account.current_expires_at_us, d->grants[current - 1].expires_at_us);
	assert_int_equal(d->account.current_amount_micros, d->grants[current - 1].amount_micros);
	assert_int_equal(d->account.current_created_at_us, d->grants[current - 1].created_at_us);
}

#define CHECK_STORED(d, current, beside, ...) check(d, current, beside, (const micros[]){__VA_ARGS__})

static void test_one_grant_is_neither_read_nor_written(void **state)
{
	struct stored d;
	struct slot *s;

	(void)state;
	make(&d, 1, (const micros[]){100});
	/* The first batch of an older account reads its row and copies it. */
	assert_int_equal(change(&d, 1, -10), 2);
	CHECK_STORED(&d, 1, 0, 90);
	for (int i = 1; i <= 8; i++) {
		assert_int_equal(change(&d, 1, -10), 0);
		CHECK_STORED(&d, 1, 0, 90 - 10 * i);
	}
	assert_int_equal(d.grants[0].remaining_micros, 90);
	assert_false(load(&d, &s));
	assert_int_equal(loaded(s, 1)->remaining_micros, 10);
	assert_int_equal(loaded(s, 1)->amount_micros, 100);
	assert_int_equal(loaded(s, 1)->row.change, ROW_CLEAN);
	/* The last of it. */
	assert_int_equal(change(&d, 1, -10), 1);
	CHECK_STORED(&d, CURRENT_GRANT_NONE, 0, 0);
	assert_int_equal(d.grants[0].remaining_micros, 0);
	assert_false(load(&d, &s));
	assert_null(s->grants);
}

static void test_next_grant_takes_over(void **state)
{
	struct stored d;

	(void)state;
	make(&d, 3, (const micros[]){30, 0, 100});
	change(&d, 1, -10);
	CHECK_STORED(&d, 1, 1, 20, 0, 100);
	change(&d, 1, -5);
	CHECK_STORED(&d, 1, 1, 15, 0, 100);
	assert_int_equal(d.grants[0].remaining_micros, 20);
	change(&d, 1, -15);
	CHECK_STORED(&d, 3, 0, 0, 0, 100);
	assert_int_equal(change(&d, 3, -1), 0);
	CHECK_STORED(&d, 3, 0, 0, 0, 99);
}

static void test_rest_of_a_grant_left_behind_is_written(void **state)
{
	struct stored d;
	struct slot *s;
	struct grants_row *g;

	(void)state;
	make(&d, 1, (const micros[]){100});
	change(&d, 1, -10);
	change(&d, 1, -10);
	assert_int_equal(d.grants[0].remaining_micros, 90);
	/* A grant of a higher priority is given, and nothing of the first is spent. */
	load(&d, &s);
	g = (struct grants_row *)rows_alloc(rows, TABLE_GRANTS);
	d.count = 2;
	make_grant(&d, g, 50);
	d.count = 1;
	g->priority = 1;
	rows_add(rows, s, &g->row);
	rows_touch(rows, &s->account->row);
	assert_int_equal(store(&d, s), 2);
	CHECK_STORED(&d, 2, 1, 80, 50);
	assert_int_equal(d.grants[0].remaining_micros, 80);
	/* A claw-back takes from the grant that is not current. */
	change(&d, 1, -80);
	CHECK_STORED(&d, 2, 0, 0, 50);
	assert_int_equal(change(&d, 2, -20), 0);
	CHECK_STORED(&d, 2, 0, 0, 30);
}

/* The terms of the current grant are counted in the copy, and written to its row when another grant takes over. */
static void test_terms_are_copied(void **state)
{
	struct stored d;
	struct slot *s;

	(void)state;
	make(&d, 2, (const micros[]){100, 100});
	d.grants[0].warned = 1;
	change(&d, 1, -10);
	assert_int_equal(d.account.current_warned, 1);
	load(&d, &s);
	loaded(s, 1)->warned = 2;
	rows_touch(rows, &loaded(s, 1)->row);
	assert_int_equal(store(&d, s), 0);
	assert_int_equal(d.account.current_warned, 2);
	load(&d, &s);
	assert_int_equal(loaded(s, 1)->warned, 2);
	change(&d, 1, -90);
	assert_int_equal(d.account.current_warned, 0);
	assert_int_equal(d.grants[0].warned, 2);
	change(&d, 2, -100);
	assert_int_equal(d.account.current_warned, 0);
}

static void test_given_back(void **state)
{
	struct stored d;
	struct slot *s;

	(void)state;
	make(&d, 2, (const micros[]){0, 60});
	change(&d, 2, -10);
	CHECK_STORED(&d, 2, 0, 0, 50);
	change(&d, 2, -10);
	/* A capture gives back to the first, which is read for that. */
	load(&d, &s);
	load_row(s, &d.grants[0].row);
	loaded(s, 1)->remaining_micros = 5;
	rows_touch(rows, &loaded(s, 1)->row);
	rows_touch(rows, &s->account->row);
	assert_int_equal(store(&d, s), 2);
	CHECK_STORED(&d, 1, 1, 5, 40);
	assert_int_equal(d.grants[1].remaining_micros, 40);
}

static void test_spent_and_given_back_within_a_batch(void **state)
{
	struct stored d;
	struct slot *s;

	(void)state;
	make(&d, 1, (const micros[]){40});
	change(&d, 1, -10);
	load(&d, &s);
	loaded(s, 1)->remaining_micros = 0;
	rows_touch(rows, &loaded(s, 1)->row);
	loaded(s, 1)->remaining_micros = 3;
	rows_touch(rows, &s->account->row);
	assert_int_equal(store(&d, s), 0);
	CHECK_STORED(&d, 1, 0, 3);
}

static void test_account_of_which_nothing_changed(void **state)
{
	struct stored d;
	struct slot *s;

	(void)state;
	make(&d, 1, (const micros[]){40});
	load(&d, &s);
	current_grant_note(rows, s);
	assert_false(rows_any_changed(rows));
	/* Grants that were not loaded are not copied. */
	s->grants_loaded = false;
	rows_touch(rows, &s->account->row);
	current_grant_note(rows, s);
	assert_int_equal(s->account->current_grant_seq, 0);
}

/* A copy that somebody has changed is no reason to stop: slot_check and the audit look at what it comes to. */
static void test_copies_that_make_no_sense(void **state)
{
	struct stored d;
	struct slot *s;

	(void)state;
	make(&d, 2, (const micros[]){40, 0});
	change(&d, 1, -10);
	d.account.current_grant_seq = -7;
	load(&d, &s);
	assert_null(s->grants);
	d.account.grants_beside = -1;
	assert_true(load(&d, &s));
	assert_int_equal(loaded(s, 1)->remaining_micros, 30);
	d.account.current_grant_seq = 2;
	load(&d, &s);
	assert_int_equal(loaded(s, 2)->remaining_micros, 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_grant_is_neither_read_nor_written),
		cmocka_unit_test(test_next_grant_takes_over),
		cmocka_unit_test(test_rest_of_a_grant_left_behind_is_written),
		cmocka_unit_test(test_terms_are_copied),
		cmocka_unit_test(test_given_back),
		cmocka_unit_test(test_spent_and_given_back_within_a_batch),
		cmocka_unit_test(test_account_of_which_nothing_changed),
		cmocka_unit_test(test_copies_that_make_no_sense),
	};

	return cmocka_run_group_tests(tests, start_rows, end_rows);
}
