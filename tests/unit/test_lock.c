#include "unit.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/lock.h"

#define THREADS 8
#define ROUNDS 5000

static struct {
	struct lock lock;
	struct signal_cond changed;
	int count;
	int waiting;
	bool open;
} shared;

static int setup(void **state)
{
	(void)state;
	lock_init(&shared.lock);
	cond_init(&shared.changed);
	shared.count = 0;
	shared.waiting = 0;
	shared.open = false;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cond_destroy(&shared.changed);
	lock_destroy(&shared.lock);
	return 0;
}

static void *add_rounds(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		lock_take(&shared.lock);
		lock_assert_held(&shared.lock);
		shared.count++;
		lock_give(&shared.lock);
	}
	return NULL;
}

static void test_excludes(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_rounds, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(shared.count, THREADS * ROUNDS);
}

static void *wait_for_open(void *unused)
{
	(void)unused;
	lock_take(&shared.lock);
	shared.waiting++;
	cond_broadcast(&shared.changed);
	while (!shared.open)
		CHECK(cond_wait_until(&shared.changed, &shared.lock, -1));
	lock_assert_held(&shared.lock);
	shared.waiting--;
	lock_give(&shared.lock);
	return NULL;
}

static void test_broadcast_wakes_all(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wait_for_open, NULL), 0);
	lock_take(&shared.lock);
	while (shared.waiting < THREADS)
		cond_wait_until(&shared.changed, &shared.lock, -1);
	shared.open = true;
	cond_broadcast(&shared.changed);
	lock_give(&shared.lock);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(shared.waiting, 0);
}

static void *signal_open(void *unused)
{
	(void)unused;
	lock_take(&shared.lock);
	shared.open = true;
	cond_signal(&shared.changed);
	lock_give(&shared.lock);
	return NULL;
}

static void test_signal_before_the_deadline(void **state)
{
	int64_t deadline = clock_monotonic_us() + 60 * CLOCK_US_PER_SECOND;
	pthread_t thread;

	(void)state;
	lock_take(&shared.lock);
	assert_int_equal(pthread_create(&thread, NULL, signal_open, NULL), 0);
	while (!shared.open)
		assert_true(cond_wait_until(&shared.changed, &shared.lock, deadline));
	lock_give(&shared.lock);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_deadline_passes(void **state)
{
	int64_t deadline = clock_monotonic_us() + 20 * CLOCK_US_PER_MS;

	(void)state;
	lock_take(&shared.lock);
	while (cond_wait_until(&shared.changed, &shared.lock, deadline))
		;
	assert_true(clock_monotonic_us() >= deadline);
	lock_assert_held(&shared.lock);
	assert_false(cond_wait_until(&shared.changed, &shared.lock, 0)); /* long past */
	assert_false(cond_wait_until(&shared.changed, &shared.lock, deadline));
	lock_give(&shared.lock);
}

static void assert_unheld(void)
{
	lock_assert_held(&shared.lock);
}

static void give_unheld(void)
{
	lock_give(&shared.lock);
}

static void take_twice(void)
{
	lock_take(&shared.lock);
	lock_take(&shared.lock);
}

static void destroy_held(void)
{
	lock_take(&shared.lock);
	lock_destroy(&shared.lock);
}

static void wait_unheld(void)
{
	cond_wait_until(&shared.changed, &shared.lock, 0);
}

static void *assert_held_by_another(void *unused)
{
	(void)unused;
	lock_assert_held(&shared.lock);
	return NULL;
}

static void held_by_another(void)
{
	pthread_t thread;

	lock_take(&shared.lock);
	if (pthread_create(&thread, NULL, assert_held_by_another, NULL) == 0)
		pthread_join(thread, NULL);
}

static void test_misuse_aborts(void **state)
{
	(void)state;
	assert_true(aborts(assert_unheld));
	assert_true(aborts(give_unheld));
	assert_true(aborts(take_twice));
	assert_true(aborts(destroy_held));
	assert_true(aborts(wait_unheld));
	assert_true(aborts(held_by_another));
}

static void test_no_longer_held(void **state)
{
	(void)state;
	lock_take(&shared.lock);
	lock_give(&shared.lock);
	assert_true(aborts(assert_unheld));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_excludes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broadcast_wakes_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_signal_before_the_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline_passes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_misuse_aborts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_longer_held, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
