#include "unit.h"

#include "base/buf.h"

static void test_empty(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_string_equal(buf_text(&b), "");
	assert_null(b.data);
	assert_true(buf_ok(&b));
	buf_add(&b, NULL, 0);
	assert_string_equal(buf_text(&b), "");
	buf_free(&b);
	buf_free(&b);
}

static void test_all_kinds(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	buf_add_text(&b, "text ");
	buf_add_char(&b, 'c');
	buf_add_char(&b, ' ');
	buf_add_int(&b, INT64_MIN);
	buf_add_char(&b, ' ');
	buf_add_int(&b, INT64_MAX);
	buf_add_char(&b, ' ');
	buf_add_int(&b, 0);
	buf_add_char(&b, ' ');
	buf_add_hex(&b, "\x00\x0f\xa5\xff", 4);
	buf_printf(&b, " %s=%d", "x", 7);
	assert_true(buf_ok(&b));
	assert_string_equal(buf_text(&b), "text c -9223372036854775808 9223372036854775807 0 000fa5ff x=7");
	assert_int_equal(b.length, strlen(buf_text(&b)));
	buf_free(&b);
}

static void test_integers(void **state)
{
	(void)state;
	for (int bit = 0; bit < 64; bit++) {
		for (int delta = -1; delta <= 1; delta++) {
			int64_t value = (int64_t)((UINT64_C(1) << bit) + (uint64_t)(int64_t)delta);
			char expected[32];
			struct buf b;

			buf_init(&b, 32);
			buf_add_int(&b, value);
			snprintf(expected, sizeof(expected), "%lld", (long long)value);
			assert_string_equal(buf_text(&b), expected);
			buf_free(&b);
		}
	}
}

static void test_bytes_are_kept(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	buf_add(&b, "a\0b", 3);
	assert_int_equal(b.length, 3);
	assert_memory_equal(b.data, "a\0b\0", 4);
	buf_free(&b);
}

static void test_exactly_the_maximum(void **state)
{
	struct buf b;

	(void)state;
	for (size_t max = 0; max < 600; max++) {
		buf_init(&b, max);
		for (size_t i = 0; i < max; i++)
			buf_add_char(&b, 'x');
		assert_true(buf_ok(&b));
		assert_int_equal(b.length, max);
		assert_int_equal(strlen(buf_text(&b)), max);
		buf_add_char(&b, 'y');
		assert_false(buf_ok(&b));
		assert_int_equal(b.length, max);
		buf_free(&b);
	}
}

static void test_failed_stays_failed(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	buf_add_text(&b, "abc");
	buf_add_text(&b, "def");
	assert_false(buf_ok(&b));
	buf_add_text(&b, "d");
	buf_add_int(&b, 1);
	buf_add_hex(&b, "x", 1);
	buf_printf(&b, "%d", 1);
	assert_string_equal(buf_text(&b), "abc");
	buf_reset(&b);
	assert_true(buf_ok(&b));
	assert_string_equal(buf_text(&b), "");
	buf_add_text(&b, "fghij");
	assert_string_equal(buf_text(&b), "fghij");
	buf_free(&b);
}

static void test_each_kind_keeps_to_the_maximum(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 3);
	buf_add_hex(&b, "ab", 2);
	assert_false(buf_ok(&b));
	buf_reset(&b);
	buf_add_hex(&b, "ab", SIZE_MAX / 2 + 2); /* twice as many would wrap */
	assert_false(buf_ok(&b));
	buf_reset(&b);
	buf_add(&b, "ab", SIZE_MAX);
	assert_false(buf_ok(&b));
	buf_reset(&b);
	buf_add_int(&b, 1234);
	assert_false(buf_ok(&b));
	buf_reset(&b);
	buf_printf(&b, "%04d", 1);
	assert_false(buf_ok(&b));
	buf_reset(&b);
	buf_printf(&b, "%03d", 1);
	assert_true(buf_ok(&b));
	assert_string_equal(buf_text(&b), "001");
	buf_free(&b);
}

static void test_growth(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	for (int i = 0; i < 100000; i++)
		buf_printf(&b, "%d,", i % 10);
	assert_true(buf_ok(&b));
	assert_int_equal(b.length, 200000);
	assert_memory_equal(b.data + 199980, "0,1,2,3,4,5,6,7,8,9,", 21);
	buf_free(&b);
}

static void init_without_maximum(void)
{
	struct buf b;

	buf_init(&b, SIZE_MAX);
}

static void test_maximum_is_needed(void **state)
{
	(void)state;
	assert_true(aborts(init_without_maximum));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_all_kinds),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_bytes_are_kept),
		cmocka_unit_test(test_exactly_the_maximum),
		cmocka_unit_test(test_failed_stays_failed),
		cmocka_unit_test(test_each_kind_keeps_to_the_maximum),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_maximum_is_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
