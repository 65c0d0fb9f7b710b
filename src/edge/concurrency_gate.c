#include "edge/concurrency_gate.h"

#include "base/check.h"

void concurrency_gate_init(struct concurrency_gate *g, int max)
{
	CHECK(max > 0);
	lock_init(&g->lock);
	cond_init(&g->call);
	g->max = max;
	g->inside = 0;
	g->parked = 0;
	g->called = 0;
	g->open = false;
}

void concurrency_gate_destroy(struct concurrency_gate *g)
{
	cond_destroy(&g->call);
	lock_destroy(&g->lock);
}

void concurrency_gate_enter(struct concurrency_gate *g)
{
	lock_take(&g->lock);
	if (g->inside < g->max || g->open) {
		g->inside++;
	} else {
		g->parked++;
		while (g->called == 0)
			(void)cond_wait_until(&g->call, &g->lock, -1);
		g->called--;
	}
	lock_give(&g->lock);
}

static void wake_one(struct concurrency_gate *g)
{
	lock_assert_held(&g->lock);
	g->parked--;
	g->called++;
	g->inside++;
	cond_signal(&g->call);
}

void concurrency_gate_leave(struct concurrency_gate *g)
{
	lock_take(&g->lock);
	CHECK(g->inside > 0);
	g->inside--;
	if (g->inside == 0 && g->parked > 0)
		wake_one(g);
	lock_give(&g->lock);
}

void concurrency_gate_open(struct concurrency_gate *g)
{
	lock_take(&g->lock);
	g->open = true;
	while (g->parked > 0)
		wake_one(g);
	lock_give(&g->lock);
}
