#include "edge/concurrency_gate.h"

#include "base/check.h"

void turnstile_init(struct turnstile *t, int max)
{
	CHECK(max > 0);
	lock_init(&t->lock);
	cond_init(&t->call);
	t->max = max;
	t->inside = 0;
	t->parked = 0;
	t->called = 0;
	t->open = false;
}

void turnstile_destroy(struct turnstile *t)
{
	cond_destroy(&t->call);
	lock_destroy(&t->lock);
}

void turnstile_enter(struct turnstile *t)
{
	lock_take(&t->lock);
	if (t->inside < t->max || t->open) {
		t->inside++;
	} else {
		t->parked++;
		while (t->called == 0)
			(void)cond_wait_until(&t->call, &t->lock, -1);
		t->called--;
	}
	lock_give(&t->lock);
}

static void call(struct turnstile *t)
{
	lock_assert_held(&t->lock);
	t->parked--;
	t->called++;
	t->inside++;
	cond_signal(&t->call);
}

void turnstile_leave(struct turnstile *t)
{
	lock_take(&t->lock);
	CHECK(t->inside > 0);
	t->inside--;
	if (t->inside == 0 && t->parked > 0)
		call(t);
	lock_give(&t->lock);
}

void turnstile_open(struct turnstile *t)
{
	lock_take(&t->lock);
	t->open = true;
	while (t->parked > 0)
		call(t);
	lock_give(&t->lock);
}
