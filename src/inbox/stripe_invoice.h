/*
 * stripe_invoice: the plan and the time that a paid invoice of a subscription pays for, in both shapes, before and
 * since 2025-03-31.basil.  Prices of plans are known by the configuration alone.  Pure.
 */
#ifndef OCTROI_INBOX_STRIPE_INVOICE_H
#define OCTROI_INBOX_STRIPE_INVOICE_H

#include "base/arena.h"
#include "inbox/event.h"

/* Reads an invoice into e: a PERIOD that lacks its plans (stripe_invoice_plans), or an EVENT. */
void stripe_invoice_read(struct stripe_event *e, const struct json *invoice);
/* Reads the payment of an invoice into e: a PERIOD_PAYMENT, or an EVENT. */
void stripe_invoice_read_payment(struct stripe_event *e, const struct json *payment);
/* The payment intent that paid the invoice, "" where the invoice does not name it.  Since basil it is among the
 * invoice's payments, where these are shown. */
const char *stripe_invoice_intent(const struct json *invoice);

/* Finds price in plans ("price_1=starter price_2=pro").  Returns its plan, with the plan's length in *length; NULL
 * when the price has none. */
const char *stripe_invoice_plan(const char *plans, const char *price, size_t *length);

/* Reads from the invoice's lines which plan it pays for and from when to when; plans as in stripe_invoice_plan.
 * NULL; "" when it pays for no plan, or for no other than before; else why a person has to look at it.  The plans'
 * names are in the arena; *short_of_memory when the arena is full. */
const char *stripe_invoice_plans(struct stripe_event *e, const char *plans, struct arena *a, bool *short_of_memory);

#endif
