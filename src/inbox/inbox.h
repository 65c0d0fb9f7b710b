/*
 * inbox: finds the account and the order of an event of Stripe's, and submits the event's command to the ledger.  An
 * event that fits no account or order is parked: kept, answered as received, shown by `octroictl webhook list`.  An
 * event that waits for a payment is taken up again as soon as that payment is known.  Thread-safe; locks as the ledger
 * does.
 */
#ifndef OCTROI_INBOX_INBOX_H
#define OCTROI_INBOX_INBOX_H

#include "base/arena.h"
#include "base/json.h"
#include "db/pool.h"
#include "ledger/ledger.h"

struct inbox {
	struct ledger *ledger;
	struct pool *readers;
	const char *plans; /* configuration: "price_1=starter price_2=pro" */
	int livemode;      /* 1, 0, or -1 where it is not known; orders know their own */
};

struct inbox_result {
	enum outcome outcome; /* OK: committed; INVALID_REQUEST: no event; UNAVAILABLE: to be repeated */
	const char *field;    /* of INVALID_REQUEST */
	bool replayed;        /* it was dealt with before */
	enum event_state state;
	const char *note;
	struct account_key account; /* zeros when none was found */
};

/* Mode of a secret key of Stripe's: 1 live, 0 test; -1 for "". */
int inbox_livemode(const char *secret_key);

/* event: the parsed body, whose strings are used.  Further memory comes from the arena. */
void inbox_take(const struct inbox *in, struct arena *a, const struct json *event, const char *body,
                int64_t deadline_us, struct inbox_result *r);

/* Takes up the events that were parked until this payment was known; 0, or -1 when some are to be repeated. */
int inbox_resolve(const struct inbox *in, const char *payment_id, int64_t deadline_us);

#endif
