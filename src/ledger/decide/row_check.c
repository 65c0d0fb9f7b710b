#include "ledger/decide/row_check.h"

#include "base/check.h"
#include "ledger/decide/expiry.h"
#include "ledger/decide/identity.h"

/* ---- the account ----------------------------------------------------------------------------------- */

void row_check_account(const struct accounts_row *a)
{
	CHECK(a->unit == UNIT_MONEY || a->unit == UNIT_CREDIT);
	CHECK(a->mode == MODE_PREPAID || a->mode == MODE_POSTPAID);
	CHECK(a->status >= STATUS_ACTIVE && a->status <= STATUS_UNPAID);
	CHECK(a->hard_limit_micros >= 0 && a->soft_limit_micros >= 0);
	/* Without an open hold nothing is held. */
	CHECK(a->open_holds > 0 || a->held_micros == 0);
	CHECK(a->open_holds <= a->hold_seq);
	/* Each grant is made with an entry. */
	CHECK(a->grant_seq <= a->entry_seq);
}

void row_check_member(const struct members_row *m)
{
	CHECK(m->role == ROLE_MEMBER || m->role == ROLE_MANAGER);
	CHECK(m->quota_micros >= 0 && m->held_micros >= 0);
	CHECK(m->period_micros >= 0 && m->day_micros >= 0 && m->month_micros >= 0);
	CHECK(m->limit_micros >= COMMAND_NO_LIMIT);
	CHECK(m->daily_limit_micros >= COMMAND_NO_LIMIT && m->monthly_limit_micros >= COMMAND_NO_LIMIT);
}

void row_check_workspace(const struct workspaces_row *w)
{
	CHECK(w->managers >= 0 && w->members >= 0);
	CHECK(w->manager_seats >= 0 && w->member_seats >= 0);
	CHECK(w->reserved_micros >= 0);
	CHECK(w->stated_micros >= 0 && w->failed_statements >= 0);
	CHECK(w->overdue_micros >= 0 && w->arrears_micros >= 0);
	CHECK(w->day_micros >= 0 && w->month_micros >= 0);
	CHECK(w->daily_limit_micros >= COMMAND_NO_LIMIT && w->monthly_limit_micros >= COMMAND_NO_LIMIT);
	/* A plan has a period, which has a length. */
	CHECK(w->plan[0] == '\0' || w->period_start_us < w->period_end_us);
}

/* ---- spending -------------------------------------------------------------------------------------- */

void row_check_grant(const struct grants_row *g)
{
	CHECK(g->seq > 0 && g->amount_micros > 0);
	CHECK(g->remaining_micros >= 0 && g->remaining_micros <= g->amount_micros);
	CHECK(g->type >= 0 && g->type < TRANSACTION_COUNT);
	CHECK(g->priority >= 0);
	CHECK(g->warned >= 0 && g->warned <= EXPIRY_TERMS);
}

void row_check_hold(const struct holds_row *h)
{
	CHECK(h->seq > 0);
	CHECK(h->reserved_micros >= 0 && h->reserved_micros <= MONEY_AMOUNT_MAX_MICROS);
	CHECK(h->input_tokens >= 0 && h->max_output_tokens >= 0);
	CHECK(h->kind == PRICE_MODEL || h->kind == PRICE_ACTION);
	/* An action has a quantity, a model has none. */
	CHECK((h->kind == PRICE_ACTION) == (h->quantity > 0));
	/* The customer's own key is for models, and reserves nothing. */
	CHECK(h->source == SOURCE_PLATFORM ||
	      (h->source == SOURCE_BYOK && h->kind == PRICE_MODEL && h->reserved_micros == 0));
}

void row_check_usage(const struct usages_row *u)
{
	CHECK(u->seq > 0 && u->reserved_micros >= 0);
	CHECK(u->cost_micros >= 0 && u->cost_micros <= MONEY_AMOUNT_MAX_MICROS);
	CHECK(u->state >= USAGE_SETTLED && u->state <= USAGE_EXPIRED);
	CHECK(u->settlement >= SETTLEMENT_NONE && u->settlement <= SETTLEMENT_PROVIDER_REPORTED);
	CHECK(u->outcome >= SETTLE_COMPLETE && u->outcome <= SETTLE_NEVER);
	/* A request that was not made costs nothing, nor does one with the customer's own key. */
	CHECK(u->state != USAGE_RELEASED || u->cost_micros == 0);
	CHECK(u->source != SOURCE_BYOK || u->cost_micros == 0);
}

void row_check_capture(const struct captures_row *c)
{
	CHECK(c->seq > 0 && c->amount_micros > 0);
	CHECK(c->debt_micros >= 0 && c->debt_micros <= c->amount_micros);
	/* A charge has at least one entry. */
	CHECK(c->entry_first > 0 && c->entry_first <= c->entry_last);
}

void row_check_request(const struct requests_row *q)
{
	CHECK(q->command >= 0 && q->command < COMMAND_COUNT);
	CHECK(q->seq >= 0);
	CHECK(q->choice >= 0 && q->choice < COMMAND_MODELS_MAX);
	CHECK(q->source == SOURCE_PLATFORM || q->source == SOURCE_BYOK);
}

/* ---- money that comes in --------------------------------------------------------------------------- */

void row_check_billing(const struct billing_row *b)
{
	CHECK(b->topup_seq >= 0);
	/* The first payment has a time. */
	CHECK(b->paid_count >= 0 && (b->paid_count > 0) == (b->first_paid_at_us != 0));
	CHECK(b->subscription_live == 0 || b->subscription_id[0] != '\0');
}

void row_check_topup(const struct topups_row *t)
{
	CHECK(t->seq > 0);
	CHECK(t->state >= TOPUP_OPEN && t->state <= TOPUP_PAID);
	CHECK(t->unit == UNIT_MONEY || t->unit == UNIT_CREDIT);
	/* A paid order has been credited, and no other has. */
	CHECK((t->state == TOPUP_PAID) == (t->transaction_seq != 0));
	CHECK((t->state == TOPUP_PAID && t->bonus_micros > 0) == (t->bonus_transaction_seq != 0));
	CHECK(t->bonus_returned_micros >= 0 && t->bonus_returned_micros <= t->bonus_micros);
	CHECK(t->refunds_live_minor >= 0 && t->refunds_live_minor <= t->refunds_known_minor);
	CHECK(t->disputes_minor >= 0);
}

void row_check_grace(const struct graces_row *g)
{
	CHECK(g->place[0] != '\0' && g->serial > 0);
	/* No more is booked than was given. */
	CHECK(g->booked_micros >= 0 && g->booked_micros <= g->limit_micros);
	CHECK(g->granted_at_us < g->ends_at_us);
}

void row_check_recharge(const struct recharges_row *r)
{
	CHECK(r->state >= RECHARGE_OFF && r->state <= RECHARGE_PAUSED);
	CHECK(r->reason >= RECHARGE_FINE && r->reason < RECHARGE_REASONS);
	/* Nothing is charged without consent. */
	CHECK(r->state == RECHARGE_OFF || r->consent_seq > 0);
	CHECK(r->state == RECHARGE_OFF || (r->charge_micros > 0 && r->charge_micros <= r->cap_micros));
	CHECK(r->state != RECHARGE_PAUSED || r->reason != RECHARGE_FINE);
	CHECK((r->pending_seq > 0) == (r->pending_micros > 0));
	/* Only a pending order has a card. */
	CHECK((r->card[0] != '\0') == (r->begun_at_us != 0) && (r->pending_seq > 0 || r->card[0] == '\0'));
	CHECK(r->month_micros >= 0 && r->day_count >= 0);
	CHECK(r->failures >= 0 && r->code_count >= 0);
}

void row_check_recharge_consent(const struct recharge_consents_row *k)
{
	CHECK(k->seq > 0 && k->version[0] != '\0' && k->terms[0] != '\0' && k->actor[0] != '\0');
	CHECK(k->below_micros > 0 && k->charge_micros > 0 && k->charge_micros <= k->cap_micros);
	CHECK(k->currency[0] != '\0');
}

void row_check_payment(const struct payments_row *p)
{
	CHECK(p->payment_id[0] != '\0');
	CHECK(p->kind >= PAYMENT_OF_TOPUP && p->kind <= PAYMENT_OF_PERIOD);
	CHECK(p->topup_seq >= 0);
}

void row_check_refund(const struct refunds_row *r)
{
	CHECK(r->refund_id[0] != '\0' && r->amount_minor >= 0);
	CHECK(r->status >= REFUND_UNKNOWN && r->status <= REFUND_FAILED);
}

void row_check_dispute(const struct disputes_row *r)
{
	CHECK(r->dispute_id[0] != '\0' && r->amount_minor >= 0);
	CHECK((r->withdrawn == 0 || r->withdrawn == 1) && (r->reinstated == 0 || r->reinstated == 1));
}

void row_check_event(const struct webhook_events_row *e)
{
	CHECK(e->event_id[0] != '\0');
	CHECK(e->provider == PROVIDER_STRIPE || e->provider == PROVIDER_CLERK);
	CHECK(e->state >= EVENT_APPLIED && e->state <= EVENT_WAITING);
	/* The body stays only as long as the event may be read again. */
	CHECK(e->state == EVENT_PARKED || e->state == EVENT_WAITING || e->body[0] == '\0');
}

void row_check_paid_period(const struct paid_periods_row *r)
{
	CHECK(r->start_us < r->end_us);
	CHECK(r->running == 0 || r->running == 1);
	CHECK(r->amount_minor >= 0);
	CHECK(r->returned_micros >= 0 && r->lapsed_micros >= 0);
	CHECK(r->owed_micros >= 0 && r->owed_micros <= r->taken_micros);
	/* No credit goes twice. */
	CHECK(money_sum(money_sum(r->returned_micros, r->lapsed_micros), r->taken_micros) <= r->granted_micros);
	CHECK(r->refunds_live_minor >= 0 && r->refunds_live_minor <= r->refunds_known_minor);
	CHECK(r->disputes_minor >= 0);
}

void row_check_statement(const struct statements_row *t)
{
	CHECK(t->seq > 0);
	CHECK(t->state >= STATEMENT_OPEN && t->state <= STATEMENT_CARRIED);
	CHECK(t->amount_micros >= 0 && t->amount_minor >= 0);
	CHECK(t->failures >= 0);
	/* A paid statement has been credited, and no other has. */
	CHECK((t->state == STATEMENT_PAID) == (t->transaction_seq != 0));
	CHECK(t->refunds_live_minor >= 0 && t->refunds_live_minor <= t->refunds_known_minor);
	CHECK(t->disputes_minor >= 0);
}

/* ---- money that is given --------------------------------------------------------------------------- */

void row_check_signup(const struct signups_row *p)
{
	CHECK(p->guesses >= 0);
	CHECK(p->reward_micros >= 0);
	CHECK(p->reward_unit == UNIT_MONEY || p->reward_unit == UNIT_CREDIT);
	/* Only a referral is rewarded. */
	CHECK(p->rewarded_at_us == 0 || p->referred_at_us != 0);
}

void row_check_redemption(const struct redemptions_row *r, const struct codes_row *code)
{
	CHECK(r->uses > 0 && r->uses <= code->uses_per_account);
	CHECK(code->uses > 0 && code->uses <= code->uses_max);
	/* Other accounts may have used the code, too. */
	CHECK(r->uses <= code->uses);
}

void row_check_campaign(const struct campaigns_row *campaign)
{
	CHECK(campaign->name[0] != '\0');
	CHECK(campaign->grants > 0);
	/* Each bonus is at least a micro. */
	CHECK(campaign->granted_micros >= campaign->grants);
}

void row_check_claim(const struct claims_row *claim)
{
	CHECK(claim->kind >= CLAIM_ACCOUNT && claim->kind <= CLAIM_PERSON);
	CHECK(claim->amount_micros > 0 && claim->transaction_seq > 0);
}

void row_check_allowance(const struct allowances_row *l)
{
	CHECK(l->seq > 0 && l->plan[0] != '\0');
	CHECK(l->period_start_us < l->period_end_us);
	CHECK(l->reason >= ALLOWANCE_PERIOD && l->reason <= ALLOWANCE_LESS);
	/* Only LESS takes credits back. */
	CHECK(l->reason == ALLOWANCE_LESS ? l->amount_micros <= 0 : l->amount_micros >= 0);
	CHECK((l->reason == ALLOWANCE_SEAT) == (l->member[0] != '\0'));
	/* An amount was moved, and nothing else was. */
	CHECK((l->amount_micros != 0) == (l->transaction_seq != 0));
	CHECK((l->amount_micros > 0) == (l->grant_seq != 0));
}

/* ---- the journal, and work for later --------------------------------------------------------------- */

void row_check_transaction(const struct transactions_row *t)
{
	CHECK(t->seq > 0);
	CHECK(t->type >= 0 && t->type < TRANSACTION_COUNT);
	CHECK(t->amount_micros >= -MONEY_AMOUNT_MAX_MICROS * 2 && t->amount_micros <= MONEY_AMOUNT_MAX_MICROS * 2);
	/* Credits that come have a grant. */
	CHECK(t->amount_micros < 0 || t->grant_seq > 0);
}

void row_check_entry(const struct entries_row *e)
{
	CHECK(e->seq > 0);
	CHECK(e->kind >= ENTRY_USAGE && e->kind <= ENTRY_RECORD);
	CHECK(e->counterpart >= COUNTERPART_USAGE && e->counterpart < COUNTERPART_COUNT);
	/* An entry is of a usage or of a transaction. */
	CHECK((e->usage_seq > 0) != (e->transaction_seq > 0));
	CHECK((e->kind == ENTRY_DEBT) == (e->counterpart == COUNTERPART_DEBT));
	CHECK(e->kind != ENTRY_USAGE || e->amount_micros < 0);
	CHECK(e->kind != ENTRY_REVERSAL || e->amount_micros > 0);
	CHECK((e->kind == ENTRY_RECORD) == (e->amount_micros == 0));
}

void row_check_alert(const struct alerts_row *l)
{
	CHECK(l->seq > 0 && l->arming > 0);
	CHECK(l->kind >= 0 && l->kind < ALERT_COUNT);
	CHECK(l->threshold_micros >= 0);
	CHECK(l->threshold_percent == 0 || (l->kind == ALERT_BALANCE_LOW && l->threshold_micros == 0));
	/* The arming of a grant that expires is the grant's seq. */
	CHECK(l->kind == ALERT_GRANT_EXPIRING || l->arming <= l->seq);
	CHECK((l->kind == ALERT_GRANT_EXPIRING) == (l->days != 0) && (l->days != 0) == (l->expires_at_us != 0));
	/* Only a limit is of a kind, and somebody's. */
	CHECK((l->kind == ALERT_LIMIT_REACHED) == (l->limit_kind != LIMIT_NONE));
	CHECK(l->kind == ALERT_LIMIT_REACHED || l->member[0] == '\0');
}

void row_check_outbox(const struct outbox_row *o)
{
	CHECK(o->seq > 0);
	CHECK(o->kind >= OUTBOX_STATEMENT && o->kind <= OUTBOX_RECHARGE);
	/* An alert is about the account, and not about a statement. */
	CHECK((o->kind != OUTBOX_SOFT_LIMIT) == (o->subject_seq > 0));
	CHECK(o->state == OUTBOX_PENDING && o->attempts == 0);
}
