/*
 * campaign: the sign-up bonus of a campaign, once per account, e-mail address and person, up to the
 * campaign's cap.  For the commands that give the bonus; guards and effects need NEEDS_GRANTS, NEEDS_BILLING and
 * NEEDS_CLAIMS.
 */
#ifndef OCTROI_LEDGER_DECIDE_CAMPAIGN_H
#define OCTROI_LEDGER_DECIDE_CAMPAIGN_H

#include "ledger/decide/decide.h"

/* The guards: OUTCOME_OK when the bonus may be given. */
enum outcome campaign_refusal(struct decide *d, struct slot *s, const struct command *c);
/* Gives the bonus, below the command's line; the account exists.  Returns the transaction's seq. */
int64_t campaign_give(struct decide *d, struct slot *s, const struct command *c);
/* Makes the account, with the bonus's unit, if it is not there. */
void campaign_account(struct decide *d, struct slot *s, const struct command *c);

/* An address has become known of an account.  If the account has had the bonus, the address has had the bonus too, and
 * another account with that address gets none.  The keys of claims are those of identity.h. */
void campaign_know_email(struct decide *d, const unsigned char account_claim[ID_KEY_BYTES],
                         const unsigned char email_claim[ID_KEY_BYTES]);
/* Calls campaign_know_email for each address that a SIGNUP claims. */
void campaign_know_claims(struct decide *d, const struct command *c);

#endif
