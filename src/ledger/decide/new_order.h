/*
 * new_order: an order of credits, before Stripe hears of it: the customer's, or auto-recharge's.  Pure.
 */
#ifndef OCTROI_LEDGER_DECIDE_NEW_ORDER_H
#define OCTROI_LEDGER_DECIDE_NEW_ORDER_H

#include "ledger/decide/decide.h"

/* The money, in the currency's smallest unit and in micros of the currency, and the credits and the bonus that it buys
 * (new_order_price). */
struct new_order {
	int64_t amount_minor;
	micros money_micros, credits_micros, bonus_micros;
	const char *currency, *session_key;
	bool livemode, save_card;
	int64_t consent_seq; /* 0: the customer's own order */
};

/* Fills in credits and bonus for an account of this unit; false if they are none, or would not fit into the balance. */
bool new_order_price(const struct decide *d, const struct slot *s, enum account_unit unit, struct new_order *o);
/* Adds the order, which can be paid. */
struct topups_row *new_order_add(struct decide *d, struct slot *s, const struct new_order *o);

#endif
