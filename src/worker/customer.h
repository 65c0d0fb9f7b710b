/*
 * customer: an account's customer at Stripe.  However many threads ask for one at once, all give Stripe the same key,
 * and so get the same customer.  The ledger keeps the id that is noted first.  Waits for Stripe.
 */
#ifndef OCTROI_WORKER_CUSTOMER_H
#define OCTROI_WORKER_CUSTOMER_H

#include "clients/stripe.h"

#define CUSTOMER_ID_MAX 256

struct customer {
	const char *account_id;   /* the application's */
	const char *id, *key;     /* from the ledger; id "" when there is none yet */
	const char *email, *name; /* "" when not known */
};

/* Makes a customer at Stripe.  If c has an id, the new customer replaces it: Stripe does not know the old one any
 * more.  STRIPE_OK: made is the new id. */
enum stripe_result customer_make(const struct stripe *s, const struct customer *c, int64_t deadline_us,
                                 char made[CUSTOMER_ID_MAX]);

/* Sends e-mail and name, for Stripe's pages and receipts; a failure has no consequence. */
void customer_name(const struct stripe *s, const struct customer *c, int64_t deadline_us);

#endif
