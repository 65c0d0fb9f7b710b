/*
 * charge: charges one statement at Stripe: an invoice with one line, paid with the customer's saved card.  The
 * customer pays once, wherever a charge is cut off and however many run at once.  Every step has an idempotency key
 * that follows from the statement.  Stripe's answer is noted before the next step.  The ledger books a paid invoice
 * once.  Waits for Stripe and for the ledger.
 */
#ifndef OCTROI_WORKER_CHARGE_H
#define OCTROI_WORKER_CHARGE_H

#include "clients/stripe.h"
#include "db/pool.h"
#include "ledger/ledger.h"
#include "queries/statements.h"

#define CHARGE_ERROR_MAX 256

/* Read-only; shared by all threads that charge. */
struct charge_options {
	struct ledger *ledger;
	struct pool *readers;
	const struct stripe *stripe;
	const char *product; /* description of the invoice's line */
};

enum charge_end {
	CHARGE_PAID,     /* and booked */
	CHARGE_NOTHING,  /* nothing is owed of it any more */
	CHARGE_DECLINED, /* no card, or the bank refused: code, failures */
	CHARGE_LATER,    /* Stripe or the database does not answer, or the money is on its way: to be repeated */
	CHARGE_PARKED    /* something does not fit: a person is to look at error */
};

struct charge_result {
	enum charge_end end;
	int64_t amount_minor, failures;
	micros amount_micros;
	char code[STRIPE_CODE_MAX];           /* of CHARGE_DECLINED, Stripe's */
	char invoice_url[STATEMENTS_URL_MAX]; /* where the customer can pay; "" when there is none */
	char error[CHARGE_ERROR_MAX];         /* of the last two, for the operator */
};

/* account_id: the application's. */
void charge_statement(const struct charge_options *o, const struct account_key *account, const char *account_id,
                      int64_t seq, int64_t deadline_us, struct charge_result *result);

#endif
