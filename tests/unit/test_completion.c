#include "unit.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/completion.h"

#define ROUNDS 5000

static void *complete(void *completion)
{
	completion_signal(completion);
	return NULL;
}

/* Another thread signals before or after the wait begins; and the memory may go at once. */
static void test_completion_wakes(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		const int64_t late_us = clock_monotonic_us() + 60 * CLOCK_US_PER_SECOND;
		struct completion completion;
		pthread_t thread;

		completion_init(&completion);
		assert_int_equal(pthread_create(&thread, NULL, complete, &completion), 0);
		assert_true(completion_wait_until(&completion, i % 2 == 0 ? -1 : late_us));
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_true(completion_wait_until(&completion, 0));
	}
}

static void test_completion_deadline_passes(void **state)
{
	int64_t deadline_us = clock_monotonic_us() + 20 * CLOCK_US_PER_MS;
	struct completion completion;

	(void)state;
	completion_init(&completion);
	assert_false(completion_wait_until(&completion, deadline_us));
	assert_true(clock_monotonic_us() >= deadline_us);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_completion_wakes),
		cmocka_unit_test(test_completion_deadline_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
