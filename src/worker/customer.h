/*
 * customer: an account's customer at Stripe.  However many ask for one at once, all give Stripe the same key, and so
 * get the same customer; the ledger keeps what is noted first.  Waits for Stripe.
 */
#ifndef OCTROI_WORKER_CUSTOMER_H
#define OCTROI_WORKER_CUSTOMER_H

#include "clients/stripe.h"

#define CUSTOMER_ID_MAX 256

struct customer {
	const char *account_id;  /* the application's */
	const char *id, *key;    /* what the ledger knows; id "" when there is none yet */
	const char *email, *name; /* "" when not known */
};

/* Makes it; one that is there is replaced: Stripe does not know it any more.  STRIPE_OK: made is its id. */
enum stripe_result customer_make(const struct stripe *s, const struct customer *c, int64_t deadline_us,
                                 char made[CUSTOMER_ID_MAX]);

/* For Stripe's pages and receipts; nothing fails for it. */
void customer_name(const struct stripe *s, const struct customer *c, int64_t deadline_us);

#endif
