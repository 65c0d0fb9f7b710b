/*
 * recharge: makes one due charge of auto-recharge: a payment with the customer's saved card, without the customer.  The
 * customer is charged once, wherever the charge is cut off and however many run at once.  The order is in the ledger,
 * and its card is noted, before Stripe is asked.  The idempotency key follows from the order.  A payment whose consent
 * is gone, or whose key may be forgotten, is looked for at Stripe, and not asked for again.  Waits for Stripe and for
 * the ledger.
 */
#ifndef OCTROI_WORKER_RECHARGE_H
#define OCTROI_WORKER_RECHARGE_H

#include "worker/charge.h"

enum recharge_end {
	RECHARGE_END_PAID,  /* and booked */
	RECHARGE_END_OVER,  /* declined, or nothing is due; the ledger knows the next step */
	RECHARGE_END_WAIT,  /* for wait_us */
	RECHARGE_END_LATER, /* Stripe or the database does not answer: to be repeated */
	RECHARGE_END_PARKED /* something does not fit: a person is to look at error */
};

struct recharge_result {
	enum recharge_end end;
	int64_t wait_us;
	char code[STRIPE_CODE_MAX];   /* of a decline, the bank's or Stripe's */
	char error[CHARGE_ERROR_MAX]; /* for the operator */
};

/* account_id: the application's.  number: of the task. */
void recharge_charge(const struct charge_options *o, const struct account_key *account, const char *account_id,
                     int64_t number, int64_t deadline_us, struct recharge_result *result);

#endif
