#include "worker/recharge.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "inbox/inbox.h"
#include "queries/recharges.h"

#define ARENA_BYTES ((size_t)64 * 1024)
/* Limit of rounds: the rows change only a few times within one charge. */
#define ROUNDS_MAX 4
/* Pages of a customer's newest payments, of 100 each: no customer makes as many while one charge is under way. */
#define PAGES_MAX 3
#define CARD_MAX 201
#define ABOUT "recharge"
#define NO_CARD "no_payment_method"
#define DECLINED "card_declined"
#define ACTION_NEEDED "authentication_required"
/* A payment that was asked for may still be on its way to Stripe. */
#define ASK_AFTER_US (300 * CLOCK_US_PER_SECOND)

/* One charge under way. */
struct recharging {
	const struct charge_options *o;
	struct account_key account;
	const char *account_id;
	int64_t number, deadline_us;
	struct arena *arena;
	struct recharges_known known;
	char id[ID_PUBLIC_MAX]; /* the order's name towards Stripe */
	char card[CARD_MAX];
	struct recharge_result *r;
};

/* A step's result: go on with the next step, look at the rows anew, or over, with the end in w->r. */
enum stage { STAGE_ON, STAGE_ANEW, STAGE_OVER };

static enum stage end_with(struct recharging *w, enum recharge_end end, const char *error)
{
	w->r->end = end;
	(void)snprintf(w->r->error, sizeof(w->r->error), "%s", error);
	return STAGE_OVER;
}

/* ---- the ledger and the database ------------------------------------------------------------------ */

static struct command recharge_command(const struct recharging *w, enum command_kind kind)
{
	return (struct command){.kind = kind,
	                        .account = w->account,
	                        .account_id = w->account_id,
	                        .member = "",
	                        .topup_seq = w->known.pending_seq,
	                        .payment_kind = PAYMENT_OF_TOPUP};
}

static enum stage submit_step(struct recharging *w, struct command *c)
{
	ledger_submit(w->o->ledger, c, w->deadline_us);
	if (c->answer.outcome == OUTCOME_OK)
		return STAGE_ON;
	if (c->answer.outcome == OUTCOME_NOT_FOUND)
		return end_with(w, RECHARGE_END_OVER, "there is no such recharge");
	return end_with(w, RECHARGE_END_LATER, "the ledger does not answer");
}

static enum stage read_rows(struct recharging *w)
{
	struct db *d = pool_take(w->o->readers, w->deadline_us);
	int result = -1;

	arena_reset(w->arena);
	if (d != NULL) {
		result = recharges_read(d, w->arena, &w->account, &w->known);
		pool_give(w->o->readers, d);
	}
	if (result < 0)
		return end_with(w, RECHARGE_END_LATER, "the recharge cannot be read");
	w->id[0] = '\0';
	if (w->known.pending_seq > 0)
		id_public_format(&w->account, w->known.pending_seq, w->id);
	return w->known.found ? STAGE_ON : end_with(w, RECHARGE_END_OVER, "there is no such recharge");
}

/* Ends the pending order without money. */
static enum stage end_order(struct recharging *w, const char *code, bool refused)
{
	struct command c = recharge_command(w, COMMAND_RECHARGE_END);
	enum stage stage;

	(void)snprintf(w->r->code, sizeof(w->r->code), "%s",
	               code[0] == '\0' || stripe_id_valid(code, "") ? code : DECLINED);
	c.recharge_end.code = w->r->code;
	c.recharge_end.refused = refused;
	stage = submit_step(w, &c);
	return stage == STAGE_ON ? end_with(w, RECHARGE_END_OVER, "") : stage;
}

/* Books the state of the payment as its event would; whichever comes first counts. */
static enum stage book_intent(struct recharging *w, const struct json *intent, enum topup_state state)
{
	const struct inbox in = {.ledger = w->o->ledger, .readers = w->o->readers, .plans = "", .livemode = -1};
	const struct json *livemode = json_get(intent, "livemode");
	struct command c = recharge_command(w, COMMAND_PAYMENT);
	enum stage stage;

	c.payment_id = json_get_text(intent, "id");
	c.payment.state = state;
	c.payment.amount_minor = json_get_int(intent, "amount_received", 0);
	c.payment.currency = json_get_text(intent, "currency");
	c.payment.customer_id = json_get_text(intent, "customer");
	c.payment.session_id = "";
	c.payment.livemode = livemode != NULL && json_type(livemode) == JSON_BOOL && json_bool(livemode);
	c.payment.named = true;
	stage = submit_step(w, &c);
	if (stage == STAGE_ON && c.answer.event_state == EVENT_PARKED)
		return end_with(w, RECHARGE_END_PARKED, c.answer.note);
	/* Refunds and disputes that came before the payment was known. */
	if (stage == STAGE_ON && c.payment_id[0] != '\0' && inbox_resolve(&in, c.payment_id, w->deadline_us) != 0)
		return end_with(w, RECHARGE_END_LATER, "what waits for this payment cannot be taken up");
	return stage;
}

/* ---- Stripe's answers ------------------------------------------------------------------------------ */

static bool intent_is(const struct json *intent, const char *status)
{
	return strcmp(json_get_text(intent, "status"), status) == 0;
}

static const char *first_given(const char *a, const char *b, const char *c)
{
	return a[0] != '\0' ? a : b[0] != '\0' ? b : c;
}

/* Goes on from the payment's state. */
static enum stage take_intent(struct recharging *w, const struct json *intent)
{
	const struct json *error = json_get(intent, "last_payment_error");
	enum stage stage;

	if (intent_is(intent, "succeeded")) {
		stage = book_intent(w, intent, TOPUP_PAID);
		return stage == STAGE_ON ? end_with(w, RECHARGE_END_PAID, "") : stage;
	}
	if (intent_is(intent, "processing")) {
		stage = book_intent(w, intent, TOPUP_PENDING);
		return stage == STAGE_ON ? end_with(w, RECHARGE_END_LATER, "the money is on its way") : stage;
	}
	if (intent_is(intent, "requires_action") || intent_is(intent, "requires_confirmation"))
		return end_order(w, ACTION_NEEDED, false);
	return end_order(w, first_given(json_get_text(error, "decline_code"), json_get_text(error, "code"), DECLINED),
	                 false);
}

static bool is_missing(const struct stripe_call *call)
{
	return strcmp(call->code, "resource_missing") == 0;
}

/* True if the operator has to mend the key: then nothing is lost by waiting. */
static bool is_mendable(const struct stripe_call *call, enum stripe_result result)
{
	return result != STRIPE_REFUSED || call->status == 401 || call->status == 403;
}

static enum stage take_refusal(struct recharging *w, const struct stripe_call *call, enum stripe_result result)
{
	if (is_mendable(call, result))
		return end_with(w, RECHARGE_END_LATER, call->error);
	if (call->status == 402)
		return end_order(w, first_given(call->decline_code, call->code, DECLINED), false);
	if (is_missing(call))
		return end_order(w, NO_CARD, false);
	log_event(LOG_LEVEL_ERROR, "recharge_refused", LOG_TEXT("account", w->account_id), LOG_TEXT("order", w->id),
	          LOG_TEXT("code", call->code), LOG_TEXT("param", call->param), LOG_TEXT("error", call->error));
	return end_order(w, first_given(call->code, "refused", ""), true);
}

/* ---- the card -------------------------------------------------------------------------------------- */

static enum stripe_result ask_payment(const struct recharging *w, const char *path, struct stripe_call *call)
{
	enum stripe_result result = stripe_send(w->o->stripe, call);

	CHECK(call->path == path);
	call->path = NULL; /* it ends with the caller */
	return result;
}

static size_t list_size(const struct json *list)
{
	return list != NULL && json_type(list) == JSON_LIST ? json_size(list) : 0;
}

/* Puts the customer's default card into w->card if it is one of these; the first one, else. */
static enum stage choose_card(struct recharging *w, const struct json *cards)
{
	char path[STRIPE_PATH_MAX];
	struct stripe_call call;
	enum stripe_result result;
	const char *chosen;

	(void)snprintf(w->card, sizeof(w->card), "%s", json_get_text(json_at(cards, 0), "id"));
	if (list_size(cards) == 1)
		return STAGE_ON;
	(void)snprintf(path, sizeof(path), "/v1/customers/%s", w->known.customer_id);
	stripe_begin(&call, path, NULL, w->deadline_us);
	result = ask_payment(w, path, &call);
	chosen = json_get_text(json_get(call.json, "invoice_settings"), "default_payment_method");
	for (size_t i = 0; i < list_size(cards); i++)
		if (strcmp(json_get_text(json_at(cards, i), "id"), chosen) == 0)
			(void)snprintf(w->card, sizeof(w->card), "%s", chosen);
	stripe_call_free(&call);
	return result == STRIPE_OK ? STAGE_ON
	                           : end_with(w, RECHARGE_END_LATER, "the customer's default card cannot be read");
}

static enum stage find_saved_card(struct recharging *w)
{
	char path[STRIPE_PATH_MAX];
	struct stripe_call call;
	enum stripe_result result;
	const struct json *cards;
	enum stage stage;

	if (!stripe_id_valid(w->known.customer_id, "cus_"))
		return end_order(w, NO_CARD, false);
	(void)snprintf(path, sizeof(path), "/v1/customers/%s/payment_methods", w->known.customer_id);
	stripe_begin(&call, path, NULL, w->deadline_us);
	stripe_put(&call, "type", "card");
	stripe_put_int(&call, "limit", 100);
	result = ask_payment(w, path, &call);
	cards = json_get(call.json, "data");
	if (result != STRIPE_OK)
		stage = take_refusal(w, &call, result);
	else if (list_size(cards) == 0)
		stage = end_order(w, NO_CARD, false);
	else /* the newest comes first */
		stage = choose_card(w, cards);
	stripe_call_free(&call);
	if (stage == STAGE_ON && !stripe_id_valid(w->card, ""))
		return end_with(w, RECHARGE_END_LATER, "Stripe's card has no id");
	return stage;
}

/* Notes the card under the lock: from then on the payment may be there. */
static enum stage note_card(struct recharging *w)
{
	struct command c = recharge_command(w, COMMAND_RECHARGE_NOTE);
	enum stage stage;

	c.recharge_note.card = w->card;
	stage = submit_step(w, &c);
	if (stage == STAGE_ON && c.answer.recharge_step != RECHARGE_POST)
		return STAGE_ANEW;
	return stage == STAGE_ON ? read_rows(w) : stage;
}

/* ---- the payment ----------------------------------------------------------------------------------- */

static void put_payment(const struct recharging *w, struct stripe_call *call)
{
	stripe_put_int(call, "amount", w->known.order_amount_minor);
	stripe_put(call, "currency", w->known.order_currency);
	stripe_put(call, "customer", w->known.customer_id);
	stripe_put(call, "payment_method", w->known.card);
	stripe_put(call, "payment_method_types[0]", "card");
	stripe_put(call, "off_session", "true");
	stripe_put(call, "confirm", "true");
	stripe_put(call, "error_on_requires_action", "true");
	stripe_put(call, "description", w->o->product);
	stripe_put(call, "metadata[user_id]", w->account_id);
	stripe_put(call, "metadata[topup_id]", w->id);
}

/* Asks for the state of a payment whose id is known. */
static enum stage get_payment(struct recharging *w)
{
	char path[STRIPE_PATH_MAX];
	struct stripe_call call;
	enum stripe_result result;
	enum stage stage;

	if (!stripe_id_valid(w->known.order_payment_id, "pi_"))
		return end_with(w, RECHARGE_END_PARKED, "the order's payment has no id of Stripe's");
	(void)snprintf(path, sizeof(path), "/v1/payment_intents/%s", w->known.order_payment_id);
	stripe_begin(&call, path, NULL, w->deadline_us);
	result = ask_payment(w, path, &call);
	stage = result == STRIPE_OK ? take_intent(w, call.json) : end_with(w, RECHARGE_END_LATER, call.error);
	stripe_call_free(&call);
	return stage;
}

/* Looks for the order's payment among a page of the customer's.  STAGE_ON: it is not there; *last is the last one's
 * id, "" on the last page. */
static enum stage look_through(struct recharging *w, const struct json *page, char last[CARD_MAX])
{
	const struct json *rows = json_get(page, "data"), *more = json_get(page, "has_more");

	last[0] = '\0';
	for (size_t i = 0; i < list_size(rows); i++) {
		const struct json *intent = json_at(rows, i);

		if (strcmp(json_get_text(json_get(intent, "metadata"), "topup_id"), w->id) == 0)
			return take_intent(w, intent);
		if (i + 1 == list_size(rows) && more != NULL && json_type(more) == JSON_BOOL && json_bool(more))
			(void)snprintf(last, CARD_MAX, "%s", json_get_text(intent, "id"));
	}
	return STAGE_ON;
}

/* Finds the payment that may have been made.  Without one the order is given up.  No time limits the list, because
 * Stripe's clock may differ. */
static enum stage find_payment_made(struct recharging *w)
{
	static const char path[] = "/v1/payment_intents";
	char last[CARD_MAX] = "";
	enum stage stage = STAGE_ON;

	for (int i = 0; i < PAGES_MAX && stage == STAGE_ON && (i == 0 || last[0] != '\0'); i++) {
		struct stripe_call call;
		enum stripe_result result;

		stripe_begin(&call, path, NULL, w->deadline_us);
		stripe_put(&call, "customer", w->known.customer_id);
		stripe_put_int(&call, "limit", 100);
		stripe_put(&call, "starting_after", last);
		result = ask_payment(w, path, &call);
		last[0] = '\0';
		if (result == STRIPE_OK)
			stage = look_through(w, call.json, last);
		else if (is_mendable(&call, result) || !is_missing(&call))
			stage = end_with(w, RECHARGE_END_LATER, call.error);
		stripe_call_free(&call);
	}
	if (stage != STAGE_ON)
		return stage;
	if (w->known.now_us - w->known.begun_at_us < ASK_AFTER_US)
		return end_with(w, RECHARGE_END_LATER, "the payment is looked for");
	return end_order(w, "", false);
}

static enum stage post_payment(struct recharging *w)
{
	static const char path[] = "/v1/payment_intents";
	char key[STRIPE_KEY_MAX];
	struct stripe_call call;
	enum stripe_result result;
	enum stage stage;

	stripe_derive_key(w->known.order_key, ABOUT, key);
	stripe_begin(&call, path, key, w->deadline_us);
	call.once = true; /* the consent may be withdrawn meanwhile */
	put_payment(w, &call);
	result = ask_payment(w, path, &call);
	if (result == STRIPE_OK)
		stage = take_intent(w, call.json);
	else if (result == STRIPE_REFUSED && strcmp(call.type, "idempotency_error") == 0)
		stage = find_payment_made(w); /* the request was another one, before a setting changed */
	else
		stage = take_refusal(w, &call, result);
	call.idempotency_key = NULL; /* it ends here */
	stripe_call_free(&call);
	return stage;
}

/* ---- all of it ------------------------------------------------------------------------------------- */

static enum stage charge_pending(struct recharging *w)
{
	enum stage stage = STAGE_ON;

	if (w->known.order_payment_id[0] != '\0')
		return get_payment(w);
	if (w->known.card[0] == '\0') {
		stage = find_saved_card(w);
		if (stage == STAGE_ON)
			stage = note_card(w);
	}
	return stage == STAGE_ON ? post_payment(w) : stage;
}

static enum stage recharge_round(struct recharging *w)
{
	struct command c;
	char key[STRIPE_KEY_MAX];
	enum stage stage = read_rows(w);

	if (stage != STAGE_ON)
		return stage;
	c = recharge_command(w, COMMAND_RECHARGE_BEGIN);
	stripe_new_key(key);
	c.recharge_begin.number = w->number;
	c.recharge_begin.session_key = key;
	c.recharge_begin.livemode = stripe_is_live(w->o->stripe);
	stage = submit_step(w, &c);
	if (stage != STAGE_ON)
		return stage;
	switch (c.answer.recharge_step) {
	case RECHARGE_NOTHING:
		return end_with(w, RECHARGE_END_OVER, "");
	case RECHARGE_READ:
		return STAGE_ANEW;
	case RECHARGE_WAIT:
		w->r->wait_us = c.answer.wait_us;
		return end_with(w, RECHARGE_END_WAIT, "");
	case RECHARGE_ASK:
		return w->known.order_payment_id[0] != '\0' ? get_payment(w) : find_payment_made(w);
	case RECHARGE_POST:
		break;
	}
	if (w->known.pending_seq != c.answer.seq)
		stage = read_rows(w);
	return stage == STAGE_ON ? charge_pending(w) : stage;
}

void recharge_charge(const struct charge_options *o, const struct account_key *account, const char *account_id,
                     int64_t number, int64_t deadline_us, struct recharge_result *result)
{
	static const char *const names[] = {"paid", "over", "wait", "later", "parked"};
	struct recharging w = {.o = o,
	                       .account = *account,
	                       .account_id = account_id,
	                       .number = number,
	                       .deadline_us = deadline_us,
	                       .arena = arena_new(ARENA_BYTES),
	                       .r = result};
	enum stage stage = STAGE_ANEW;

	*result = (struct recharge_result){.end = RECHARGE_END_LATER};
	for (int i = 0; w.arena != NULL && i < ROUNDS_MAX && stage == STAGE_ANEW; i++)
		stage = recharge_round(&w);
	log_event(result->end == RECHARGE_END_PARKED ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "recharge",
	          LOG_TEXT("account", account_id), LOG_TEXT("order", w.id), LOG_TEXT("end", names[result->end]),
	          LOG_TEXT("code", result->code), LOG_TEXT("error", result->error));
	arena_free(w.arena);
}
