/*
 * The form of an UPDATE: without the seldom columns only if they are as they were read, in all rows of the batch.
 */
#include "unit.h"
#include "batch_rows.h"

#include "ledger/rows/table_sql.h"

/* An account that prefetch read. */
static struct accounts_row *load_account(unsigned char id)
{
	struct accounts_row *a = (struct accounts_row *)rows_alloc(rows, TABLE_ACCOUNTS);
	struct account_key key = {.bytes = {id}};

	memcpy(a->id, key.bytes, sizeof(a->id));
	a->external_id = "a";
	a->balance_micros = 5;
	a->hard_limit_micros = 7;
	assert_true(rows_load(rows, rows_slot(rows, &key), &a->row));
	return a;
}

static enum table_sql_form form(void)
{
	return table_sql_form(TABLE_ACCOUNTS, ROW_CHANGED, rows_changed(rows, TABLE_ACCOUNTS));
}

static bool says(struct buf *sql, const char *word)
{
	assert_true(buf_ok(sql));
	return strstr(buf_text(sql), word) != NULL;
}

static void test_usual_change(void **state)
{
	struct accounts_row *a;
	struct buf sql;

	(void)state;
	rows_reset(rows);
	a = load_account(1);
	a->balance_micros = 4;
	rows_touch(rows, &a->row);
	assert_int_equal(form(), TABLE_SQL_USUAL);
	buf_init(&sql, 1 << 16);
	table_sql_write(&sql, TABLE_ACCOUNTS, ROW_CHANGED, rows_changed(rows, TABLE_ACCOUNTS));
	assert_true(says(&sql, "balance_micros=VALUES(balance_micros)"));
	assert_false(says(&sql, "hard_limit_micros"));
	buf_free(&sql);
}

/* Each seldom column alone makes the whole row be written. */
static void test_each_seldom_column(void **state)
{
	const struct table *t = table_of(TABLE_ACCOUNTS);
	int seldom = 0;

	(void)state;
	for (int i = 0; i < t->column_count; i++) {
		struct accounts_row *a;
		struct buf sql;

		if (t->columns[i].role != COLUMN_SELDOM)
			continue;
		seldom++;
		rows_reset(rows);
		a = load_account(1);
		assert_int_equal(t->columns[i].type, COLUMN_INT);
		*(int64_t *)(void *)((char *)a + t->columns[i].offset) += 1;
		rows_touch(rows, &a->row);
		assert_int_equal(form(), TABLE_SQL_UPDATE);
		buf_init(&sql, 1 << 16);
		table_sql_write(&sql, TABLE_ACCOUNTS, ROW_CHANGED, rows_changed(rows, TABLE_ACCOUNTS));
		assert_true(says(&sql, t->columns[i].name));
		buf_free(&sql);
	}
	assert_true(seldom > 10);
}

static void test_one_of_several_rows(void **state)
{
	struct accounts_row *first, *second;

	(void)state;
	rows_reset(rows);
	first = load_account(1);
	second = load_account(2);
	first->balance_micros = 4;
	second->hard_limit_micros = 8;
	rows_touch(rows, &first->row);
	rows_touch(rows, &second->row);
	assert_int_equal(form(), TABLE_SQL_UPDATE);
	second->hard_limit_micros = 7; /* changed back */
	assert_int_equal(form(), TABLE_SQL_USUAL);
}

/* A table without seldom columns has one form. */
static void test_table_without_seldom(void **state)
{
	struct account_key key = {.bytes = {1}};
	struct grants_row *g;
	struct slot *s;

	(void)state;
	rows_reset(rows);
	load_account(1);
	s = rows_slot(rows, &key);
	g = (struct grants_row *)rows_alloc(rows, TABLE_GRANTS);
	memcpy(g->account_id, key.bytes, sizeof(g->account_id));
	g->seq = 1;
	g->remaining_micros = 5;
	assert_true(rows_load(rows, s, &g->row));
	g->remaining_micros = 4;
	rows_touch(rows, &g->row);
	assert_int_equal(table_sql_form(TABLE_GRANTS, ROW_CHANGED, rows_changed(rows, TABLE_GRANTS)), TABLE_SQL_UPDATE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usual_change),
		cmocka_unit_test(test_each_seldom_column),
		cmocka_unit_test(test_one_of_several_rows),
		cmocka_unit_test(test_table_without_seldom),
	};

	return cmocka_run_group_tests(tests, start_rows, end_rows);
}
