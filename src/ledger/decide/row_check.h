/*
 * row_check: the conditions that hold in each row of a table after every function that changes it.  A row that breaks
 * one is a bug: the process aborts.  Rows of every earlier schema version meet the conditions.  A time is never
 * compared with the clock, which may step back.  Pure; each check looks at one row, and takes no loop.
 */
#ifndef OCTROI_LEDGER_DECIDE_ROW_CHECK_H
#define OCTROI_LEDGER_DECIDE_ROW_CHECK_H

#include "ledger/decide/decide.h"
#include "ledger/decide/entry.h"

void row_check_account(const struct accounts_row *a);
void row_check_member(const struct members_row *m);
void row_check_grant(const struct grants_row *g);
void row_check_hold(const struct holds_row *h);
void row_check_usage(const struct usages_row *u);
void row_check_capture(const struct captures_row *c);
void row_check_request(const struct requests_row *q);
void row_check_billing(const struct billing_row *b);
void row_check_topup(const struct topups_row *t);
void row_check_payment(const struct payments_row *p);
void row_check_refund(const struct refunds_row *r);
void row_check_dispute(const struct disputes_row *r);
void row_check_event(const struct webhook_events_row *e);
void row_check_signup(const struct signups_row *p);
void row_check_redemption(const struct redemptions_row *r, const struct codes_row *code);
void row_check_campaign(const struct campaigns_row *campaign);
void row_check_claim(const struct claims_row *claim);
void row_check_workspace(const struct workspaces_row *w);
void row_check_paid_period(const struct paid_periods_row *r);
void row_check_statement(const struct statements_row *t);
void row_check_allowance(const struct allowances_row *l);
void row_check_alert(const struct alerts_row *l);
void row_check_grace(const struct graces_row *g);
void row_check_recharge(const struct recharges_row *r);
void row_check_recharge_consent(const struct recharge_consents_row *k);
void row_check_outbox(const struct outbox_row *o);
void row_check_transaction(const struct transactions_row *t);
void row_check_entry(const struct entries_row *e);

#endif
