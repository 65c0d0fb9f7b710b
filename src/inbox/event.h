/*
 * event: a provider's event as it was read: a command of the ledger that lacks only the account, and the account's
 * names.
 */
#ifndef OCTROI_INBOX_EVENT_H
#define OCTROI_INBOX_EVENT_H

#include "base/json.h"
#include "ledger/command.h"

struct stripe_event {
	struct command command;    /* EVENT when it moves nothing of ours */
	const char *order;         /* the order's or statement's public id from the metadata, "" when none */
	const char *reference;     /* client_reference_id; of a PERIOD_PAYMENT the invoice's id */
	const char *user;          /* the account's own id from the metadata */
	const char *customer;      /* Stripe's id, of subscriptions and PERIODs */
	const struct json *object; /* of a PERIOD */
	const char *connected;     /* a connected account's id: not ours */
	bool livemode;
};

#endif
