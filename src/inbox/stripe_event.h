/*
 * stripe_event: reads an event of Stripe's as a command of the ledger that lacks only the account.  Contracts: the
 * types Event, Checkout.Session, PaymentIntent, Refund, Charge, Dispute, Subscription, Invoice; both shapes, before
 * and since 2025-03-31.basil.  Pure.
 */
#ifndef OCTROI_INBOX_STRIPE_EVENT_H
#define OCTROI_INBOX_STRIPE_EVENT_H

#include "inbox/event.h"

/* 0, or -1 with *field the member that is missing or of the wrong type: then it is no event of Stripe's.  body: its
 * text.  Strings belong to the document and to body. */
int stripe_event_read(const struct json *event, const char *body, struct stripe_event *e, const char **field);

#endif
