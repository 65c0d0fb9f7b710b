/*
 * signup: the issuer of tokens reports that a person signed up or changed.  The account is made, and the e-mail
 * address and the name are kept.  The sign-up bonus is given if it may be.  A bonus that may not be given is no
 * refusal, for the rest stands.
 */
#include "ledger/decide/decide.h"

#include "base/check.h"
#include "ledger/decide/campaign.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/row_check.h"

static void keep_profile(struct decide *d, struct slot *s, const struct command *c)
{
	struct profiles_row *p;

	if (c->bonus.email[0] == '\0' && c->bonus.name[0] == '\0')
		return;
	p = effects_profile(d, s);
	p->email = c->bonus.email[0] != '\0' ? c->bonus.email : p->email;
	p->name = c->bonus.name[0] != '\0' ? c->bonus.name : p->name;
}

void decide_signup(struct decide *d, struct slot *s, struct command *c)
{
	struct answer *a = &c->answer;
	const enum outcome refusal = campaign_refusal(d, s, c);

	a->outcome = OUTCOME_OK;
	a->event_state = EVENT_APPLIED;
	a->note = refusal == OUTCOME_OK || c->bonus.amount_micros == 0 ? "" : outcome_name(refusal);
	campaign_account(d, s, c);
	keep_profile(d, s, c);
	campaign_know_claims(d, c);
	if (refusal == OUTCOME_OK) {
		a->seq = campaign_give(d, s, c);
		a->amount_micros = c->bonus.amount_micros;
	}
	CHECK((a->seq != 0) == (refusal == OUTCOME_OK));
	row_check_account(s->account);
	funds_figures(s, a);
}
