#include "unit.h"

#include "base/clock.h"
#include "base/lock.h"
#include "worker/threads.h"

#define PATIENCE_US (20 * CLOCK_US_PER_SECOND)

/* The steps of a test, as they were seen. */
struct seen {
	struct lock lock;
	struct signal_cond changed;
	int left;                /* pieces of work that are left */
	int together;            /* steps that hold a piece until open */
	int rounds[THREADS_MAX]; /* by thread */
	bool open, wake;
};

static void seen_init(struct seen *s, int left)
{
	memset(s, 0, sizeof(*s));
	lock_init(&s->lock);
	cond_init(&s->changed);
	s->left = left;
}

/* Waits until the number is at least `least`. */
static void seen_wait(struct seen *s, const int *number, int least)
{
	lock_take(&s->lock);
	while (*number < least)
		(void)cond_wait_until(&s->changed, &s->lock, -1);
	lock_give(&s->lock);
}

static void seen_open(struct seen *s)
{
	lock_take(&s->lock);
	s->open = true;
	cond_broadcast(&s->changed);
	lock_give(&s->lock);
}

/* Takes a piece of work, and holds it until the test lets go. */
static int hold_piece(struct threads *t, int thread, void *context)
{
	struct seen *s = context;
	int took;

	lock_take(&s->lock);
	s->rounds[thread]++;
	took = s->left > 0 ? 1 : 0;
	s->left -= took;
	s->together += took;
	cond_broadcast(&s->changed);
	lock_give(&s->lock);
	if (took > 0 && s->wake)
		threads_wake(t);
	lock_take(&s->lock);
	while (took > 0 && !s->open)
		(void)cond_wait_until(&s->changed, &s->lock, -1);
	lock_give(&s->lock);
	return took;
}

static struct threads *start(struct seen *s, int count, int apart)
{
	struct threads *t = threads_start(&(struct threads_options){
		.part = "test", .count = count, .apart = apart, .step = hold_piece, .context = s});

	assert_int_equal(threads_count(t), count);
	return t;
}

/* Each thread is in a step at the same time as the others, because each piece of work wakes another thread. */
static void test_work_wakes_the_other_threads(void **state)
{
	struct seen s;
	struct threads *t;

	(void)state;
	seen_init(&s, 5);
	s.wake = true;
	t = start(&s, 5, 0);
	seen_wait(&s, &s.together, 5);
	seen_open(&s);
	assert_true(threads_stop(t, clock_monotonic_us() + PATIENCE_US));
	assert_int_equal(s.left, 0);
}

/* A thread that holds its piece keeps none of those apart from theirs. */
static void test_threads_apart_look_without_being_woken(void **state)
{
	struct seen s;
	struct threads *t;

	(void)state;
	seen_init(&s, 1);
	t = start(&s, 3, 2);
	seen_wait(&s, &s.together, 1);
	seen_open(&s);
	for (int thread = 0; thread < 3; thread++)
		seen_wait(&s, &s.rounds[thread], 3);
	assert_true(threads_stop(t, clock_monotonic_us() + PATIENCE_US));
}

static void test_stop_gives_up_at_its_deadline(void **state)
{
	struct seen s;
	struct threads *t;

	(void)state;
	seen_init(&s, 1);
	t = start(&s, 1, 0);
	seen_wait(&s, &s.together, 1);
	assert_false(threads_stop(t, clock_monotonic_us() + 10 * CLOCK_US_PER_MS));
	seen_open(&s);
	assert_true(threads_stop(t, clock_monotonic_us() + PATIENCE_US));
	assert_true(threads_stop(NULL, 0));
	assert_int_equal(threads_count(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_work_wakes_the_other_threads),
		cmocka_unit_test(test_threads_apart_look_without_being_woken),
		cmocka_unit_test(test_stop_gives_up_at_its_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
