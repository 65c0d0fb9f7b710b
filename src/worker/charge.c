#include "worker/charge.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "inbox/inbox.h"
#include "worker/customer.h"

#define INVOICE_PREFIX "in_"
/* Limit of rounds: a statement that lessens is begun anew, and can lessen only a few times within one charge. */
#define ROUNDS_MAX 4
#define ABOUT_MAX 800
#define PATH_BYTES 384
#define NO_CARD "no_payment_method"

/* One charge under way. */
struct work {
	const struct charge_options *o;
	struct account_key account;
	const char *account_id;
	int64_t seq, deadline_us;
	char id[ID_PUBLIC_MAX]; /* the statement's name towards Stripe */
	struct answer begun;    /* of STATEMENT_BEGIN */
	struct statements_known known;
	struct charge_result *r;
};

/* A step's result: go on with the next step, begin anew, or over, with the end in w->r. */
enum step { STEP_ON, STEP_ANEW, STEP_OVER };

static enum step over(struct work *w, enum charge_end end, const char *error)
{
	w->r->end = end;
	(void)snprintf(w->r->error, sizeof(w->r->error), "%s", error);
	return STEP_OVER;
}

/* Ends the charge after a failure at Stripe.  A key that is not accepted (401, 403) is the operator's to mend, and
 * nothing is lost by trying again. */
static enum step failed(struct work *w, const struct stripe_call *call, enum stripe_result result)
{
	const bool mendable = result != STRIPE_REFUSED || call->status == 401 || call->status == 403;

	return over(w, mendable ? CHARGE_LATER : CHARGE_PARKED, call->error);
}

/* ---- the ledger and the database ------------------------------------------------------------------ */

static struct command command_of(const struct work *w, enum command_kind kind)
{
	return (struct command){.kind = kind,
	                        .account = w->account,
	                        .account_id = w->account_id,
	                        .member = "",
	                        .statement_seq = w->seq};
}

static enum step submit_note(struct work *w, struct command *c)
{
	ledger_submit(w->o->ledger, c, w->deadline_us);
	if (c->answer.outcome == OUTCOME_OK)
		return STEP_ON;
	if (c->answer.outcome == OUTCOME_UNAVAILABLE)
		return over(w, CHARGE_LATER, "the ledger does not answer");
	return over(w, CHARGE_PARKED, "there is no such statement");
}

static enum step read_known(struct work *w)
{
	struct db *d = pool_take(w->o->readers, w->deadline_us);
	int result = -1;

	if (d != NULL) {
		result = statements_read(d, &w->account, w->seq, &w->known);
		pool_give(w->o->readers, d);
	}
	if (result < 0 || !w->known.found)
		return over(w, CHARGE_LATER, "the statement cannot be read");
	(void)snprintf(w->r->invoice_url, sizeof(w->r->invoice_url), "%s", w->known.invoice_url);
	w->r->failures = w->known.failures;
	return STEP_ON;
}

static enum step note_statement(struct work *w, struct command *c)
{
	enum step step = submit_note(w, c);

	return step == STEP_ON ? read_known(w) : step;
}

static enum step begin_statement(struct work *w)
{
	struct command c = command_of(w, COMMAND_STATEMENT_BEGIN);
	char key[STRIPE_KEY_MAX];
	enum step step;

	stripe_new_key(key);
	c.statement_begin.customer_key = key;
	step = submit_note(w, &c);
	if (step != STEP_ON)
		return step;
	w->begun = c.answer;
	w->r->amount_minor = c.answer.amount_minor;
	w->r->amount_micros = c.answer.amount_micros;
	if (c.answer.statement_state == STATEMENT_PAID)
		return over(w, CHARGE_PAID, "");
	if (c.answer.statement_state == STATEMENT_VOID || c.answer.statement_state == STATEMENT_CARRIED)
		return over(w, CHARGE_NOTHING, "");
	return read_known(w);
}

/* Takes up the refunds and disputes that came before the payment's account was known. */
static enum step take_up(struct work *w, const char *payment)
{
	const struct inbox in = {.ledger = w->o->ledger, .readers = w->o->readers, .plans = "", .livemode = -1};

	if (payment[0] != '\0' && inbox_resolve(&in, payment, w->deadline_us) != 0)
		return over(w, CHARGE_LATER, "what waits for this payment cannot be taken up");
	return STEP_ON;
}

/* Books the invoice as paid by payment ("" where the invoice names none). */
static enum step book_payment(struct work *w, const struct json *invoice, const char *payment)
{
	const struct json *livemode = json_get(invoice, "livemode");
	struct command c = command_of(w, COMMAND_STATEMENT_PAID);
	enum step step;

	c.payment_id = payment;
	c.statement_paid.amount_minor = json_get_int(invoice, "total", 0);
	c.statement_paid.currency = json_get_text(invoice, "currency");
	c.statement_paid.invoice_id = json_get_text(invoice, "id");
	c.statement_paid.livemode = livemode != NULL && json_type(livemode) == JSON_BOOL && json_bool(livemode);
	step = submit_note(w, &c);
	if (step == STEP_ON && c.answer.event_state == EVENT_PARKED)
		step = over(w, CHARGE_PARKED, c.answer.note);
	return step == STEP_ON ? take_up(w, payment) : step;
}

/* Books the invoice as paid, by as many payments as it names. */
static enum step book_charge(struct work *w, const struct json *invoice)
{
	const char *payment = stripe_invoice_payment(invoice, 0);
	enum step step = payment == NULL ? book_payment(w, invoice, "") : STEP_ON;

	for (size_t i = 1; payment != NULL && step == STEP_ON; i++) {
		step = book_payment(w, invoice, payment);
		payment = stripe_invoice_payment(invoice, i);
	}
	return step == STEP_ON ? over(w, CHARGE_PAID, "") : step;
}

static enum step decline(struct work *w, const char *code)
{
	struct command c = command_of(w, COMMAND_STATEMENT_NOTE);
	enum step step;

	(void)snprintf(w->r->code, sizeof(w->r->code), "%s", code[0] != '\0' ? code : "card_declined");
	c.statement_note.failure = w->r->code;
	c.statement_note.attempt = w->known.failures;
	step = note_statement(w, &c);
	return step == STEP_ON ? over(w, CHARGE_DECLINED, "") : step;
}

/* Notes that the invoice is void: another one may be made, of the amount that is owed then. */
static enum step forget_invoice(struct work *w)
{
	struct command c = command_of(w, COMMAND_STATEMENT_NOTE);
	enum step step;

	c.statement_note.invoice_id = w->known.invoice_id;
	c.statement_note.voided = true;
	step = submit_note(w, &c);
	return step == STEP_ON ? STEP_ANEW : step;
}

/* ---- requests ------------------------------------------------------------------------------------- */

/* Begins a POST whose key follows from the statement and about. */
static void begin_post(const struct work *w, struct stripe_call *call, const char *path, const char *about,
                       char key[STRIPE_KEY_MAX])
{
	char kept[ID_PUBLIC_MAX + 32];

	(void)snprintf(kept, sizeof(kept), "%s %lld", w->id, (long long)w->known.created_at_us);
	stripe_derive_key(kept, about, key);
	stripe_begin(call, path, key, w->deadline_us);
}

static void invoice_path(const struct work *w, const char *action, char path[PATH_BYTES])
{
	(void)snprintf(path, PATH_BYTES, "/v1/invoices/%s%s", w->known.invoice_id, action);
}

/* Sends a POST of an action on the invoice. */
static enum stripe_result post_invoice(const struct work *w, const char *action, const char *about, const char *name,
                                       const char *value, struct stripe_call *call)
{
	char path[PATH_BYTES], key[STRIPE_KEY_MAX];
	enum stripe_result result;

	invoice_path(w, action, path);
	begin_post(w, call, path, about, key);
	stripe_put(call, name, value);
	result = stripe_send(w->o->stripe, call);
	call->path = call->idempotency_key = NULL; /* they end here */
	return result;
}

static enum stripe_result get_from_stripe(const struct work *w, const char *path, struct stripe_call *call)
{
	enum stripe_result result;

	stripe_begin(call, path, NULL, w->deadline_us);
	result = stripe_send(w->o->stripe, call);
	call->path = NULL;
	return result;
}

static enum stripe_result get_invoice(const struct work *w, struct stripe_call *call)
{
	char path[PATH_BYTES];
	enum stripe_result result;

	invoice_path(w, "", path);
	stripe_begin(call, path, NULL, w->deadline_us);
	stripe_put(call, "expand[0]", "payments");
	result = stripe_send(w->o->stripe, call);
	call->path = NULL;
	return result;
}

static bool has_status(const struct json *invoice, const char *status)
{
	return strcmp(json_get_text(invoice, "status"), status) == 0;
}

/* ---- the customer --------------------------------------------------------------------------------- */

static struct customer charged_customer(const struct work *w)
{
	return (struct customer){.account_id = w->account_id,
	                         .id = w->known.customer_id,
	                         .key = w->known.customer_key,
	                         .email = w->known.email,
	                         .name = w->known.name};
}

/* Makes a customer and notes its id.  gone_id: the customer that it replaces, "" when there was none. */
static enum step make_charged_customer(struct work *w)
{
	struct customer customer = charged_customer(w);
	struct command c = command_of(w, COMMAND_STATEMENT_NOTE);
	char made[CUSTOMER_ID_MAX], gone[STATEMENTS_TEXT_MAX];
	enum stripe_result result = customer_make(w->o->stripe, &customer, w->deadline_us, made);
	enum step step;

	if (result != STRIPE_OK)
		return over(w, CHARGE_LATER, "no customer could be made at Stripe");
	(void)snprintf(gone, sizeof(gone), "%s", w->known.customer_id);
	c.statement_note.customer_id = made;
	c.statement_note.gone_id = gone;
	step = note_statement(w, &c);
	customer = charged_customer(w);
	if (step == STEP_ON)
		customer_name(w->o->stripe, &customer, w->deadline_us);
	return step;
}

/* Finds the customer's means of payment: card is "" where Stripe knows a default by itself.  A card that was saved
 * with a purchase is not thereby the customer's default. */
static enum step find_card(struct work *w, char card[PATH_BYTES])
{
	char path[PATH_BYTES];
	struct stripe_call call;
	const struct json *settings, *rows;
	enum stripe_result result;
	enum step step = STEP_ON;
	bool known;

	card[0] = '\0';
	(void)snprintf(path, sizeof(path), "/v1/customers/%s", w->known.customer_id);
	result = get_from_stripe(w, path, &call);
	settings = json_get(call.json, "invoice_settings");
	known = json_get_text(settings, "default_payment_method")[0] != '\0' ||
	        json_get_text(call.json, "default_source")[0] != '\0';
	if (result != STRIPE_OK)
		step = failed(w, &call, result);
	stripe_call_free(&call);
	if (step != STEP_ON || known)
		return step;
	(void)snprintf(path, sizeof(path), "/v1/customers/%s/payment_methods", w->known.customer_id);
	result = get_from_stripe(w, path, &call);
	rows = json_get(call.json, "data");
	if (result != STRIPE_OK)
		step = failed(w, &call, result);
	else if (rows == NULL || json_type(rows) != JSON_LIST || json_size(rows) == 0)
		step = decline(w, NO_CARD);
	else /* the newest comes first */
		(void)snprintf(card, PATH_BYTES, "%s", json_get_text(json_at(rows, 0), "id"));
	stripe_call_free(&call);
	return step;
}

/* ---- the invoice ---------------------------------------------------------------------------------- */

static enum step note_charged_invoice(struct work *w, const struct json *invoice)
{
	const struct json *livemode = json_get(invoice, "livemode");
	struct command c = command_of(w, COMMAND_STATEMENT_NOTE);
	const char *id = json_get_text(invoice, "id"), *url = json_get_text(invoice, "hosted_invoice_url");

	if (!stripe_id_valid(id, INVOICE_PREFIX))
		return over(w, CHARGE_LATER, "Stripe's invoice has no id");
	c.statement_note.invoice_id = id;
	c.statement_note.invoice_url = url[0] != '\0' && strlen(url) < STATEMENTS_URL_MAX ? url : NULL;
	c.statement_note.livemode = livemode != NULL && json_type(livemode) == JSON_BOOL && json_bool(livemode);
	return note_statement(w, &c);
}

/* Makes a draft, which cannot be paid until it has its line and is finalized. */
static enum step make_invoice(struct work *w)
{
	char about[ABOUT_MAX], key[STRIPE_KEY_MAX];
	struct stripe_call call;
	enum stripe_result result;
	enum step step;

	(void)snprintf(about, sizeof(about), "invoice %s %lld", w->known.customer_id, (long long)w->begun.amount_minor);
	begin_post(w, &call, "/v1/invoices", about, key);
	stripe_put(&call, "customer", w->known.customer_id);
	stripe_put(&call, "currency", w->known.currency);
	stripe_put(&call, "collection_method", "charge_automatically");
	stripe_put(&call, "auto_advance", "false");
	stripe_put(&call, "pending_invoice_items_behavior", "exclude");
	stripe_put(&call, "metadata[statement]", w->id);
	stripe_put(&call, "metadata[account]", w->account_id);
	result = stripe_send(w->o->stripe, &call);
	if (result == STRIPE_OK)
		step = note_charged_invoice(w, call.json);
	else if (result == STRIPE_REFUSED && strcmp(call.code, "resource_missing") == 0 &&
	         strcmp(call.param, "customer") == 0)
		step = make_charged_customer(w) == STEP_ON ? STEP_ANEW : STEP_OVER;
	else
		step = failed(w, &call, result);
	stripe_call_free(&call);
	return step;
}

static enum step add_invoice_line(struct work *w)
{
	char about[ABOUT_MAX], key[STRIPE_KEY_MAX];
	struct stripe_call call;
	enum stripe_result result;
	enum step step = STEP_ON;

	(void)snprintf(about, sizeof(about), "line %s", w->known.invoice_id);
	begin_post(w, &call, "/v1/invoiceitems", about, key);
	stripe_put(&call, "customer", w->known.customer_id);
	stripe_put(&call, "invoice", w->known.invoice_id);
	stripe_put_int(&call, "amount", w->begun.amount_minor);
	stripe_put(&call, "currency", w->known.currency);
	stripe_put(&call, "description", w->o->product);
	stripe_put(&call, "metadata[statement]", w->id);
	result = stripe_send(w->o->stripe, &call);
	if (result != STRIPE_OK)
		step = failed(w, &call, result);
	stripe_call_free(&call);
	return step;
}

static bool is_right(const struct work *w, const struct json *invoice)
{
	return json_get_int(invoice, "total", 0) == w->begun.amount_minor &&
	       strcmp(json_get_text(invoice, "currency"), w->known.currency) == 0;
}

/* Voids the invoice, so that it cannot be paid any more.  If it is paid already, books it. */
static enum step void_invoice(struct work *w)
{
	char about[ABOUT_MAX];
	struct stripe_call call;
	enum stripe_result result;
	enum step step = STEP_ON;

	(void)snprintf(about, sizeof(about), "void %s", w->known.invoice_id);
	result = post_invoice(w, "/void", about, "", "", &call);
	if (result == STRIPE_REFUSED) {
		stripe_call_free(&call);
		result = get_invoice(w, &call);
		if (result == STRIPE_OK && has_status(call.json, "paid"))
			step = book_charge(w, call.json);
		else if (result == STRIPE_OK && !has_status(call.json, "void"))
			step = over(w, CHARGE_PARKED, "the invoice cannot be voided");
	}
	if (result != STRIPE_OK && step == STEP_ON)
		step = failed(w, &call, result);
	stripe_call_free(&call);
	return step;
}

/* For an invoice with another line than ours, or with two lines: it must not be paid. */
static enum step refuse_invoice(struct work *w, const struct json *invoice)
{
	const bool draft = has_status(invoice, "draft");
	enum step step = draft ? STEP_ON : void_invoice(w);

	return step != STEP_ON ? step
	                       : over(w, CHARGE_PARKED,
	                              draft ? "the draft invoice is not of the statement's amount; delete it"
	                                    : "the invoice was not of the statement's amount; it is void now");
}

/* Finalizes the invoice.  From then on Stripe may charge it by itself, too. */
static enum step finalize(struct work *w)
{
	char about[ABOUT_MAX];
	struct stripe_call call;
	enum stripe_result result;
	enum step step;

	(void)snprintf(about, sizeof(about), "finalize %s", w->known.invoice_id);
	result = post_invoice(w, "/finalize", about, "auto_advance", "true", &call);
	if (result != STRIPE_OK)
		step = failed(w, &call, result);
	else if (!is_right(w, call.json))
		step = refuse_invoice(w, call.json);
	else
		step = note_charged_invoice(w, call.json);
	stripe_call_free(&call);
	return step;
}

/* Makes the draft an invoice with its one line, whichever of these steps were done before. */
static enum step complete_charge(struct work *w, const struct json *draft)
{
	struct stripe_call call;
	enum stripe_result result;
	enum step step;

	if (json_get_int(draft, "total", 0) != 0)
		return is_right(w, draft) ? finalize(w) : refuse_invoice(w, draft);
	step = add_invoice_line(w);
	if (step != STEP_ON)
		return step;
	result = get_invoice(w, &call);
	if (result != STRIPE_OK)
		step = failed(w, &call, result);
	else if (has_status(call.json, "draft"))
		step = is_right(w, call.json) ? finalize(w) : refuse_invoice(w, call.json);
	stripe_call_free(&call);
	return step;
}

/* For a charge that Stripe refused: the invoice may have been paid in another way meanwhile. */
static enum step explain(struct work *w, const struct stripe_call *refused)
{
	/* resource_missing: Stripe says so of a missing card, too */
	const bool declined = refused->status == 402 || strcmp(refused->param, "payment_method") == 0 ||
	                      strcmp(refused->code, "resource_missing") == 0;
	struct stripe_call call;
	enum stripe_result result = get_invoice(w, &call);
	enum step step;

	if (result == STRIPE_OK && has_status(call.json, "paid"))
		step = book_charge(w, call.json);
	else if (result == STRIPE_OK && has_status(call.json, "open") && declined)
		step = decline(w, refused->code);
	else
		step = failed(w, refused, STRIPE_REFUSED);
	stripe_call_free(&call);
	return step;
}

/* Reads the invoice again, since only then does it name its payments.  The POST does not ask for them: its
 * parameters stay as they are, for its key's sake. */
static enum step book_paid(struct work *w, const struct json *answer)
{
	struct stripe_call call;
	enum stripe_result result = get_invoice(w, &call);
	enum step step = book_charge(w, result == STRIPE_OK && has_status(call.json, "paid") ? call.json : answer);

	stripe_call_free(&call);
	return step;
}

/* Stripe repeats its answer to a declined attempt for the same key, so the key counts the attempts (known.failures). */
static enum step pay(struct work *w)
{
	char about[ABOUT_MAX], card[PATH_BYTES];
	struct stripe_call call;
	enum stripe_result result;
	enum step step = find_card(w, card);

	if (step != STEP_ON)
		return step;
	(void)snprintf(about, sizeof(about), "pay %s %lld %s", w->known.invoice_id, (long long)w->known.failures, card);
	result = post_invoice(w, "/pay", about, "payment_method", card, &call);
	if (result == STRIPE_OK && has_status(call.json, "paid"))
		step = book_paid(w, call.json);
	else if (result == STRIPE_OK)
		step = over(w, CHARGE_LATER, "the money is on its way");
	else if (result == STRIPE_REFUSED && call.status != 401 && call.status != 403)
		step = explain(w, &call);
	else
		step = failed(w, &call, result);
	stripe_call_free(&call);
	return step;
}

/* ---- all of it ------------------------------------------------------------------------------------ */

/* Goes on with the invoice from the status that it has at Stripe. */
static enum step go_on_charging(struct work *w, const struct json *invoice)
{
	enum step step = STEP_ON;

	if (has_status(invoice, "paid"))
		return book_charge(w, invoice);
	if (w->begun.stale) {
		if (has_status(invoice, "open") || has_status(invoice, "uncollectible"))
			step = void_invoice(w);
		return step == STEP_ON ? forget_invoice(w) : step;
	}
	if (has_status(invoice, "draft"))
		step = complete_charge(w, invoice);
	else if (!has_status(invoice, "open"))
		return over(w, CHARGE_PARKED, "the invoice was voided or given up at Stripe");
	else if (!is_right(w, invoice))
		return refuse_invoice(w, invoice);
	else if (w->known.invoice_url[0] == '\0')
		step = note_charged_invoice(w, invoice);
	return step == STEP_ON ? pay(w) : step;
}

static enum step round_of(struct work *w)
{
	struct stripe_call call;
	enum stripe_result result;
	enum step step = begin_statement(w);

	if (step == STEP_ON && w->known.customer_id[0] == '\0')
		step = make_charged_customer(w);
	if (step == STEP_ON && w->known.invoice_id[0] == '\0')
		step = make_invoice(w);
	if (step != STEP_ON)
		return step;
	result = get_invoice(w, &call);
	if (result == STRIPE_OK)
		step = go_on_charging(w, call.json);
	else if (result == STRIPE_REFUSED && call.status == 404 && w->begun.stale)
		step = forget_invoice(w);
	else
		step = failed(w, &call, result);
	stripe_call_free(&call);
	return step;
}

void charge_statement(const struct charge_options *o, const struct account_key *account, const char *account_id,
                      int64_t seq, int64_t deadline_us, struct charge_result *result)
{
	static const char *const names[] = {"paid", "nothing", "declined", "later", "parked"};
	struct work w = {.o = o,
	                 .account = *account,
	                 .account_id = account_id,
	                 .seq = seq,
	                 .deadline_us = deadline_us,
	                 .r = result};
	enum step step = STEP_ANEW;

	*result = (struct charge_result){.end = CHARGE_LATER};
	id_public_format(account, seq, w.id);
	for (int i = 0; i < ROUNDS_MAX && step == STEP_ANEW; i++)
		step = round_of(&w);
	log_event(result->end == CHARGE_PARKED ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "statement_charged",
	          LOG_TEXT("account", account_id), LOG_TEXT("statement", w.id), LOG_TEXT("end", names[result->end]),
	          LOG_NUMBER("amount", result->amount_minor), LOG_TEXT("code", result->code),
	          LOG_TEXT("error", result->error));
}
