#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "edge/concurrency_gate.h"

#define INSIDE_MAX 2
#define THREADS 5

struct threads {
	struct concurrency_gate gate;
	pthread_t thread[THREADS];
	atomic_int inside;
};

static void *enter(void *argument)
{
	struct threads *t = argument;

	concurrency_gate_enter(&t->gate);
	atomic_fetch_add(&t->inside, 1);
	return NULL;
}

static int parked(struct concurrency_gate *g)
{
	int parked;

	lock_take(&g->lock);
	parked = g->parked;
	lock_give(&g->lock);
	return parked;
}

/* As many threads as may are inside, the others parked. */
static void start(struct threads *t)
{
	atomic_init(&t->inside, 0);
	concurrency_gate_init(&t->gate, INSIDE_MAX);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t->thread[i], NULL, enter, t), 0);
	while (parked(&t->gate) < THREADS - INSIDE_MAX || atomic_load(&t->inside) < INSIDE_MAX)
		;
	assert_int_equal(atomic_load(&t->inside), INSIDE_MAX);
}

static void end(struct threads *t)
{
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(t->thread[i], NULL), 0);
	assert_int_equal(atomic_load(&t->inside), THREADS);
	concurrency_gate_destroy(&t->gate);
}

/* One is called when the last has left, not before; so one thread always waits for events. */
static void test_the_last_to_leave_calls_one(void **state)
{
	struct threads t;

	(void)state;
	start(&t);
	for (int left = THREADS - INSIDE_MAX; left > 0; left--) {
		const int inside = THREADS - left;

		while (t.gate.inside > 1) {
			concurrency_gate_leave(&t.gate);
			assert_int_equal(parked(&t.gate), left);
		}
		concurrency_gate_leave(&t.gate);
		assert_int_equal(parked(&t.gate), left - 1);
		while (atomic_load(&t.inside) <= inside)
			;
		assert_int_equal(atomic_load(&t.inside), inside + 1);
	}
	end(&t);
}

static void test_all_may_enter_once_it_is_open(void **state)
{
	struct threads t;

	(void)state;
	start(&t);
	concurrency_gate_open(&t.gate);
	end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_last_to_leave_calls_one),
		cmocka_unit_test(test_all_may_enter_once_it_is_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
