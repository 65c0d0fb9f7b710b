#include "routes/shared_keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/lock.h"
#include "base/memory.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"

struct shared_keys {
	struct lock lock;
	bool known[SECRETS];
	unsigned char key[SECRETS][DIGEST_BYTES];
};

struct shared_keys *shared_keys_new(void)
{
	struct shared_keys *k = memory_part("shared keys", sizeof(*k));

	if (k != NULL)
		lock_init(&k->lock);
	return k;
}

void shared_keys_free(struct shared_keys *k)
{
	if (k == NULL)
		return;
	lock_destroy(&k->lock);
	free(k);
}

bool shared_keys_known(struct shared_keys *k, enum secret which, unsigned char key[DIGEST_BYTES])
{
	bool known;

	CHECK((unsigned)which < SECRETS);
	lock_take(&k->lock);
	known = k->known[which];
	if (known)
		memcpy(key, k->key[which], DIGEST_BYTES);
	lock_give(&k->lock);
	return known;
}

/* Reads the key from the database, and keeps it.  Two threads at the same time read the same key. */
static bool read_shared_key(struct call *c, enum secret which, unsigned char key[DIGEST_BYTES])
{
	struct db *d = call_reader(c);
	int result;

	if (d == NULL)
		return false;
	result = secrets_find(d, which, key);
	pool_give(c->readers, d);
	if (result < 0) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return false;
	}
	lock_take(&c->shared_keys->lock);
	memcpy(c->shared_keys->key[which], key, DIGEST_BYTES);
	c->shared_keys->known[which] = true;
	lock_give(&c->shared_keys->lock);
	return true;
}

bool shared_keys_find(struct call *c, enum secret which, unsigned char key[DIGEST_BYTES])
{
	return shared_keys_known(c->shared_keys, which, key) || read_shared_key(c, which, key);
}
