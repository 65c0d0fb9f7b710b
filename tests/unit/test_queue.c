#include "unit.h"

#include <pthread.h>

#include "base/clock.h"
#include "ledger/queue.h"

#define QUEUE_MAX 8
#define LATE_US (20 * CLOCK_US_PER_MS)
#define FOREVER_US (clock_monotonic_us() + 3600 * CLOCK_US_PER_SECOND)

static void count_call(struct waiter *w)
{
	(*(int *)w->context)++;
}

static struct waiter posted(struct command *command, int *calls, int64_t deadline_us)
{
	return (struct waiter){
		.commands = command, .count = 1, .deadline_us = deadline_us, .done = count_call, .context = calls};
}

/* A queue whose first comer leads, and is at work for itself. */
static struct waiter *begin(struct queue *q, struct waiter *first)
{
	int commands;

	queue_init(q, QUEUE_MAX, 1, true);
	assert_int_equal(queue_post(q, first), QUEUE_LEAD);
	assert_ptr_equal(queue_take(q, QUEUE_MAX, &commands), first);
	return first;
}

struct lane {
	struct queue *queue;
	struct waiter *late;
	bool go_on;
};

static void *lane(void *argument)
{
	struct lane *l = argument;

	l->go_on = queue_lead(l->queue, &l->late);
	return NULL;
}

static struct lane run_lane(struct queue *q)
{
	struct lane l = {.queue = q};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, lane, &l), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	return l;
}

/* While a leader is stuck, a lane takes out those that are late, and only those. */
static void test_late_ones_are_taken_out_while_another_leads(void **state)
{
	struct command command;
	int calls = 0, commands;
	struct waiter first = posted(&command, &calls, clock_monotonic_us());
	struct waiter waits = posted(&command, &calls, FOREVER_US);
	struct waiter late = posted(&command, &calls, clock_monotonic_us() + LATE_US);
	struct waiter late_too = posted(&command, &calls, clock_monotonic_us() + LATE_US);
	struct waiter last = posted(&command, &calls, FOREVER_US);
	struct waiter *taken;
	struct queue q;
	struct lane l;

	(void)state;
	taken = begin(&q, &first);
	assert_int_equal(queue_post(&q, &late), QUEUE_QUEUED);
	assert_int_equal(queue_post(&q, &waits), QUEUE_QUEUED);
	assert_int_equal(queue_post(&q, &late_too), QUEUE_QUEUED);

	while (clock_monotonic_us() <= late_too.deadline_us)
		;
	l = run_lane(&q);
	assert_true(l.go_on);
	assert_ptr_equal(l.late, &late);
	assert_ptr_equal(late.next, &late_too);
	assert_null(late_too.next);
	assert_int_equal(queue_waiting(&q), 1);
	assert_int_equal(queue_post(&q, &last), QUEUE_QUEUED);

	queue_finish(&q, taken, NULL);
	assert_int_equal(calls, 1);
	l = run_lane(&q); /* it was called to lead */
	assert_true(l.go_on);
	assert_null(l.late);
	taken = queue_take(&q, QUEUE_MAX, &commands);
	assert_ptr_equal(taken, &waits);
	assert_ptr_equal(waits.next, &last);
	queue_finish(&q, taken, NULL);
	assert_int_equal(calls, 3);
	queue_destroy(&q);
}

/* It waits for them: none is late when it comes. */
static void test_a_lane_waits_until_one_is_late(void **state)
{
	struct command command;
	int calls = 0;
	struct waiter first = posted(&command, &calls, FOREVER_US);
	struct waiter late = posted(&command, &calls, 0);
	struct queue q;
	struct lane l;

	(void)state;
	begin(&q, &first);
	late.deadline_us = clock_monotonic_us() + LATE_US;
	assert_int_equal(queue_post(&q, &late), QUEUE_QUEUED);
	l = run_lane(&q);
	assert_true(clock_monotonic_us() >= late.deadline_us);
	assert_ptr_equal(l.late, &late);
	queue_finish(&q, &first, NULL);
	queue_destroy(&q);
}

/* One that came late while all are late leaves nobody to lead. */
static void test_a_leader_finds_nobody_left(void **state)
{
	struct command command;
	int calls = 0, commands;
	struct waiter first = posted(&command, &calls, FOREVER_US);
	struct waiter late = posted(&command, &calls, 0);
	struct queue q;

	(void)state;
	begin(&q, &first);
	assert_int_equal(queue_post(&q, &late), QUEUE_QUEUED);
	assert_ptr_equal(run_lane(&q).late, &late);
	queue_finish(&q, &first, NULL);
	assert_int_equal(queue_post(&q, &first), QUEUE_LEAD);
	assert_ptr_equal(queue_take(&q, QUEUE_MAX, &commands), &first);
	queue_finish(&q, &first, NULL);
	queue_close(&q);
	assert_false(run_lane(&q).go_on);
	queue_destroy(&q);
}

/* While its batch is under way the next one leads; no more than two batches are, and whoever finishes calls then. */
static void test_a_leader_passes(void **state)
{
	struct command command;
	int calls = 0, commands;
	struct waiter w[4];
	struct queue q;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		w[i] = posted(&command, &calls, FOREVER_US);
	queue_init(&q, QUEUE_MAX, 2, true);
	assert_int_equal(queue_post(&q, &w[0]), QUEUE_LEAD);
	assert_ptr_equal(queue_take(&q, QUEUE_MAX, &commands), &w[0]);
	queue_pass(&q, &w[0], 1);
	assert_true(q.led); /* nobody waits */
	queue_pass(&q, &w[0], 0);
	assert_int_equal(queue_post(&q, &w[1]), QUEUE_LEAD);
	queue_pass(&q, &w[0], 0); /* it has passed */
	assert_true(q.led);
	assert_ptr_equal(queue_take(&q, QUEUE_MAX, &commands), &w[1]);
	assert_int_equal(queue_post(&q, &w[2]), QUEUE_QUEUED);
	queue_pass(&q, &w[1], 1);
	assert_false(q.vacant); /* two are under way */
	assert_int_equal(queue_post(&q, &w[3]), QUEUE_QUEUED);
	queue_finish(&q, &w[0], NULL);
	assert_int_equal(calls, 1);
	assert_true(run_lane(&q).go_on);
	assert_ptr_equal(queue_take(&q, QUEUE_MAX, &commands), &w[2]);
	assert_int_equal(commands, 2);
	queue_finish(&q, &w[1], NULL);
	queue_finish(&q, &w[2], NULL);
	assert_int_equal(calls, 4);
	queue_destroy(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late_ones_are_taken_out_while_another_leads),
		cmocka_unit_test(test_a_lane_waits_until_one_is_late),
		cmocka_unit_test(test_a_leader_finds_nobody_left),
		cmocka_unit_test(test_a_leader_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
