/*
 * stripe_event: what an event of Stripe's says, as a command of the ledger that lacks only the account
 * (contracts: the types Event, Checkout.Session, PaymentIntent, Refund, Charge, Dispute, Subscription, Invoice;
 * both shapes, before and since 2025-03-31.basil).  Pure.
 */
#ifndef OCTROI_INBOX_STRIPE_EVENT_H
#define OCTROI_INBOX_STRIPE_EVENT_H

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

/* Price ids and their plans: "price_1=starter price_2=pro".  NULL when the price has none; else the plan,
 * its length in *length. */
const char *stripe_event_plan(const char *plans, const char *price, size_t *length);

/* 0, or -1 with *field what is missing or of the wrong type: then it is no event of Stripe's.  body: its
 * text.  Strings belong to the document and to body. */
int stripe_event_read(const struct json *event, const char *body, struct stripe_event *e,
                      const char **field);

#endif
