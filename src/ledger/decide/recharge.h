/*
 * recharge: the auto-recharge of an account.  Its threshold is in accounts.alerts (alert.h), so that a request that
 * crosses nothing reads no row for it.  The crossing makes a task for the worker, and the charge is decided when the
 * worker takes it up.  While an order is pending, the threshold stays fired.  Pure; changes rows as effects do.
 */
#ifndef OCTROI_LEDGER_DECIDE_RECHARGE_H
#define OCTROI_LEDGER_DECIDE_RECHARGE_H

#include "ledger/decide/decide.h"
#include "ledger/decide/order.h"

/* The account's row, to be changed; made if it is not there. */
struct recharges_row *recharge_ensure(struct decide *d, struct slot *s);

/* Arms the threshold if auto-recharge is on and nothing is pending.  It fires at once if the balance is below it, with
 * a task for next_at_us or now. */
void recharge_arm(struct decide *d, struct slot *s, const struct recharges_row *r);

/* True if the pending order's consent is not in force any more, or the monthly maximum was lowered below the sum with
 * it. */
bool recharge_withdrawn(const struct recharges_row *r, const struct topups_row *t);
/* True if the pending order, for which no payment is asked yet, has lost its ground: the same, or the balance has
 * recovered. */
bool recharge_unneeded(const struct slot *s, const struct recharges_row *r, const struct topups_row *t);

/* The pending order begins: it counts in the month and the day.  pending_ends: it is over; unless paid it counts no
 * more. */
void recharge_pending(struct recharges_row *r, const struct topups_row *t);
void recharge_pending_ends(struct decide *d, struct recharges_row *r, bool paid);

/* Ends the pending order without money. */
void recharge_drop(struct decide *d, struct slot *s, struct recharges_row *r, struct topups_row *t);

/* Charges nothing any more, for this reason, and tells so. */
void recharge_pause(struct decide *d, struct slot *s, struct recharges_row *r, enum recharge_reason reason);
/* The card has changed: a pause for the card ends. */
void recharge_card_changed(struct decide *d, struct slot *s);

/* The order has just been paid: of auto-recharge, or by the customer with a card that is kept. */
void recharge_paid(struct decide *d, struct slot *s, const struct topups_row *t);
/* Refunds or disputes have changed since the order was as before; a charge that comes back pauses auto-recharge. */
void recharge_returned(struct decide *d, struct slot *s, const struct order *before);

#endif
