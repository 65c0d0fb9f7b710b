/*
 * paid_period: the periods of a subscription's plan, each given once its invoice is paid.  A row of paid_periods holds
 * the plan that an invoice pays for, or the plan and the smaller one that it replaces, and the time.  A period is a
 * month of Stripe's (UTC, counted from the subscription's anchor) within that time.  A period gives each plan for the
 * time that the plan was in force.  So plans that go back and forth give no more than the time they lasted.  Pure;
 * changes rows as effects do.
 */
#ifndef OCTROI_LEDGER_DECIDE_PAID_PERIOD_H
#define OCTROI_LEDGER_DECIDE_PAID_PERIOD_H

#include "ledger/decide/decide.h"

/* workspaces.subscribed: a person sets the plan; a subscription pays for it; a subscription that did is cancelled. */
enum period_source { PERIOD_SET, PERIOD_SUBSCRIBED, PERIOD_CANCELLED };

/* The credits that a plan adds to a month when it replaces another plan, or none (""), with the people of now. */
micros paid_period_monthly(struct decide *d, struct slot *s, const char *plan, const char *instead_of, int64_t at_us);
/* The row of the period in which the account is now; NULL unless that subscription pays for it. */
struct paid_periods_row *paid_period_running(struct decide *d, struct slot *s, const unsigned char key[ID_KEY_BYTES]);

/* A period begins: the row pays for its plan from start_us to end_us, and now lies between them. */
void paid_period_begin(struct decide *d, struct slot *s, struct paid_periods_row *r, int64_t anchor_us);
/* The row pays for a greater plan within the running period. */
void paid_period_upgrade(struct decide *d, struct slot *s, struct paid_periods_row *r);
/* The subscription of the running period is now for this plan; "" stands for no plan of ours.  Without a plan, or if
 * ends is true, the running period is the last.  A smaller plan takes back the remaining time of the greater one. */
void paid_period_follow(struct decide *d, struct slot *s, const struct subscriptions_row *r, const char *plan,
                        bool ends);
/* A person who joined was given quota of the running period. */
void paid_period_seated(struct decide *d, struct slot *s, micros quota);
/* The period that ends at workspace.period_end_us ends.  The next begins if a person has set the plan, or as far as the
 * plan is paid. */
void paid_period_turn(struct decide *d, struct slot *s);

/* paid_period_payment_mismatch: true if the command's payment is known to have paid for something other than the period
 * that topup_seq names.  paid_period_keep_payment: remembers that it paid for the row; false if nothing is new. */
bool paid_period_payment_mismatch(struct decide *d, const struct slot *s, const struct command *c);
bool paid_period_keep_payment(struct decide *d, struct slot *s, struct paid_periods_row *r, const struct command *c);

/* paid_period_claim_fits: true if the credits for the row's refunds and disputes can be taken back.  paid_period_claim:
 * takes them back, or gives back the excess.  reference: Stripe's id of the object that caused it. */
bool paid_period_claim_fits(const struct slot *s, const struct paid_periods_row *r);
void paid_period_claim(struct decide *d, struct slot *s, struct paid_periods_row *r, enum transaction_type type,
                       const char *reference);

#endif
