#include "unit.h"

#include "base/clock.h"
#include "edge/exchange.h"

#define THREADS 2
#define LATER_MAX 3

/* The exchange that was given back last is taken first, so those that nobody ever needed stay untouched. */
static void test_the_last_given_is_the_next_taken(void **state)
{
	struct exchanges *pool = exchanges_new(THREADS, LATER_MAX);
	struct exchange *first, *second;

	(void)state;
	first = exchanges_take(pool);
	for (int i = 0; i < 3; i++) {
		exchanges_give(pool, first);
		assert_ptr_equal(exchanges_take(pool), first);
	}
	second = exchanges_take(pool);
	assert_ptr_not_equal(second, first);
	exchanges_give(pool, first);
	exchanges_give(pool, second);
	assert_ptr_equal(exchanges_take(pool), second);
	exchanges_give(pool, second);
	exchanges_free(pool);
}

/* However many are left for later, each thread has one; and those are no more than may be. */
static void test_so_many_may_be_left(void **state)
{
	struct exchanges *pool = exchanges_new(THREADS, LATER_MAX);
	struct exchange *left[LATER_MAX], *own[THREADS];

	(void)state;
	for (int i = 0; i < LATER_MAX; i++) {
		left[i] = exchanges_take(pool);
		assert_true(exchanges_leave(pool, left[i]));
	}
	for (int i = 0; i < THREADS; i++)
		own[i] = exchanges_take(pool);
	assert_false(exchanges_leave(pool, own[0]));
	exchanges_give(pool, left[0]);
	assert_true(exchanges_leave(pool, own[0]));
	left[0] = exchanges_take(pool);
	assert_false(exchanges_leave(pool, left[0]));
	assert_false(exchanges_back_until(pool, clock_monotonic_us()));
	for (int i = 0; i < LATER_MAX; i++)
		exchanges_give(pool, left[i]);
	for (int i = 0; i < THREADS; i++)
		exchanges_give(pool, own[i]);
	assert_true(exchanges_back_until(pool, clock_monotonic_us()));
	exchanges_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_last_given_is_the_next_taken),
		cmocka_unit_test(test_so_many_may_be_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
