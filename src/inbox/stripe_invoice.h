/*
 * stripe_invoice: what a paid invoice of a subscription pays for, in both shapes, before and since 2025-03-31.basil.
 * Plans' prices are known by the configuration alone.  Pure.
 */
#ifndef OCTROI_INBOX_STRIPE_INVOICE_H
#define OCTROI_INBOX_STRIPE_INVOICE_H

#include "base/arena.h"
#include "inbox/event.h"

/* A PERIOD that lacks its plans (stripe_invoice_plans), or an EVENT. */
void stripe_invoice_read(struct stripe_event *e, const struct json *invoice);
/* The payment of an invoice: a PERIOD_PAYMENT, or an EVENT. */
void stripe_invoice_read_payment(struct stripe_event *e, const struct json *payment);

/* Price ids and their plans: "price_1=starter price_2=pro".  NULL when the price has none; else the plan,
 * its length in *length. */
const char *stripe_invoice_plan(const char *plans, const char *price, size_t *length);

/* Which plan it pays for and from when to when, by the prices of its lines ("price_1=starter price_2=pro").  NULL, or
 * why it is nothing of ours.  The plans' names are in the arena; *short_of_memory when that is full. */
const char *stripe_invoice_plans(struct stripe_event *e, const char *plans, struct arena *a, bool *short_of_memory);

#endif
