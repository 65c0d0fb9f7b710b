#include "outbox/bulkhead.h"

#include "base/check.h"

void bulkhead_init(struct bulkhead *b, int places)
{
	CHECK(places > 0);
	atomic_init(&b->free, places);
}

bool bulkhead_enter(struct bulkhead *b)
{
	int free = atomic_load(&b->free);

	while (free > 0)
		if (atomic_compare_exchange_weak(&b->free, &free, free - 1))
			return true;
	return false;
}

void bulkhead_leave(struct bulkhead *b)
{
	atomic_fetch_add(&b->free, 1);
}
