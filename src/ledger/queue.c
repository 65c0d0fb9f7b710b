#include "ledger/queue.h"

#include "base/check.h"
#include "base/clock.h"

/* The intervals at which an idle commit thread looks for posted commands that are late: LOOK_LED_US while a thread
 * leads or is called to, LOOK_US at other times. */
#define LOOK_LED_US (100 * CLOCK_US_PER_MS)
#define LOOK_US CLOCK_US_PER_SECOND

void queue_init(struct queue *q, int max, int inflight_max, bool commit_threads)
{
	CHECK(max > 0 && inflight_max > 0);
	lock_init(&q->lock);
	cond_init(&q->wanted);
	q->head = NULL;
	q->tail = &q->head;
	q->waiting = 0;
	q->max = max;
	q->inflight = 0;
	q->inflight_max = inflight_max;
	q->led = false;
	q->blocked = false;
	q->commit_threads = commit_threads;
	q->closed = false;
	q->vacant = false;
}

/* The conditions that hold whenever the lock is given. */
static void queue_check(const struct queue *q)
{
	lock_assert_held(&q->lock);
	CHECK(q->waiting >= 0 && (q->waiting == 0) == (q->head == NULL));
	CHECK((q->head == NULL) == (q->tail == &q->head));
	CHECK(q->inflight >= 0 && q->inflight <= q->inflight_max);
	/* While commands wait, a thread leads or is called to lead. */
	CHECK(q->led || q->head == NULL);
	/* A commit thread that is called counts as the leader; so does the wait for a batch to finish. */
	CHECK(q->led || (!q->vacant && !q->blocked));
}

void queue_destroy(struct queue *q)
{
	CHECK(q->head == NULL && !q->led && q->inflight == 0);
	CHECK(q->waiting == 0 && !q->vacant && !q->blocked);
	cond_destroy(&q->wanted);
	lock_destroy(&q->lock);
}

/* Queues the waiter.  Returns FULL, LEAD or QUEUED. */
static enum queue_role enter_queue(struct queue *q, struct waiter *w)
{
	enum queue_role role = QUEUE_FULL;

	CHECK(w->count > 0);
	completion_init(&w->completion);
	w->role = QUEUE_LATE;
	w->called = false;
	w->handed_over = false;
	w->next = NULL;
	lock_take(&q->lock);
	if (q->waiting + w->count <= q->max || q->waiting == 0) {
		role = q->led ? QUEUE_QUEUED : QUEUE_LEAD;
		CHECK(q->led || q->head == NULL);
		w->called = !q->led;
		q->led = true;
		*q->tail = w;
		q->tail = &w->next;
		q->waiting += w->count;
	}
	queue_check(q);
	lock_give(&q->lock);
	return role;
}

/* Takes a waiter that gave up out of the queue; false when it has been called meanwhile. */
static bool leave_queue(struct queue *q, struct waiter *w)
{
	struct waiter **at = &q->head;
	bool called;

	lock_take(&q->lock);
	called = w->called;
	if (!called) {
		while (*at != w)
			at = &(*at)->next;
		*at = w->next;
		if (q->tail == &w->next)
			q->tail = at;
		q->waiting -= w->count;
	}
	queue_check(q);
	lock_give(&q->lock);
	return !called;
}

enum queue_role queue_wait(struct queue *q, struct waiter *w)
{
	int64_t until_us = w->deadline_us;
	enum queue_role role;

	CHECK(w->done == NULL);
	role = enter_queue(q, w);
	if (role != QUEUE_QUEUED)
		return role;
	while (!completion_wait_until(&w->completion, until_us)) {
		if (leave_queue(q, w))
			return QUEUE_LATE;
		until_us = -1; /* commands that a leader has taken cannot be withdrawn: wait for their answers */
	}
	CHECK(w->role == QUEUE_DONE || w->role == QUEUE_LEAD);
	return w->role;
}

enum queue_role queue_post(struct queue *q, struct waiter *w)
{
	CHECK(q->commit_threads && w->done != NULL);
	return enter_queue(q, w);
}

/* Takes out the posted waiters whose deadline has passed, linked by next.  A waiting thread leaves by itself. */
static struct waiter *take_late(struct queue *q, int64_t now_us)
{
	struct waiter *late = NULL, **end = &late, **at = &q->head;

	lock_assert_held(&q->lock);
	while (*at != NULL) {
		struct waiter *w = *at;

		if (w->done == NULL || w->called || w->deadline_us > now_us) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		q->waiting -= w->count;
		w->next = NULL;
		*end = w;
		end = &w->next;
	}
	q->tail = at;
	queue_check(q);
	return late;
}

bool queue_lead(struct queue *q, struct waiter **late)
{
	bool go_on;

	CHECK(q->commit_threads);
	*late = NULL;
	lock_take(&q->lock);
	while (!q->vacant && !q->closed && *late == NULL) {
		const int64_t now_us = clock_monotonic_us();

		*late = take_late(q, now_us);
		if (*late == NULL)
			(void)cond_wait_until(&q->wanted, &q->lock, now_us + (q->led ? LOOK_LED_US : LOOK_US));
	}
	go_on = q->vacant || *late != NULL;
	q->vacant = q->vacant && *late != NULL;
	queue_check(q);
	lock_give(&q->lock);
	return go_on;
}

void queue_close(struct queue *q)
{
	lock_take(&q->lock);
	CHECK(!q->closed);
	q->closed = true;
	queue_check(q);
	cond_broadcast(&q->wanted);
	lock_give(&q->lock);
}

struct waiter *queue_take(struct queue *q, int commands_max, int *commands)
{
	struct waiter *first, *last;

	CHECK(commands_max > 0);
	*commands = 0;
	lock_take(&q->lock);
	CHECK(q->led);
	first = last = q->head;
	q->led = first != NULL;
	if (first != NULL) {
		q->inflight++;
		*commands = last->count;
		last->called = true;
		while (last->next != NULL && *commands + last->next->count <= commands_max) {
			last = last->next;
			last->called = true;
			*commands += last->count;
		}
		q->head = last->next;
		if (q->head == NULL)
			q->tail = &q->head;
		last->next = NULL;
		q->waiting -= *commands;
	}
	CHECK(*commands <= commands_max || first == last);
	queue_check(q);
	lock_give(&q->lock);
	return first;
}

static void wake(struct waiter *w, enum queue_role role)
{
	/* A posted waiter has no thread that could lead. */
	CHECK(role == QUEUE_DONE || (role == QUEUE_LEAD && w->done == NULL));
	w->role = role;
	if (w->done != NULL)
		w->done(w);
	else
		completion_signal(&w->completion);
}

/* Calls the next leader.  Returns the waiter to be woken; NULL when none waits, or a commit thread was called. */
static struct waiter *call_next(struct queue *q)
{
	struct waiter *leader = q->head;

	lock_assert_held(&q->lock);
	q->blocked = false;
	q->led = leader != NULL;
	if (leader != NULL && q->commit_threads) {
		q->vacant = true;
		cond_signal(&q->wanted);
		return NULL;
	}
	if (leader != NULL)
		leader->called = true;
	return leader;
}

void queue_hand_over(struct queue *q, struct waiter *taken, int waiting_min)
{
	struct waiter *leader = NULL;

	lock_take(&q->lock);
	if (!taken->handed_over && q->waiting >= waiting_min) {
		CHECK(q->led && !q->blocked && taken->called);
		taken->handed_over = true;
		if (q->inflight < q->inflight_max)
			leader = call_next(q);
		else
			q->blocked = true;
	}
	queue_check(q);
	lock_give(&q->lock);
	if (leader != NULL)
		wake(leader, QUEUE_LEAD);
}

void queue_finish(struct queue *q, struct waiter *taken, const struct waiter *own)
{
	struct waiter *leader = NULL, *next;

	lock_take(&q->lock);
	CHECK(q->inflight > 0 && taken->called);
	q->inflight--;
	if (!taken->handed_over || q->blocked)
		leader = call_next(q);
	queue_check(q);
	lock_give(&q->lock);
	/* The next leader first: its batch is in flight while the answers of this one go out. */
	if (leader != NULL)
		wake(leader, QUEUE_LEAD);
	for (struct waiter *w = taken; w != NULL; w = next) {
		next = w->next; /* once told, the waiter may go */
		if (w != own)
			wake(w, QUEUE_DONE);
	}
}

int queue_waiting(struct queue *q)
{
	int waiting;

	lock_take(&q->lock);
	waiting = q->waiting;
	queue_check(q);
	lock_give(&q->lock);
	return waiting;
}
