/*
 * recharges: the auto-recharge of an account, as it is shown, and as the worker that charges it needs it.  Decides
 * nothing.  One connection, on its thread.
 */
#ifndef OCTROI_QUERIES_RECHARGES_H
#define OCTROI_QUERIES_RECHARGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/id.h"
#include "db/db.h"

/* order_...: of the pending order.  consent_...: of the last consent.  Texts are "" where there is none. */
struct recharges_known {
	bool found; /* the account has a row */
	int64_t state, reason, below_micros, charge_micros, cap_micros, pending_seq, pending_micros, begun_at_us,
		next_at_us;
	int64_t month_until_us, month_micros, day_until_us, day_count, mode, status, now_us;
	int64_t order_amount_minor, consent_at_us;
	const char *currency, *card;
	const char *order_key, *order_payment_id, *order_currency;
	const char *consent_version, *consent_locale, *consent_terms, *consent_actor;
	const char *customer_id;
};
/* Texts are in the arena.  0, or -1: the database failed, or memory is short. */
int recharges_read(struct db *d, struct arena *a, const struct account_key *key, struct recharges_known *out);

struct recharges_due {
	struct account_key account;
	char account_id[ID_ACCOUNT_MAX + 1];
};
/* Accounts with a pending order, or with a balance below the threshold, for which there is no task.  Returns their
 * number, at most max, or -1. */
int recharges_without_task(struct db *d, struct recharges_due *due, int max);

#endif
