/*
 * render: the common parts of answers: refusals with their fields and headers, amounts as people
 * read them.  Writes into the call's response.
 */
#ifndef OCTROI_ROUTES_API_RENDER_H
#define OCTROI_ROUTES_API_RENDER_H

#include "reports/wording.h"
#include "routes/api/call.h"
#include "routes/api/parse.h"
#include "routes/api/sentence.h"

#define RENDER_AMOUNT_MAX WORDING_MAX

/* A refusal; a member that is NULL does not apply. */
struct refusal {
	enum outcome outcome;
	const char *field;           /* of INVALID_REQUEST, and of UNKNOWN_MODEL in a query */
	const char *message;         /* instead of the outcome's own */
	const struct answer *answer; /* of a 402 */
	const char *member;          /* the owner of the limit, perhaps */
	const char *code;            /* of PAYMENT_DECLINED, Stripe's */
	const char *invoice_url;     /* of PAYMENT_DECLINED, the page to pay at nevertheless; "" for none */
};
void render_refusal(struct call *c, const struct refusal *r);
/* Writes the refusal as members of an open record: error, message, the outcome's fields, requestId. */
void render_refusal_members(struct json_writer *w, const struct call *c, const struct refusal *r);

void render_outcome(struct call *c, enum outcome outcome);
/* Refuses with another sentence than the outcome's own; field as in struct refusal. */
void render_said(struct call *c, enum outcome outcome, const char *field, enum sentence sentence);
void render_wrong(struct call *c, const struct parse *p);
/* True if the amount, in hundredths of the currency, is within topup_min and topup_max; else refuses it:
 * "Minimum top-up is 5€". */
bool render_topup_allowed(struct call *c, int64_t amount);
/* The ledger's refusal. */
struct refusal render_refused(const struct command *command);
void render_answer(struct call *c, const struct command *command);

/* Begins and ends the record that is the answer. */
void render_open(struct call *c, struct json_writer *w);
void render_close(struct json_writer *w);
/* Renders {"received":true}: a webhook's event was taken in, or nothing is to be done for it. */
void render_received(struct call *c);

/* Micros of a minor unit: a cent of money, a whole credit. */
int64_t render_per_minor(int64_t unit);
/* amount in whole minor units, rounded down. */
void render_put_whole(struct json_writer *w, const char *key, int64_t amount_micros, int64_t unit);
/* The public id of an account's hold, usage or transaction. */
void render_put_id(struct json_writer *w, const char *key, const struct account_key *account, int64_t seq);
/* Writes nothing when text is "". */
void render_put_given(struct json_writer *w, const char *key, const char *text);

/* As wording_amount and wording_money, in the caller's language. */
void render_amount(const struct call *c, int64_t unit, int64_t amount_micros, char out[RENDER_AMOUNT_MAX]);
void render_amount_short(const struct call *c, int64_t amount_micros, char out[RENDER_AMOUNT_MAX]);

#endif
