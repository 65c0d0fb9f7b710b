#include "clients/bulkhead.h"

#include <string.h>

#include "base/check.h"

static const struct account_key nobody;

void bulkhead_init(struct bulkhead *b, int places, int share)
{
	CHECK(places > 0 && share > 0);
	lock_init(&b->lock);
	b->places = places < BULKHEAD_PLACES_MAX ? places : BULKHEAD_PLACES_MAX;
	b->share = share;
	b->taken = 0;
}

void bulkhead_destroy(struct bulkhead *b)
{
	CHECK(b->taken == 0);
	lock_destroy(&b->lock);
}

static bool is_same_key(const struct account_key *a, const struct account_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static bool has_share(const struct bulkhead *b, const struct account_key *who)
{
	int taken = 0;

	lock_assert_held(&b->lock);
	for (int i = 0; i < b->taken; i++)
		taken += is_same_key(&b->who[i], who) ? 1 : 0;
	return taken < b->share;
}

bool bulkhead_enter(struct bulkhead *b, const struct account_key *who)
{
	bool entered;

	lock_take(&b->lock);
	entered = b->taken < b->places && (who == NULL || has_share(b, who));
	if (entered)
		b->who[b->taken++] = who != NULL ? *who : nobody;
	lock_give(&b->lock);
	return entered;
}

void bulkhead_leave(struct bulkhead *b, const struct account_key *who)
{
	int i = 0;

	lock_take(&b->lock);
	while (i < b->taken && !is_same_key(&b->who[i], who != NULL ? who : &nobody))
		i++;
	CHECK(i < b->taken);
	b->who[i] = b->who[--b->taken];
	lock_give(&b->lock);
}
