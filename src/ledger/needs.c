#include "ledger/needs.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/decide.h"

/* Names the order or the statement that a payment was for. */
static bool name_order(struct rows *rows, struct slot *s, const struct command *c)
{
	if (c->payment_kind == PAYMENT_OF_STATEMENT)
		return rows_want(rows, s, TABLE_STATEMENTS, &c->topup_seq);
	return rows_want(rows, s, TABLE_TOPUPS, &c->topup_seq);
}

/* Names the rows that commands about incoming money look at. */
static bool name_orders(struct rows *rows, struct slot *s, const struct command *c, int needs)
{
	const enum table_id object = (enum table_id)NEEDS_OBJECT_TABLE(needs);
	bool ok = true;

	_Static_assert(TABLE_ACCOUNTS == 0, "0 stands for no table, and no command needs an account as its object");
	CHECK(object < TABLE_COUNT && (object == 0 || table_of(object)->load == LOAD_NAMED));
	if ((needs & NEEDS_BILLING) != 0)
		ok = rows_want(rows, s, TABLE_BILLING, NULL);
	if ((needs & NEEDS_TOPUP) != 0)
		ok = ok && name_order(rows, s, c);
	if ((needs & NEEDS_PERIOD) != 0) {
		s->wants_periods = true;
		ok = ok && rows_want(rows, s, TABLE_PAID_PERIODS, &c->topup_seq);
	}
	if ((needs & NEEDS_RECHARGE) != 0)
		ok = ok && rows_want(rows, s, TABLE_RECHARGES, NULL);
	if ((needs & NEEDS_PAYMENT) != 0 && c->payment_id[0] != '\0')
		ok = ok && rows_want(rows, NULL, TABLE_PAYMENTS, c->payment_key);
	if (object != 0 && c->object_id[0] != '\0')
		ok = ok && rows_want(rows, s, object, c->object_key);
	if (c->event.id != NULL)
		ok = ok && rows_want(rows, NULL, TABLE_WEBHOOK_EVENTS, c->event_key);
	return ok;
}

/* Names the rows that bonuses, codes and referrals look at. */
static bool name_people(struct rows *rows, struct slot *s, const struct command *c, int needs)
{
	struct slot *other;
	bool ok = true;

	CHECK((needs & NEEDS_CLAIMS) == 0 || (c->bonus.claim_count > 0 && c->bonus.claim_count <= COMMAND_CLAIMS_MAX));
	if ((needs & NEEDS_NAMED_REFERRER) != 0) {
		other = rows_slot(rows, &c->refer.referrer);
		if (other == NULL)
			return false;
		other->wants_grants = true;
	}
	if ((needs & NEEDS_SIGNUP) != 0)
		ok = rows_want(rows, s, TABLE_SIGNUPS, NULL);
	if ((needs & NEEDS_CLAIMS) != 0)
		ok = ok && rows_want(rows, NULL, TABLE_CAMPAIGNS, c->bonus.campaign_key);
	for (int i = 0; (needs & NEEDS_CLAIMS) != 0 && i < c->bonus.claim_count; i++)
		ok = ok && rows_want(rows, NULL, TABLE_CLAIMS, c->bonus.claim_key[i]);
	if (c->kind == COMMAND_ACCOUNT && c->account_change.has_claims)
		ok = ok && rows_want(rows, NULL, TABLE_CLAIMS, c->account_change.account_claim) &&
		     rows_want(rows, NULL, TABLE_CLAIMS, c->account_change.email_claim);
	if ((needs & NEEDS_CODE) != 0)
		ok = ok && rows_want(rows, NULL, TABLE_CODES, c->redeem.code_key) &&
		     rows_want(rows, s, TABLE_REDEMPTIONS, c->redeem.code_key);
	return ok;
}

bool needs_name(struct rows *rows, struct slot *s, const struct command *c)
{
	const int needs = decide_needs(c->kind);
	bool ok = true;

	/* command_prepare leaves no id NULL. */
	CHECK(c->member != NULL && c->payment_id != NULL && c->object_id != NULL);
	CHECK(memcmp(&s->key, &c->account, sizeof(s->key)) == 0);
	if ((needs & NEEDS_GRANTS) != 0)
		s->wants_grants = true;
	if ((needs & NEEDS_HOLD) != 0)
		ok = rows_want(rows, s, TABLE_HOLDS, &c->hold_seq) && rows_want(rows, s, TABLE_USAGES, &c->hold_seq);
	/* A charge for an expired hold may have to be given back. */
	if ((needs & NEEDS_HOLD) != 0 && (needs & NEEDS_GRANTS) != 0)
		ok = ok && rows_want(rows, s, TABLE_CAPTURES, &c->hold_seq);
	if ((needs & NEEDS_PROFILE) != 0)
		ok = ok && rows_want(rows, s, TABLE_PROFILES, NULL);
	if ((needs & NEEDS_MEMBERS) != 0)
		s->wants_members = true;
	if ((needs & NEEDS_MEMBER) != 0 || c->member[0] != '\0')
		ok = ok && rows_want(rows, s, TABLE_MEMBERS, c->member);
	if ((needs & NEEDS_STATEMENT) != 0)
		ok = ok && rows_want(rows, s, TABLE_STATEMENTS, &c->statement_seq);
	if (c->kind == COMMAND_AUTHORIZE && c->authorize.place != NULL)
		ok = ok && rows_want(rows, s, TABLE_GRACES, NULL);
	if (c->request_id != NULL)
		ok = ok && rows_want(rows, s, TABLE_REQUESTS, c->request_key);
	return ok && name_orders(rows, s, c, needs) && name_people(rows, s, c, needs);
}

bool needs_name_replayed(struct rows *rows, struct slot *s, const struct command *c)
{
	const struct requests_row *q;

	CHECK(s != NULL && memcmp(&s->key, &c->account, sizeof(s->key)) == 0);
	if (c->kind != COMMAND_AUTHORIZE || c->request_id == NULL)
		return true;
	q = rows_request(rows, s, c->request_key);
	return q == NULL || q->command != COMMAND_AUTHORIZE || rows_want(rows, s, TABLE_USAGES, &q->seq);
}
