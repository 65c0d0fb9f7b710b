/*
 * effects: the only functions that change a balance, a held amount, a grant's remainder, the chain and the entries.
 * All are called below a command's line of no return, so none of them can fail.  Their callers have checked every sum
 * that they will make.
 */
#ifndef OCTROI_LEDGER_DECIDE_EFFECTS_H
#define OCTROI_LEDGER_DECIDE_EFFECTS_H

#include "ledger/decide/decide.h"
#include "ledger/decide/entry.h"
#include "ledger/rows/record.h"

/* The account's row, to be changed; made if it is not there. */
struct accounts_row *effects_account(struct decide *d, struct slot *s, const struct command *c);

/* A movement that is not usage, as the customer sees it; strings may be NULL. */
struct effects_transaction {
	enum transaction_type type;
	micros amount_micros; /* > 0: a grant of priority and expiry; < 0: taken from the grants */
	int64_t priority, expires_at_us, at_us;
	const char *description, *reference, *actor, *metadata;
};
/* The default priority of grants of this type. */
int64_t effects_priority(enum transaction_type type);
/* Books the movement; returns the transaction's seq. */
int64_t effects_transact(struct decide *d, struct slot *s, const struct effects_transaction *t);
/* Books as effects_transact does, but takes a negative amount from that grant first, whatever its turn. */
int64_t effects_claw_back(struct decide *d, struct slot *s, const struct effects_transaction *t, int64_t grant_seq);
/* Takes the rest of one grant; t's amount is minus that rest. */
void effects_expire_grant(struct decide *d, struct slot *s, struct grants_row *g, const struct effects_transaction *t);

/* Adds change, which may be negative, to the amount that the open hold reserves. */
void effects_reserve(struct decide *d, struct slot *s, struct holds_row *h, micros change);
/* The open hold ends: its row moves to usages, in the given state, with nothing charged yet. */
struct usages_row *effects_end_hold(struct decide *d, struct slot *s, struct holds_row *h, enum usage_state state,
                                    int64_t at_us);
/* Sets the cost of a usage and moves the difference to the cost before.  An excess goes back to the grants that paid
 * it, and out of the windows that counted it.  The call is the last change of a usage: its entry records the row, and
 * the row keeps balance and available for a repeated answer.  Callers make it even at no cost.  recorded: the row's
 * record_of before the change, 0 when the usage has just ended. */
void effects_cost(struct decide *d, struct slot *s, struct usages_row *u, micros cost, record_sum recorded,
                  int64_t at_us);
/* Sets the cost of a hold that has just expired, and adds the captures row that a later reduction needs. */
void effects_capture(struct decide *d, struct slot *s, struct usages_row *u, micros cost, int64_t at_us);

/* Keeps the answer under the command's request id. */
void effects_remember(struct decide *d, struct slot *s, const struct command *c);
/* Notes the command's webhook event, with answer.event_state and .note. */
void effects_event(struct decide *d, const struct command *c);
/* The customer's row of profiles, to be changed; made if it is not there. */
struct profiles_row *effects_profile(struct decide *d, struct slot *s);
/* The account's row of billing, to be changed; made if it is not there. */
struct billing_row *effects_billing(struct decide *d, struct slot *s);

#endif
