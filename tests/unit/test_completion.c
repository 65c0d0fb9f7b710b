#include "unit.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/completion.h"

#define ROUNDS 5000

static void *ring(void *bell)
{
	bell_ring(bell);
	return NULL;
}

/* Rung before or after the wait begins, by another thread; and the memory may go at once. */
static void test_bell_rings(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct bell bell;
		pthread_t thread;

		bell_init(&bell);
		assert_int_equal(pthread_create(&thread, NULL, ring, &bell), 0);
		assert_true(bell_wait_until(&bell, i % 2 == 0 ? -1 : clock_monotonic_us() + 60 * CLOCK_US_PER_SECOND));
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_true(bell_wait_until(&bell, 0));
	}
}

static void test_bell_deadline_passes(void **state)
{
	int64_t deadline_us = clock_monotonic_us() + 20 * CLOCK_US_PER_MS;
	struct bell bell;

	(void)state;
	bell_init(&bell);
	assert_false(bell_wait_until(&bell, deadline_us));
	assert_true(clock_monotonic_us() >= deadline_us);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bell_rings),
		cmocka_unit_test(test_bell_deadline_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
