#include "ledger/queue.h"

#include "base/check.h"

void queue_init(struct queue *q, int max)
{
	lock_init(&q->lock);
	q->head = NULL;
	q->tail = &q->head;
	q->waiting = 0;
	q->max = max;
	q->led = false;
}

void queue_destroy(struct queue *q)
{
	CHECK(q->head == NULL && !q->led);
	lock_destroy(&q->lock);
}

static void append(struct queue *q, struct waiter *w)
{
	lock_assert_held(&q->lock);
	w->taken = false;
	w->done = false;
	w->next = NULL;
	*q->tail = w;
	q->tail = &w->next;
	q->waiting += w->count;
}

/* Takes a waiter that gave up out of the queue, and lets the next one lead if it was its turn. */
static void leave(struct queue *q, struct waiter *w)
{
	struct waiter **at = &q->head;

	lock_assert_held(&q->lock);
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	if (q->tail == &w->next)
		q->tail = at;
	q->waiting -= w->count;
	if (!q->led && q->head != NULL)
		cond_signal(&q->head->cond);
}

enum queue_role queue_wait(struct queue *q, struct waiter *w)
{
	enum queue_role role = QUEUE_DONE;
	bool in_time = true;

	lock_take(&q->lock);
	if (q->waiting + w->count > q->max && q->waiting > 0) {
		lock_give(&q->lock);
		return QUEUE_FULL;
	}
	cond_init(&w->cond);
	append(q, w);
	/* Once a leader has taken the commands they cannot be called back: wait for their answers. */
	while (!w->done && (q->led || q->head != w) && (in_time || w->taken))
		in_time = cond_wait_until(&w->cond, &q->lock, w->taken ? -1 : w->deadline_us);
	if (!w->done && !q->led && q->head == w) {
		q->led = true;
		role = QUEUE_LEAD;
	} else if (!w->done) {
		leave(q, w);
		role = QUEUE_LATE;
	}
	lock_give(&q->lock);
	if (role != QUEUE_LEAD)
		cond_destroy(&w->cond);
	return role;
}

struct waiter *queue_take(struct queue *q, int commands_max, int *commands)
{
	struct waiter *first, *last;

	lock_take(&q->lock);
	CHECK(q->led && q->head != NULL);
	first = last = q->head;
	last->taken = true;
	*commands = last->count;
	while (last->next != NULL && *commands + last->next->count <= commands_max) {
		last = last->next;
		last->taken = true;
		*commands += last->count;
	}
	q->head = last->next;
	if (q->head == NULL)
		q->tail = &q->head;
	last->next = NULL;
	q->waiting -= *commands;
	lock_give(&q->lock);
	return first;
}

void queue_finish(struct queue *q, struct waiter *taken)
{
	struct waiter *own = taken, *next;

	lock_take(&q->lock);
	for (struct waiter *w = taken->next; w != NULL; w = next) {
		/* Once done is set and the lock given, the waiter's stack may go. */
		next = w->next;
		w->done = true;
		cond_signal(&w->cond);
	}
	q->led = false;
	if (q->head != NULL)
		cond_signal(&q->head->cond);
	lock_give(&q->lock);
	cond_destroy(&own->cond);
}

int queue_waiting(struct queue *q)
{
	int waiting;

	lock_take(&q->lock);
	waiting = q->waiting;
	lock_give(&q->lock);
	return waiting;
}
