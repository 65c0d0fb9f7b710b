#include "worker/customer.h"

#include <stdio.h>

#define PREFIX "cus_"

/* E-mail and name are sent afterwards (customer_name): they may have changed since the key was first used, and a key
 * goes with one content.  A customer that Stripe does not know any more (deleted, or of the test mode) is replaced.
 * The key of the new one follows from the old one's id. */
enum stripe_result customer_make(const struct stripe *s, const struct customer *c, int64_t deadline_us,
                                 char made[CUSTOMER_ID_MAX])
{
	char key[STRIPE_KEY_MAX];
	struct stripe_call call;
	enum stripe_result result;

	if (c->id[0] != '\0')
		stripe_derive_key(c->key, c->id, key);
	else
		(void)snprintf(key, sizeof(key), "%s", c->key);
	stripe_begin(&call, "/v1/customers", key, deadline_us);
	stripe_put(&call, "metadata[user_id]", c->account_id);
	result = stripe_send(s, &call);
	(void)snprintf(made, CUSTOMER_ID_MAX, "%s", json_get_text(call.json, "id"));
	if (result == STRIPE_OK && !stripe_id_valid(made, PREFIX))
		result = STRIPE_UNAVAILABLE;
	stripe_call_free(&call);
	return result;
}

void customer_name(const struct stripe *s, const struct customer *c, int64_t deadline_us)
{
	char path[STRIPE_PATH_MAX], key[STRIPE_KEY_MAX];
	struct stripe_call call;

	if ((c->email[0] == '\0' && c->name[0] == '\0') || !stripe_id_valid(c->id, PREFIX))
		return;
	(void)snprintf(path, sizeof(path), "/v1/customers/%s", c->id);
	stripe_new_key(key);
	stripe_begin(&call, path, key, deadline_us);
	stripe_put(&call, "email", c->email);
	stripe_put(&call, "name", c->name);
	(void)stripe_send(s, &call);
	stripe_call_free(&call);
}
