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

/* A queue whose first waiter leads, and is at work for itself. */
static struct waiter *begin(struct queue *q, struct waiter *first)
{
	int commands;

	queue_init(q, QUEUE_MAX, 1, true);
	assert_int_equal(queue_post(q, first), QUEUE_LEAD);
	assert_ptr_equal(queue_take(q, QUEUE_MAX, &commands), first);
	return first;
}

struct commit_thread {
	struct queue *queue;
	struct waiter *late;
	bool go_on;
};

static void *lead(void *argument)
{
	struct commit_thread *t = argument;

	t->go_on = queue_lead(t->queue, &t->late);
	return NULL;
}

static struct commit_thread run_commit_thread(struct queue *q)
{
	struct commit_thread t = {.queue = q};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, lead, &t), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	return t;
}

/* While a leader is stuck, a commit thread takes the late waiters out, and no others. */
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
	struct commit_thread t;

	(void)state;
	taken = begin(&q, &first);
	assert_int_equal(queue_post(&q, &late), QUEUE_QUEUED);
	assert_int_equal(queue_post(&q, &waits), QUEUE_QUEUED);
	assert_int_equal(queue_post(&q, &late_too), QUEUE_QUEUED);

	while (clock_monotonic_us() <= late_too.deadline_us)
		;
	t = run_commit_thread(&q);
	assert_true(t.go_on);
	assert_ptr_equal(t.late, &late);
	assert_ptr_equal(late.next, &late_too);
	assert_null(late_too.next);
	assert_int_equal(queue_waiting(&q), 1);
	assert_int_equal(queue_post(&q, &last), QUEUE_QUEUED);

	queue_finish(&q, taken, NULL);
	assert_int_equal(calls, 1);
	t = run_commit_thread(&q); /* it was called to lead */
	assert_true(t.go_on);
	assert_null(t.late);
	taken = queue_take(&q, QUEUE_MAX, &commands);
	assert_ptr_equal(taken, &waits);
	assert_ptr_equal(waits.next, &last);
	queue_finish(&q, taken, NULL);
	assert_int_equal(calls, 3);
	queue_destroy(&q);
}

/* No waiter is late when the commit thread looks first. */
static void test_a_commit_thread_waits_until_one_is_late(void **state)
{
	struct command command;
	int calls = 0;
	struct waiter first = posted(&command, &calls, FOREVER_US);
	struct waiter late = posted(&command, &calls, 0);
	struct queue q;
	struct commit_thread t;

	(void)state;
	begin(&q, &first);
	late.deadline_us = clock_monotonic_us() + LATE_US;
	assert_int_equal(queue_post(&q, &late), QUEUE_QUEUED);
	t = run_commit_thread(&q);
	assert_true(clock_monotonic_us() >= late.deadline_us);
	assert_ptr_equal(t.late, &late);
	queue_finish(&q, &first, NULL);
	queue_destroy(&q);
}

/* Once all waiters were late, none is left to lead. */
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
	assert_ptr_equal(run_commit_thread(&q).late, &late);
	queue_finish(&q, &first, NULL);
	assert_int_equal(queue_post(&q, &first), QUEUE_LEAD);
	assert_ptr_equal(queue_take(&q, QUEUE_MAX, &commands), &first);
	queue_finish(&q, &first, NULL);
	queue_close(&q);
	assert_false(run_commit_thread(&q).go_on);
	queue_destroy(&q);
}

/* While its batch is in flight the next one leads.  No more than two batches are: then the first that finishes calls
 * the next leader. */
static void test_a_leader_hands_over(void **state)
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
	queue_hand_over(&q, &w[0], 1);
	assert_true(q.led); /* nobody waits */
	queue_hand_over(&q, &w[0], 0);
	assert_int_equal(queue_post(&q, &w[1]), QUEUE_LEAD);
	queue_hand_over(&q, &w[0], 0); /* it has handed over */
	assert_true(q.led);
	assert_ptr_equal(queue_take(&q, QUEUE_MAX, &commands), &w[1]);
	assert_int_equal(queue_post(&q, &w[2]), QUEUE_QUEUED);
	queue_hand_over(&q, &w[1], 1);
	assert_false(q.vacant); /* two are in flight */
	assert_int_equal(queue_post(&q, &w[3]), QUEUE_QUEUED);
	queue_finish(&q, &w[0], NULL);
	assert_int_equal(calls, 1);
	assert_true(run_commit_thread(&q).go_on);
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
		cmocka_unit_test(test_a_commit_thread_waits_until_one_is_late),
		cmocka_unit_test(test_a_leader_finds_nobody_left),
		cmocka_unit_test(test_a_leader_hands_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
