/*
 * open_orders: the number of orders of an account that can still be paid.  Each order is kept as the second in which it
 * lapses.  An order without a session lapses OPEN_ORDERS_TRY_US after it was made; an order with one, when the session
 * has expired.  So the count comes down by itself, without any webhook.  Pure; changes the account's row of billing.
 */
#ifndef OCTROI_LEDGER_DECIDE_OPEN_ORDERS_H
#define OCTROI_LEDGER_DECIDE_OPEN_ORDERS_H

#include "ledger/decide/decide.h"

/* An order without a session by that time never gets one. */
#define OPEN_ORDERS_TRY_US (INT64_C(900) * 1000000)
#define OPEN_ORDERS_MAX 100 /* entries that fit into the column */

/* True if there are as many open orders as allowed; then the refusal is in the answer.  b may be NULL. */
bool open_orders_full(const struct decide *d, const struct billing_row *b, struct answer *a);
/* begin: the order is opened.  extend: its session is made.  end: the order ends, paid or not. */
void open_orders_begin(struct decide *d, struct billing_row *b, const struct topups_row *t);
void open_orders_extend(struct decide *d, struct billing_row *b, const struct topups_row *t);
void open_orders_end(struct decide *d, struct billing_row *b, const struct topups_row *t);

#endif
