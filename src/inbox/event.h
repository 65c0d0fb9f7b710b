/*
 * event: what was read of a provider's event: a command of the ledger that lacks only the account, and what names it.
 */
#ifndef OCTROI_INBOX_EVENT_H
#define OCTROI_INBOX_EVENT_H

#include "base/json.h"
#include "ledger/command.h"

struct stripe_event {
	struct command command; /* EVENT when it moves nothing of ours */
	const char *order;      /* the order's or statement's public id from the metadata, "" when none */
	const char *reference;  /* the same from client_reference_id */
	const char *user;       /* the account's own id from the metadata */
	const char *customer;   /* Stripe's, of subscriptions */
	const struct json *object; /* of a PERIOD */
	const char *connected;  /* a connected account's id: not ours */
	bool livemode;
};

#endif
