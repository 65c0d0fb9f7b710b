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
	bell_init(&w->bell);
	w->role = QUEUE_LATE;
	w->called = false;
	w->next = NULL;
	*q->tail = w;
	q->tail = &w->next;
	q->waiting += w->count;
}

/* Takes a waiter that gave up out of the queue; false when it was called in the same moment. */
static bool leave(struct queue *q, struct waiter *w)
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
	lock_give(&q->lock);
	return !called;
}

enum queue_role queue_wait(struct queue *q, struct waiter *w)
{
	bool lead;

	lock_take(&q->lock);
	if (q->waiting + w->count > q->max && q->waiting > 0) {
		lock_give(&q->lock);
		return QUEUE_FULL;
	}
	append(q, w);
	lead = !q->led;
	if (lead) {
		CHECK(q->head == w);
		w->called = true;
		q->led = true;
	}
	lock_give(&q->lock);
	if (lead)
		return QUEUE_LEAD;
	if (!bell_wait_until(&w->bell, w->deadline_us) && leave(q, w))
		return QUEUE_LATE;
	/* Once a leader has taken the commands they cannot be called back: wait for their answers. */
	(void)bell_wait_until(&w->bell, -1);
	return w->role;
}

struct waiter *queue_take(struct queue *q, int commands_max, int *commands)
{
	struct waiter *first, *last;

	lock_take(&q->lock);
	CHECK(q->led && q->head != NULL);
	first = last = q->head;
	*commands = last->count;
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
	lock_give(&q->lock);
	return first;
}

static void wake(struct waiter *w, enum queue_role role)
{
	w->role = role;
	bell_ring(&w->bell);
}

void queue_finish(struct queue *q, struct waiter *taken)
{
	struct waiter *leader, *next;

	lock_take(&q->lock);
	leader = q->head;
	if (leader != NULL)
		leader->called = true;
	q->led = leader != NULL;
	lock_give(&q->lock);
	/* The database first: the next batch is under way while the answers of this one go out. */
	if (leader != NULL)
		wake(leader, QUEUE_LEAD);
	for (struct waiter *w = taken->next; w != NULL; w = next) {
		next = w->next; /* once woken, the waiter's stack may go */
		wake(w, QUEUE_DONE);
	}
}

int queue_waiting(struct queue *q)
{
	int waiting;

	lock_take(&q->lock);
	waiting = q->waiting;
	lock_give(&q->lock);
	return waiting;
}
