#include "ledger/decide/customer.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/effects.h"

/* Stripe may forget a key after a day. */
#define KEY_LIFE_US (INT64_C(23) * 3600 * 1000000)

void customer_keep_key(struct decide *d, struct slot *s, const char *key)
{
	struct billing_row *b = effects_billing(d, s);

	CHECK(key[0] != '\0');
	if (b->customer_id[0] != '\0' ||
	    (b->customer_key[0] != '\0' && d->now_us - b->customer_key_at_us < KEY_LIFE_US))
		return;
	b->customer_key = key;
	b->customer_key_at_us = d->now_us;
}

void customer_note(struct decide *d, struct slot *s, const char *customer_id, const char *gone_id)
{
	struct billing_row *b;

	if (customer_id == NULL)
		return;
	b = effects_billing(d, s);
	if (b->customer_id[0] == '\0' || (gone_id != NULL && strcmp(b->customer_id, gone_id) == 0))
		b->customer_id = customer_id;
}
