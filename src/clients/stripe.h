/*
 * stripe: requests to Stripe's API: form bodies, the version and idempotency headers, errors, repeats.
 * Knows nothing of accounts or orders.  Never log a call or its key.  A struct stripe is read-only once
 * filled in, so threads share it; a call belongs to one thread, and waits on it.
 */
#ifndef OCTROI_CLIENTS_STRIPE_H
#define OCTROI_CLIENTS_STRIPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"

#define STRIPE_VERSION "2026-07-29.dahlia"
#define STRIPE_KEY_MAX 64   /* of our idempotency keys, NUL included */
#define STRIPE_PATH_MAX 256 /* of a path with an id in it */
#define STRIPE_CODE_MAX 64
#define STRIPE_ERROR_MAX 256

struct stripe {
	const char *api_base; /* "https://api.stripe.com" */
	const char *secret_key;
	int64_t timeout_ms; /* of a call with all its repeats */
};

enum stripe_result {
	STRIPE_OK,         /* 2xx with a JSON record */
	STRIPE_REFUSED,    /* 4xx: a repeat would be refused too */
	STRIPE_LIMITED,    /* 429 */
	STRIPE_UNAVAILABLE /* no usable answer in time; the request may have been done */
};

/* form: the body of a POST or the query of a GET; stripe_put fills it, stripe_call_free frees it. */
struct stripe_call {
	const char *path; /* "/v1/customers", already made of safe characters */
	bool get;
	bool once;                   /* no repeats: the caller looks at its rows before it sends the call again */
	const char *idempotency_key; /* of a POST, stored by the caller before; NULL for a GET */
	int64_t deadline_us;         /* monotonic, besides timeout_ms */
	struct buf form;
	/* the answer */
	int status, attempts;
	struct json *json; /* NULL unless STRIPE_OK */
	int64_t date_us;   /* of Stripe's clock, to the second; 0: not said */
	char type[STRIPE_CODE_MAX], code[STRIPE_CODE_MAX], param[STRIPE_CODE_MAX]; /* of an error */
	char decline_code[STRIPE_CODE_MAX];                                        /* the bank's, of an error */
	char error[STRIPE_ERROR_MAX]; /* the reason, for the operator; holds no secret */
};

void stripe_begin(struct stripe_call *call, const char *path, const char *idempotency_key, int64_t deadline_us);
void stripe_call_free(struct stripe_call *call);

/* name=value, encoded; name is a literal such as "metadata[user_id]".  An empty text is left out:
 * Stripe takes it for "unset". */
void stripe_put(struct stripe_call *call, const char *name, const char *value);
void stripe_put_int(struct stripe_call *call, const char *name, int64_t value);

/*
 * Sends the call, at most three times, with growing, random pauses, all within the time that the call
 * has.  A repeat has the same idempotency key.  The call is repeated when Stripe says so, or, if Stripe
 * does not say, after no answer, 409 or 5xx.  Any result but STRIPE_OK is logged here, once.
 */
enum stripe_result stripe_send(const struct stripe *s, struct stripe_call *call);

/* stripe_new_key: a new idempotency key.  stripe_derive_key: a key that follows from the key kept and from about, the
 * subject of a request.  A request that must be a new one when its subject changes needs such a key. */
void stripe_new_key(char key[STRIPE_KEY_MAX]);
void stripe_derive_key(const char *kept, const char *about, char key[STRIPE_KEY_MAX]);
/* True if text may stand in a path or as an id of Stripe: prefix, then at least one more, at most 200 characters
 * in all, of A-Z a-z 0-9 _. */
bool stripe_id_valid(const char *text, const char *prefix);
/* True if secret_key is a live one. */
bool stripe_is_live(const struct stripe *s);

/* The decimals of Stripe's smallest unit of a currency (ISO 4217, any case): 2, 0 or 3. */
int stripe_decimals(const char *currency);

/* The payment intent of payment index of an invoice, whose payments must be expanded; "" where that payment is not
 * paid, or not paid by a payment intent; NULL beyond the last. */
const char *stripe_invoice_payment(const struct json *invoice, size_t index);

#endif
