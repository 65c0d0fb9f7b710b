#include "unit.h"

#include "db/sql.h"

static void test_integers(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 256);
	sql_int(&b, INT64_MIN);
	sql_literal(&b, ",");
	sql_int(&b, 0);
	sql_literal(&b, ",");
	sql_int(&b, INT64_MAX);
	assert_string_equal(buf_text(&b), "-9223372036854775808,0,9223372036854775807");
	buf_free(&b);
}

static void test_text_never_reaches_the_statement(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 256);
	sql_text(&b, "'; DROP TABLE accounts; -- \\\xc3\xa9");
	assert_string_equal(buf_text(&b), "0x273b2044524f50205441424c45206163636f756e74733b202d2d205cc3a9");
	buf_free(&b);
}

static void test_bytes(void **state)
{
	static const unsigned char bytes[] = {0x00, 0x27, 0xff};
	struct buf b;

	(void)state;
	buf_init(&b, 256);
	sql_bytes(&b, bytes, sizeof(bytes));
	sql_literal(&b, " ");
	sql_bytes(&b, bytes, 0);
	sql_literal(&b, " ");
	sql_text(&b, "");
	assert_string_equal(buf_text(&b), "0x0027ff '' ''");
	buf_free(&b);
}

static void test_too_long_fails_the_buffer(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 8);
	sql_text(&b, "abcd");
	assert_false(buf_ok(&b));
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_text_never_reaches_the_statement),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_too_long_fails_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
