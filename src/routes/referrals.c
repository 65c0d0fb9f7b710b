#include "routes/referrals.h"

#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "base/memory.h"
#include "db/secrets.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"

struct referrals {
	struct lock lock;
	bool known;
	unsigned char key[DIGEST_BYTES];
};

struct referrals *referrals_new(void)
{
	struct referrals *r = memory_part("referrals", sizeof(*r));

	if (r != NULL)
		lock_init(&r->lock);
	return r;
}

void referrals_free(struct referrals *r)
{
	if (r == NULL)
		return;
	lock_destroy(&r->lock);
	free(r);
}

static bool find_key(struct referrals *r, unsigned char key[DIGEST_BYTES])
{
	bool known;

	lock_take(&r->lock);
	known = r->known;
	if (known)
		memcpy(key, r->key, DIGEST_BYTES);
	lock_give(&r->lock);
	return known;
}

/* Reads the key from the database, and keeps it.  Two threads at the same time read the same key. */
static bool read_key(struct call *c, unsigned char key[DIGEST_BYTES])
{
	struct db *d = call_reader(c);
	int result;

	if (d == NULL)
		return false;
	result = secrets_referral(d, key);
	pool_give(c->readers, d);
	if (result < 0) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return false;
	}
	lock_take(&c->referrals->lock);
	memcpy(c->referrals->key, key, DIGEST_BYTES);
	c->referrals->known = true;
	lock_give(&c->referrals->lock);
	return true;
}

bool referrals_key(struct call *c, unsigned char key[DIGEST_BYTES])
{
	return find_key(c->referrals, key) || read_key(c, key);
}
