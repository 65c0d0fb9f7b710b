/*
 * topups: money in, as the account's owner asks for it.  The order is in the ledger before Stripe hears of
 * it, with the idempotency keys for Stripe.  So a request that was cut off anywhere can be repeated with the
 * same request id, and goes on where it stopped.  Nothing is credited here: the webhook does that (webhooks.c).
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/money.h"
#include "clients/stripe.h"
#include "ledger/decide/open_orders.h"
#include "queries/reader.h"
#include "routes/api/call.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"
#include "routes/routes.h"
#include "worker/customer.h"

#define URL_MAX_BYTES ((size_t)1024)
#define PAGE_DEFAULT 20
#define PAGE_MAX 100
#define INVOICE_PREFIX "in_"
/* After Stripe's answer there must be time to note it. */
#define NOTE_US CLOCK_US_PER_SECOND

/* ---- what all of them have in common ------------------------------------------------------------ */

static void render_failure(struct call *c, enum stripe_result result)
{
	if (result == STRIPE_REFUSED)
		render_said(c, OUTCOME_UNAVAILABLE, NULL, SENTENCE_STRIPE_REFUSED);
	else
		render_said(c, OUTCOME_UNAVAILABLE, NULL, SENTENCE_STRIPE_SILENT);
}

static int64_t stripe_deadline(const struct call *c)
{
	return c->request->deadline_us - NOTE_US;
}

/* Puts the URL: configured, or the billing page with a query that tells it the result. */
static void put_url(const struct call *c, struct stripe_call *call, const char *name, const char *configured,
                    const char *query)
{
	char page[CONFIG_URL_MAX];
	struct buf url;

	config_topup_url(c->config, page);
	buf_init(&url, URL_MAX_BYTES);
	buf_add_text(&url, configured[0] != '\0' ? configured : page);
	if (configured[0] == '\0' && page[0] != '\0' && query[0] != '\0') {
		buf_add_char(&url, strchr(buf_text(&url), '?') != NULL ? '&' : '?');
		buf_add_text(&url, query);
	}
	stripe_put(call, name, buf_text(&url));
	buf_free(&url);
}

/* ---- POST /api/credits/topup: the order --------------------------------------------------------- */

struct order {
	struct account_key key;
	int64_t seq;
	char id[ID_PUBLIC_MAX]; /* its name towards Stripe */
	struct reader_topup row;
};

/* Converts amount, in hundredths of the currency, to the currency's smallest unit, in which Stripe counts.
 * -1 when the currency has no unit so small. */
static int64_t stripe_amount(const char *currency, int64_t amount)
{
	switch (stripe_decimals(currency)) {
	case 0:
		return amount % 100 == 0 ? amount / 100 : -1;
	case 3:
		return amount * 10;
	default:
		return amount;
	}
}

static bool parse_order(struct call *c, struct command *command)
{
	static const char *const known[] = {"amount", "saveCard", "requestId", NULL};
	struct parse p;
	int64_t amount;

	parse_record(&p, c->request, c->body, known);
	parse_need(&p, "amount");
	amount = parse_int(&p, "amount", INT64_MIN, INT64_MAX, 0);
	command->topup.save_card = parse_bool(&p, "saveCard", false);
	command->request_id = parse_repeat(&p);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return false;
	}
	if (!render_topup_allowed(c, amount))
		return false;
	command->topup.amount_minor = stripe_amount(c->config->currency, amount);
	command->topup.money_micros = amount * MONEY_MICROS_PER_MINOR;
	if (command->topup.amount_minor > 0)
		return true;
	render_said(c, OUTCOME_INVALID_REQUEST, "amount", SENTENCE_NO_CENTS);
	return false;
}

static bool read_order(struct call *c, struct order *o)
{
	struct db *d = call_reader(c);
	int result;

	if (d == NULL)
		return false;
	result = reader_topup(d, c->request->arena, &o->key, o->seq, &o->row);
	pool_give(c->readers, d);
	if (result == 0 && o->row.found)
		return true;
	render_outcome(c, OUTCOME_UNAVAILABLE); /* a reader that lags behind: to be repeated */
	return false;
}

/* Puts the order, with the idempotency keys for Stripe, into the ledger.  The same request id finds the same
 * order again. */
static bool open_order(struct call *c, struct command *command, struct order *o)
{
	char session_key[STRIPE_KEY_MAX], customer_key[STRIPE_KEY_MAX], currency[4];

	(void)snprintf(currency, sizeof(currency), "%s", c->config->currency);
	for (char *letter = currency; *letter != '\0'; letter++)
		*letter = (char)(*letter - 'A' + 'a');
	stripe_new_key(session_key);
	stripe_new_key(customer_key);
	command->topup.currency = currency;
	command->topup.livemode = stripe_is_live(c->stripe);
	command->topup.session_key = session_key;
	command->topup.customer_key = customer_key;
	if (!call_submit(c, command))
		return false;
	o->key = command->account;
	o->seq = command->answer.seq;
	id_public_format(&o->key, o->seq, o->id);
	return read_order(c, o);
}

/* Ids in Stripe's answer; NULL: none.  gone_id: the customer that customer_id replaces. */
struct noted {
	const char *customer_id, *session_id, *gone_id;
};

static bool note_session(struct call *c, const struct order *o, const struct noted *noted)
{
	struct command command = {
		.kind = COMMAND_TOPUP_NOTE,
		.account = o->key,
		.account_id = c->account,
		.member = "",
		.topup_seq = o->seq,
		.topup_note = {.customer_id = noted->customer_id,
	                       .session_id = noted->session_id,
	                       .gone_id = noted->gone_id},
	};

	return call_submit(c, &command);
}

/* ---- POST /api/credits/topup: Stripe ------------------------------------------------------------- */

static struct customer customer_of(const struct call *c, const struct order *o)
{
	return (struct customer){.account_id = c->account,
	                         .id = o->row.customer_id,
	                         .key = o->row.customer_key,
	                         .email = o->row.email,
	                         .name = o->row.name};
}

static bool make_customer(struct call *c, struct order *o)
{
	struct customer customer = customer_of(c, o);
	struct noted noted = {.gone_id = o->row.customer_id};
	char made[CUSTOMER_ID_MAX];
	enum stripe_result result = customer_make(c->stripe, &customer, stripe_deadline(c), made);

	if (result != STRIPE_OK) {
		render_failure(c, result);
		return false;
	}
	noted.customer_id = made;
	if (!note_session(c, o, &noted) || !read_order(c, o))
		return false;
	customer = customer_of(c, o);
	customer_name(c->stripe, &customer, stripe_deadline(c));
	return true;
}

static void put_session(const struct call *c, struct stripe_call *call, const struct order *o)
{
	stripe_put(call, "mode", "payment");
	stripe_put(call, "customer", o->row.customer_id);
	stripe_put(call, "client_reference_id", o->id);
	put_url(c, call, "success_url", c->config->topup_success_url, "topup=success");
	put_url(c, call, "cancel_url", c->config->topup_cancel_url, "topup=canceled");
	stripe_put_int(call, "line_items[0][quantity]", 1);
	stripe_put(call, "line_items[0][price_data][currency]", o->row.currency);
	stripe_put_int(call, "line_items[0][price_data][unit_amount]", o->row.amount_minor);
	stripe_put(call, "line_items[0][price_data][product_data][name]", c->config->topup_product);
	stripe_put(call, "metadata[user_id]", c->account);
	stripe_put(call, "metadata[topup_id]", o->id);
	stripe_put(call, "payment_intent_data[metadata][user_id]", c->account);
	stripe_put(call, "payment_intent_data[metadata][topup_id]", o->id);
	if (o->row.save_card != 0)
		stripe_put(call, "payment_intent_data[setup_future_usage]", "off_session");
	stripe_put(call, "invoice_creation[enabled]", "true");
	stripe_put(call, "invoice_creation[invoice_data][metadata][topup_id]", o->id);
}

/* Asks for the order's session, or for a new one.  After STRIPE_OK, call->json is the session.  The key depends
 * on the customer too, because a request about another customer is another request. */
static enum stripe_result find_session(const struct call *c, const struct order *o, char path[STRIPE_PATH_MAX],
                                       struct stripe_call *call)
{
	const bool known = stripe_id_valid(o->row.session_id, "cs_");
	char key[STRIPE_KEY_MAX];

	stripe_derive_key(o->row.session_key, o->row.customer_id, key);
	(void)snprintf(path, STRIPE_PATH_MAX, "/v1/checkout/sessions%s%s", known ? "/" : "",
	               known ? o->row.session_id : "");
	stripe_begin(call, path, known ? NULL : key, stripe_deadline(c));
	if (!known)
		put_session(c, call, o);
	return stripe_send(c->stripe, call);
}

static bool says_gone(const struct stripe_call *call, enum stripe_result result)
{
	return result == STRIPE_REFUSED && strcmp(call->code, "resource_missing") == 0;
}

static void answer_session(struct call *c, const struct order *o, const struct json *session)
{
	const char *url = json_get_text(session, "url");
	struct json_writer w;

	if (url[0] == '\0') { /* paid or expired since then */
		render_said(c, OUTCOME_CONFLICT, NULL, SENTENCE_TOPUP_ENDED);
		return;
	}
	render_open(c, &w);
	json_put_text(&w, "url", url);
	json_put_text(&w, "topup", o->id);
	render_close(&w);
}

/* False, and nothing rendered, when Stripe does not know the customer any more. */
static bool serve_session(struct call *c, struct order *o)
{
	const bool known = o->row.session_id[0] != '\0';
	struct noted noted = {.customer_id = NULL};
	char path[STRIPE_PATH_MAX];
	struct stripe_call call;
	const enum stripe_result result = find_session(c, o, path, &call);
	const bool gone = says_gone(&call, result);
	const bool replace = gone && !known && strcmp(call.param, "customer") == 0;

	noted.session_id = json_get_text(call.json, "id");
	if (gone && known)
		answer_session(c, o, NULL);
	else if (!replace && (result != STRIPE_OK || !stripe_id_valid(noted.session_id, "cs_")))
		render_failure(c, result);
	else if (!replace && (known || note_session(c, o, &noted)))
		answer_session(c, o, call.json);
	stripe_call_free(&call);
	return !replace;
}

/* True if the order counts among those that can be paid no more, so that it must not get a session.  Stripe may even
 * have forgotten the order's key. */
static bool is_too_old(const struct order *o)
{
	return o->row.session_id[0] == '\0' && o->row.now_us - o->row.created_at_us > OPEN_ORDERS_TRY_US;
}

static void serve_order(struct call *c, struct command *command)
{
	struct order o = {.seq = 0};

	if (!open_order(c, command, &o))
		return;
	if (o.row.state != TOPUP_OPEN || is_too_old(&o)) {
		answer_session(c, &o, NULL);
		return;
	}
	if (o.row.customer_id[0] == '\0' && !make_customer(c, &o))
		return;
	if (serve_session(c, &o))
		return;
	if (!make_customer(c, &o))
		return;
	if (!serve_session(c, &o))
		render_failure(c, STRIPE_REFUSED);
}

void topups_open(struct call *c)
{
	struct command command = {.kind = COMMAND_TOPUP, .account = call_account_key(c), .account_id = c->account};
	char page[CONFIG_URL_MAX];

	call_asks(c, &command);
	if (!parse_order(c, &command))
		return;
	config_topup_url(c->config, page);
	if (c->config->topup_success_url[0] == '\0' && page[0] == '\0') {
		render_said(c, OUTCOME_UNAVAILABLE, NULL, SENTENCE_NO_PUBLIC_URL);
		return;
	}
	if (!call_enter_slow(c))
		return;
	serve_order(c, &command);
	call_leave_slow(c);
}

/* ---- POST /api/credits/portal -------------------------------------------------------------------- */

/* The account's customer at Stripe; NULL when there is none yet, or none can be read (*failed). */
static const char *read_customer(struct call *c, bool *failed)
{
	const struct account_key key = call_account_key(c);
	struct reader_billing billing;
	struct db *d = call_reader(c);

	*failed = true;
	if (d == NULL)
		return NULL;
	*failed = reader_billing(d, c->request->arena, &key, &billing) < 0;
	pool_give(c->readers, d);
	if (*failed)
		render_outcome(c, OUTCOME_UNAVAILABLE);
	return !*failed && billing.found && stripe_id_valid(billing.customer_id, "cus_") ? billing.customer_id : NULL;
}

static void serve_portal(struct call *c, const char *customer)
{
	char key[STRIPE_KEY_MAX];
	struct stripe_call call;
	struct json_writer w;
	enum stripe_result result;

	stripe_new_key(key);
	stripe_begin(&call, "/v1/billing_portal/sessions", key, stripe_deadline(c));
	stripe_put(&call, "customer", customer);
	put_url(c, &call, "return_url", "", "");
	result = stripe_send(c->stripe, &call);
	if (result == STRIPE_OK) {
		render_open(c, &w);
		json_put_text(&w, "url", json_get_text(call.json, "url"));
		render_close(&w);
	} else {
		render_failure(c, result);
	}
	stripe_call_free(&call);
}

void topups_portal(struct call *c)
{
	static const char *const known[] = {NULL};
	const char *customer;
	struct parse p;
	bool failed;

	parse_record(&p, c->request, c->body, known);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	if (!call_may_manage(c) || !call_enter_slow(c))
		return;
	customer = read_customer(c, &failed);
	if (customer != NULL)
		serve_portal(c, customer);
	else if (!failed)
		render_said(c, OUTCOME_NOT_FOUND, NULL, SENTENCE_NEVER_PAID);
	call_leave_slow(c);
}

/* ---- GET /api/credits/invoices ------------------------------------------------------------------- */

struct invoice_page {
	int64_t limit;
	const char *cursor; /* Stripe's id of the last one seen; NULL: from the newest */
};

static void put_given(struct json_writer *w, const char *key, const char *text)
{
	if (text[0] != '\0')
		json_put_text(w, key, text);
	else
		json_put_null(w, key);
}

static void put_invoice(struct json_writer *w, const struct json *invoice)
{
	json_open_record(w, NULL);
	json_put_text(w, "id", json_get_text(invoice, "id"));
	put_given(w, "number", json_get_text(invoice, "number"));
	put_given(w, "status", json_get_text(invoice, "status"));
	json_put_text(w, "currency", json_get_text(invoice, "currency"));
	json_put_int(w, "amount", json_get_int(invoice, "total", 0));
	json_put_int(w, "amountPaid", json_get_int(invoice, "amount_paid", 0));
	put_given(w, "url", json_get_text(invoice, "hosted_invoice_url"));
	put_given(w, "pdfUrl", json_get_text(invoice, "invoice_pdf"));
	json_put_time(w, "createdAt", json_get_int(invoice, "created", 0) * CLOCK_US_PER_SECOND);
	json_close_record(w);
}

static void put_invoices(struct call *c, const struct json *list)
{
	const struct json *rows = json_get(list, "data"), *more = json_get(list, "has_more");
	const size_t count = rows != NULL && json_type(rows) == JSON_LIST ? json_size(rows) : 0;
	const char *last = "";
	struct json_writer w;

	render_open(c, &w);
	json_open_list(&w, "items");
	for (size_t i = 0; i < count; i++) {
		put_invoice(&w, json_at(rows, i));
		last = json_get_text(json_at(rows, i), "id");
	}
	json_close_list(&w);
	put_given(&w, "nextCursor", more != NULL && json_type(more) == JSON_BOOL && json_bool(more) ? last : "");
	render_close(&w);
}

static void serve_invoices(struct call *c, const char *customer, const struct invoice_page *page)
{
	struct stripe_call call;
	enum stripe_result result;

	stripe_begin(&call, "/v1/invoices", NULL, stripe_deadline(c));
	stripe_put(&call, "customer", customer);
	stripe_put_int(&call, "limit", page->limit);
	stripe_put(&call, "starting_after", page->cursor != NULL ? page->cursor : "");
	result = stripe_send(c->stripe, &call);
	if (result == STRIPE_OK)
		put_invoices(c, call.json);
	else
		render_failure(c, result);
	stripe_call_free(&call);
}

void topups_invoices(struct call *c)
{
	struct invoice_page page;
	const char *customer;
	struct parse p;
	bool failed;

	parse_query(&p, c->request);
	page.limit = parse_int(&p, "limit", 1, PAGE_MAX, PAGE_DEFAULT);
	page.cursor = parse_text(&p, "cursor", 1, 255);
	if (page.cursor != NULL && !stripe_id_valid(page.cursor, INVOICE_PREFIX))
		parse_wrong(&p, "cursor", PARSE_CURSOR);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	if (!call_may_manage(c) || !call_enter_slow(c))
		return;
	customer = read_customer(c, &failed);
	if (customer != NULL)
		serve_invoices(c, customer, &page);
	else if (!failed)
		put_invoices(c, NULL);
	call_leave_slow(c);
}
