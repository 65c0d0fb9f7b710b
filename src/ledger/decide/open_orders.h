/*
 * open_orders: how many orders of an account can still be paid.  Each is the second in which it lapses: soon, until
 * Stripe has made its session, then when that has expired.  So the count comes down by itself, without any webhook.
 * Pure; changes the account's row of billing.
 */
#ifndef OCTROI_LEDGER_DECIDE_OPEN_ORDERS_H
#define OCTROI_LEDGER_DECIDE_OPEN_ORDERS_H

#include "ledger/decide/decide.h"

/* An order that has no session by then never gets one. */
#define OPEN_ORDERS_TRY_US (INT64_C(900) * 1000000)
#define OPEN_ORDERS_MAX 100 /* entries that fit into the column */

/* Whether there are as many as there may be; then the refusal is in the answer.  b may be NULL. */
bool open_orders_full(const struct decide *d, const struct billing_row *b, struct answer *a);
/* The order is opened; its session is made; it ends, whatever becomes of it. */
void open_orders_begin(struct decide *d, struct billing_row *b, const struct topups_row *t);
void open_orders_extend(struct decide *d, struct billing_row *b, const struct topups_row *t);
void open_orders_end(struct decide *d, struct billing_row *b, const struct topups_row *t);

#endif
