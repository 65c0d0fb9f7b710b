/*
 * paid_period_money: refunds and disputes of the invoice of a subscription's period, as refund and dispute handle those
 * of an order.  Pure.
 */
#ifndef OCTROI_LEDGER_DECIDE_PAID_PERIOD_MONEY_H
#define OCTROI_LEDGER_DECIDE_PAID_PERIOD_MONEY_H

#include "ledger/decide/decide.h"

void paid_period_money_refund(struct decide *d, struct slot *s, struct command *c);
void paid_period_money_dispute(struct decide *d, struct slot *s, struct command *c);

#endif
