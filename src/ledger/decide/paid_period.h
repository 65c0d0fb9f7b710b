/*
 * paid_period: the periods of a subscription's plan, each given once its invoice is paid.  A row of paid_periods is
 * what an invoice pays for: a plan, or a plan instead of a smaller one, for some time.  A period is a month of
 * Stripe's (UTC, counted from the subscription's anchor) within that time.  What it gives is the time that each plan
 * was in force within it, so that plans that go back and forth give no more than the time they lasted.  Pure; changes
 * rows as effects do.
 */
#ifndef OCTROI_LEDGER_DECIDE_PAID_PERIOD_H
#define OCTROI_LEDGER_DECIDE_PAID_PERIOD_H

#include "ledger/decide/decide.h"

/* workspaces.subscribed: a person sets the plan; a subscription pays for it; one did that is cancelled by now. */
enum period_source { PERIOD_SET, PERIOD_SUBSCRIBED, PERIOD_CANCELLED };

/* What a plan that is paid instead of another, or of none (""), adds to a month, with the people of now. */
micros paid_period_monthly(struct decide *d, struct slot *s, const char *plan, const char *instead_of, int64_t at_us);
/* The period in which the account is now, if the subscription pays for it; NULL. */
struct paid_periods_row *paid_period_running(struct decide *d, struct slot *s, const unsigned char key[ID_KEY_BYTES]);

/* The row pays for the plan from its start to its end, the time of now among it: a period begins. */
void paid_period_begin(struct decide *d, struct slot *s, struct paid_periods_row *r, int64_t anchor_us);
/* The row pays for a greater plan within the running period. */
void paid_period_upgrade(struct decide *d, struct slot *s, struct paid_periods_row *r);
/* The subscription of the running period costs by now what this plan costs: "" for no plan of ours, and then, or if it
 * ends, the period is the last.  A smaller plan takes back the time that is left of the greater one. */
void paid_period_follow(struct decide *d, struct slot *s, const struct subscriptions_row *r, const char *plan,
                        bool ends);
/* Of the running period somebody who joined was given so much. */
void paid_period_seated(struct decide *d, struct slot *s, micros quota);
/* The period that ends at workspace.period_end_us ends.  The next begins: when a person has set the plan, or as far as
 * it is paid. */
void paid_period_turn(struct decide *d, struct slot *s);

/* Whether the command's payment is known to have paid something else than the period that topup_seq names; remembers
 * that it paid the row's, false where nothing is new. */
bool paid_period_payment_mismatch(struct decide *d, const struct slot *s, const struct command *c);
bool paid_period_keep_payment(struct decide *d, struct slot *s, struct paid_periods_row *r, const struct command *c);

/* Whether what is refunded and disputed of the row's money, as it says, can be taken back; takes it back, or gives back
 * what was taken too much.  reference: Stripe's name of what moved it. */
bool paid_period_claim_fits(const struct slot *s, const struct paid_periods_row *r);
void paid_period_claim(struct decide *d, struct slot *s, struct paid_periods_row *r, enum transaction_type type,
                  const char *reference);

#endif
