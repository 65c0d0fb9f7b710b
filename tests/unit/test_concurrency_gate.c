#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "edge/concurrency_gate.h"

#define INSIDE_MAX 2
#define THREADS 5

struct visitors {
	struct turnstile turnstile;
	pthread_t thread[THREADS];
	atomic_int inside;
};

static void *visit(void *argument)
{
	struct visitors *v = argument;

	turnstile_enter(&v->turnstile);
	atomic_fetch_add(&v->inside, 1);
	return NULL;
}

static int parked(struct turnstile *t)
{
	int parked;

	lock_take(&t->lock);
	parked = t->parked;
	lock_give(&t->lock);
	return parked;
}

/* As many as may be are inside, the others parked. */
static void come(struct visitors *v)
{
	atomic_init(&v->inside, 0);
	turnstile_init(&v->turnstile, INSIDE_MAX);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&v->thread[i], NULL, visit, v), 0);
	while (parked(&v->turnstile) < THREADS - INSIDE_MAX || atomic_load(&v->inside) < INSIDE_MAX)
		;
	assert_int_equal(atomic_load(&v->inside), INSIDE_MAX);
}

static void end(struct visitors *v)
{
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(v->thread[i], NULL), 0);
	assert_int_equal(atomic_load(&v->inside), THREADS);
	turnstile_destroy(&v->turnstile);
}

/* One is called when the last has left, not before; so somebody always waits for events. */
static void test_the_last_to_leave_calls_one(void **state)
{
	struct visitors v;

	(void)state;
	come(&v);
	for (int left = THREADS - INSIDE_MAX; left > 0; left--) {
		const int inside = THREADS - left;

		while (v.turnstile.inside > 1) {
			turnstile_leave(&v.turnstile);
			assert_int_equal(parked(&v.turnstile), left);
		}
		turnstile_leave(&v.turnstile);
		assert_int_equal(parked(&v.turnstile), left - 1);
		while (atomic_load(&v.inside) <= inside)
			;
		assert_int_equal(atomic_load(&v.inside), inside + 1);
	}
	end(&v);
}

static void test_all_may_enter_once_it_is_open(void **state)
{
	struct visitors v;

	(void)state;
	come(&v);
	turnstile_open(&v.turnstile);
	end(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_last_to_leave_calls_one),
		cmocka_unit_test(test_all_may_enter_once_it_is_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
