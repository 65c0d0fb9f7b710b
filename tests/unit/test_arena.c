#include "unit.h"

#include "base/arena.h"

static void test_zeroed_and_aligned(void **state)
{
	struct arena *a = arena_new(1 << 20);

	(void)state;
	assert_non_null(a);
	for (int round = 0; round < 3; round++) {
		for (size_t bytes = 0; bytes < 300; bytes++) {
			unsigned char *p = arena_alloc(a, bytes);

			assert_non_null(p);
			assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
			for (size_t i = 0; i < bytes; i++)
				assert_int_equal(p[i], 0);
			memset(p, 0xff, bytes); /* seen again if a reset did not clear */
		}
		arena_reset(a);
	}
	arena_free(a);
}

static void test_nothing_overlaps(void **state)
{
	enum { COUNT = 200 };
	struct arena *a = arena_new(8 << 20);
	unsigned char *pieces[COUNT];

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		pieces[i] = arena_alloc(a, i * 150 + 1);
		assert_non_null(pieces[i]);
		memset(pieces[i], (int)i, i * 150 + 1);
	}
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(pieces[i][0], i);
		assert_int_equal(pieces[i][i * 150], i);
	}
	arena_free(a);
}

static void test_maximum(void **state)
{
	struct arena *a = arena_new(1000);

	(void)state;
	assert_null(arena_alloc(a, 1009));
	assert_non_null(arena_alloc(a, 1000));
	assert_null(arena_alloc(a, 16));
	assert_null(arena_alloc(a, 0));
	arena_reset(a);
	assert_non_null(arena_alloc(a, 500));
	assert_non_null(arena_alloc(a, 480));
	assert_null(arena_alloc(a, 100));
	arena_free(a);
}

static void test_sizes_that_would_wrap(void **state)
{
	struct arena *a = arena_new(1 << 20);

	(void)state;
	assert_null(arena_alloc(a, SIZE_MAX));
	assert_null(arena_alloc(a, SIZE_MAX - 15));
	assert_null(arena_alloc(a, SIZE_MAX / 2));
	assert_null(arena_copy(a, "x", SIZE_MAX));
	assert_non_null(arena_alloc(a, 1));
	arena_free(a);
}

static void test_blocks_of_all_sizes(void **state)
{
	struct arena *a = arena_new(4 << 20);

	(void)state;
	for (int round = 0; round < 3; round++) {
		char *large;

		assert_non_null(arena_alloc(a, 10));
		large = arena_alloc(a, 1 << 20);
		assert_non_null(large);
		large[(1 << 20) - 1] = 'x';
		assert_non_null(arena_alloc(a, 70000));
		assert_non_null(arena_alloc(a, 10));
		assert_null(arena_alloc(a, 3 << 20));
		arena_reset(a);
	}
	arena_free(a);
}

static void test_copy(void **state)
{
	struct arena *a = arena_new(96);
	char *copy = arena_copy(a, "a\0bcd", 4);

	(void)state;
	assert_memory_equal(copy, "a\0bc\0", 5);
	assert_string_equal(arena_copy(a, NULL, 0), "");
	assert_null(arena_copy(a,
	                       "0123456789012345678901234567890123456789"
	                       "012345678901234567890123456789",
	                       70));
	arena_free(a);
	arena_free(NULL);
}

static void test_holds_what_it_has_handed_out(void **state)
{
	struct arena *a = arena_new(1 << 20);
	char *small = arena_alloc(a, 16), *large = arena_alloc(a, 100000);
	char other;

	(void)state;
	assert_true(arena_holds(a, small) && arena_holds(a, small + 15));
	assert_true(arena_holds(a, large) && arena_holds(a, large + 99999));
	assert_false(arena_holds(a, small + 16) || arena_holds(a, &other) || arena_holds(a, NULL));
	arena_reset(a);
	assert_false(arena_holds(a, small));
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroed_and_aligned),
		cmocka_unit_test(test_nothing_overlaps),
		cmocka_unit_test(test_maximum),
		cmocka_unit_test(test_sizes_that_would_wrap),
		cmocka_unit_test(test_blocks_of_all_sizes),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_holds_what_it_has_handed_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
