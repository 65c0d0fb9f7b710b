#include "ledger/decide/campaign.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/identity.h"
#include "ledger/decide/row_check.h"

static struct campaigns_row *find_campaign(struct decide *d, const struct command *c)
{
	return (struct campaigns_row *)rows_find(d->rows, NULL, TABLE_CAMPAIGNS, c->bonus.campaign_key);
}

static bool is_claimed(struct decide *d, const struct command *c)
{
	CHECK(c->bonus.claim_count > 0 && c->bonus.claim_count <= COMMAND_CLAIMS_MAX);
	for (int i = 0; i < c->bonus.claim_count; i++)
		if (rows_find(d->rows, NULL, TABLE_CLAIMS, c->bonus.claim_key[i]) != NULL)
			return true;
	return false;
}

/* True if the command claims an address; one that cannot be compared does not count. */
static bool has_address(const struct command *c)
{
	for (int i = 0; i < c->bonus.claim_count; i++)
		if (c->bonus.claim_kind[i] == CLAIM_EMAIL)
			return true;
	return false;
}

static bool has_paid(struct decide *d, struct slot *s)
{
	const struct billing_row *b = rows_billing(d->rows, s);

	return b != NULL && b->first_paid_at_us != 0;
}

static bool within_cap(struct decide *d, const struct command *c)
{
	const struct campaigns_row *campaign = find_campaign(d, c);
	micros sum;

	CHECK(c->bonus.amount_micros > 0 && c->bonus.cap_micros >= 0);
	return money_add(campaign != NULL ? campaign->granted_micros : 0, c->bonus.amount_micros, &sum) &&
	       (c->bonus.cap_micros == 0 || sum <= c->bonus.cap_micros);
}

enum outcome campaign_refusal(struct decide *d, struct slot *s, const struct command *c)
{
	if (c->bonus.amount_micros == 0 || (s->account != NULL && s->account->unit != (int64_t)c->bonus.unit))
		return OUTCOME_BONUS_NOT_OFFERED;
	if (is_claimed(d, c))
		return OUTCOME_BONUS_CLAIMED;
	if (c->bonus.needs_email && !has_address(c))
		return OUTCOME_EMAIL_NEEDED;
	if (c->bonus.after_payment && !has_paid(d, s))
		return OUTCOME_PAYMENT_FIRST;
	if (!within_cap(d, c))
		return OUTCOME_BONUS_EXHAUSTED;
	return funds_fit(s->account, c->bonus.amount_micros) ? OUTCOME_OK : OUTCOME_BONUS_NOT_OFFERED;
}

void campaign_account(struct decide *d, struct slot *s, const struct command *c)
{
	const bool there = s->account != NULL;

	effects_account(d, s, c);
	if (!there)
		s->account->unit = c->bonus.unit;
}

static void count_claim(struct decide *d, const struct command *c)
{
	struct campaigns_row *campaign = find_campaign(d, c);

	if (campaign == NULL) {
		campaign = (struct campaigns_row *)rows_alloc(d->rows, TABLE_CAMPAIGNS);
		memcpy(campaign->id, c->bonus.campaign_key, sizeof(campaign->id));
		campaign->name = c->bonus.campaign;
		campaign->created_at_us = d->now_us;
		rows_add(d->rows, NULL, &campaign->row);
	}
	rows_touch(d->rows, &campaign->row);
	campaign->granted_micros += c->bonus.amount_micros;
	campaign->grants++;
	row_check_campaign(campaign);
	CHECK(c->bonus.cap_micros == 0 || campaign->granted_micros <= c->bonus.cap_micros);
}

static void claim_bonus(struct decide *d, struct slot *s, const struct command *c, int64_t seq)
{
	for (int i = 0; i < c->bonus.claim_count; i++) {
		struct claims_row *row = (struct claims_row *)rows_alloc(d->rows, TABLE_CLAIMS);

		memcpy(row->id, c->bonus.claim_key[i], sizeof(row->id));
		memcpy(row->campaign_id, c->bonus.campaign_key, sizeof(row->campaign_id));
		row->kind = c->bonus.claim_kind[i];
		memcpy(row->account_id, s->key.bytes, sizeof(row->account_id));
		row->transaction_seq = seq;
		row->amount_micros = c->bonus.amount_micros;
		row->created_at_us = d->now_us;
		row_check_claim(row);
		rows_add(d->rows, NULL, &row->row);
	}
}

int64_t campaign_give(struct decide *d, struct slot *s, const struct command *c)
{
	const struct effects_transaction t = {
		.type = TRANSACTION_SIGNUP_BONUS,
		.amount_micros = c->bonus.amount_micros,
		.priority = effects_priority(TRANSACTION_SIGNUP_BONUS),
		.at_us = d->now_us,
		.description = c->bonus.description,
		.reference = c->bonus.campaign,
		.actor = "campaign",
	};
	int64_t seq;

	CHECK(s->account->unit == (int64_t)c->bonus.unit);
	seq = effects_transact(d, s, &t);
	count_claim(d, c);
	claim_bonus(d, s, c, seq);
	return seq;
}

void campaign_know_email(struct decide *d, const unsigned char account_claim[ID_KEY_BYTES],
                         const unsigned char email_claim[ID_KEY_BYTES])
{
	const struct claims_row *had = (const struct claims_row *)rows_find(d->rows, NULL, TABLE_CLAIMS, account_claim);
	struct claims_row *row;

	if (had == NULL || rows_find(d->rows, NULL, TABLE_CLAIMS, email_claim) != NULL)
		return;
	row = (struct claims_row *)rows_alloc(d->rows, TABLE_CLAIMS);
	memcpy(row->id, email_claim, sizeof(row->id));
	memcpy(row->campaign_id, had->campaign_id, sizeof(row->campaign_id));
	row->kind = CLAIM_EMAIL;
	memcpy(row->account_id, had->account_id, sizeof(row->account_id));
	row->transaction_seq = had->transaction_seq;
	row->amount_micros = had->amount_micros;
	row->created_at_us = d->now_us;
	row_check_claim(row);
	rows_add(d->rows, NULL, &row->row);
}

void campaign_know_claims(struct decide *d, const struct command *c)
{
	CHECK(c->bonus.claim_count > 0 && c->bonus.claim_kind[0] == CLAIM_ACCOUNT);
	for (int i = 0; i < c->bonus.claim_count; i++)
		if (c->bonus.claim_kind[i] == CLAIM_EMAIL)
			campaign_know_email(d, c->bonus.claim_key[0], c->bonus.claim_key[i]);
}
