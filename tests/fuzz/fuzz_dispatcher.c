/* A whole request through the router and every handler: the first byte chooses who calls and how the ledger answers,
 * then a line "METHOD /path?query", then the body.  What comes for the webhooks is rightly signed.  Whatever is sent, what a handler hands
 * to the ledger is in bounds, a refusal says why, and the same request written otherwise is the same.  Ledger, readers
 * and pool are the fakes of tests/unit/test_router.c, which know of one order; Stripe answers in one of a few ways. */
#include "fuzz.h"

int router_tests_main(void);
#define main router_tests_main
#include "../unit/test_router.c"
#undef main

#include <time.h>

#include "clients/http.h"

int nanosleep(const struct timespec *wanted, struct timespec *left);

#define STRIPE_KEY "sk_test_of-the-fuzzer"
#define SVIX_KEY "0123456789abcdef01234567"
#define SVIX_SECRET "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3" /* that in base64 */

static struct {
	int count;
	enum command_kind kind;
	unsigned char fingerprint[ID_KEY_BYTES];
} seen;

/* ---- Stripe ---------------------------------------------------------------------------------- */

static const struct {
	int status;
	const char *body;
} stripe_answers[] = {
	{200,
         "{\"id\":\"cs_test_1\",\"url\":\"https://stripe.example/c\",\"data\":[{\"id\":\"in_1\",\"total\":5}],\"has_more\":true}"},
	{200, "{\"id\":\"cus_1\",\"url\":7,\"data\":{}}"},
	{404, "{\"error\":{\"code\":\"resource_missing\",\"param\":\"customer\"}}"},
	{402, "{\"error\":{\"type\":\"card_error\",\"code\":\"card_declined\"}}"},
	{429, "{}"},
	{500, "<html>"},
	{0, ""},
};
static size_t stripe_choice;

/* Pauses between attempts take no time here. */
int nanosleep(const struct timespec *wanted, struct timespec *left)
{
	(void)wanted;
	(void)left;
	return 0;
}

int http_send(const struct http_request *sent, struct http_answer *answer)
{
	MUST(sent->deadline_us > 0 && sent->url[0] == 'h');
	*answer = (struct http_answer){.status = stripe_answers[stripe_choice].status};
	buf_init(&answer->body, sent->answer_max);
	buf_add_text(&answer->body, stripe_answers[stripe_choice].body);
	return answer->status > 0 ? 0 : -1;
}

void http_answer_free(struct http_answer *answer)
{
	buf_free(&answer->body);
}

void http_begin(void)
{
}

int64_t http_date_us(const char *text)
{
	(void)text;
	return 0;
}

void http_header(const struct http_answer *answer, const char *name, char value[HTTP_VALUE_MAX])
{
	(void)answer;
	(void)name;
	value[0] = '\0';
}

/* ---- what reaches the ledger ----------------------------------------------------------------- */

static bool within(int64_t value, int64_t low, int64_t high)
{
	return value >= low && value <= high;
}

static bool is_text(const char *text, size_t max)
{
	return text == NULL || strlen(text) <= max;
}

static void check_labels(const struct command_labels *l)
{
	MUST(is_text(l->conversation_id, 256) && is_text(l->message_id, 256) &&
	     is_text(l->metadata, COMMAND_METADATA_MAX));
	MUST(l->metadata == NULL || l->metadata[0] == '\0' || l->metadata[0] == '{');
}

/* Bounds of each kind of command; amounts that Stripe names are the ledger's to judge. */
static void check_bounds(const struct command *c)
{
	switch (c->kind) {
	case COMMAND_AUTHORIZE:
		MUST(within(c->authorize.model_count, 0, COMMAND_MODELS_MAX));
		MUST((c->authorize.model_count == 0) ==
		     (c->authorize.action != NULL && c->authorize.action[0] != '\0'));
		MUST(within(c->authorize.quantity, 1, COMMAND_QUANTITY_MAX) && c->authorize.ttl_us > 0);
		MUST(c->authorize.input_tokens >= 0 && c->authorize.max_output_tokens >= 0 &&
		     c->authorize.fit_minimum >= 0);
		check_labels(&c->authorize.labels);
		break;
	case COMMAND_SETTLE:
		for (int i = 0; i < DIMENSION_COUNT; i++)
			MUST(c->settle.counts.of[i] >= 0);
		MUST(c->hold_seq > 0 && within((int64_t)c->settle.outcome, SETTLE_COMPLETE, SETTLE_FAILED));
		break;
	case COMMAND_RELEASE:
		MUST(c->hold_seq > 0);
		break;
	case COMMAND_EXTEND:
		MUST(c->hold_seq > 0 && c->extend.ttl_us >= 0 && c->extend.max_output_tokens >= 0);
		break;
	case COMMAND_CHARGE:
		MUST(c->charge.action[0] != '\0' && within(c->charge.quantity, 1, COMMAND_QUANTITY_MAX));
		check_labels(&c->charge.labels);
		break;
	case COMMAND_TRANSACTION:
		MUST(c->transaction.amount_micros != 0 && c->request_id != NULL);
		MUST(within(c->transaction.amount_micros, -MONEY_AMOUNT_MAX_MICROS, MONEY_AMOUNT_MAX_MICROS));
		MUST(within((int64_t)c->transaction.type, 0, TRANSACTION_COUNT - 1) && c->transaction.priority >= -1);
		break;
	case COMMAND_ACCOUNT:
		MUST(within(c->account_change.hard_limit_micros, 0, MONEY_AMOUNT_MAX_MICROS));
		MUST(within(c->account_change.daily_limit_micros, COMMAND_NO_LIMIT, MONEY_AMOUNT_MAX_MICROS));
		break;
	case COMMAND_MEMBER:
		MUST(within(c->member_change.role, 0, 1) && c->member != NULL && c->member[0] != '\0');
		MUST(within(c->member_change.limit_micros, COMMAND_NO_LIMIT, MONEY_AMOUNT_MAX_MICROS));
		break;
	case COMMAND_TOPUP:
		MUST(c->topup.amount_minor > 0 && c->topup.money_micros > 0 && strlen(c->topup.currency) == 3);
		break;
	case COMMAND_PAYMENT:
		MUST(within((int64_t)c->payment.state, TOPUP_OPEN, TOPUP_PAID) && c->payment.currency != NULL);
		break;
	case COMMAND_DISPUTE:
		MUST(!(c->dispute.withdrawn && c->dispute.reinstated));
		break;
	case COMMAND_REDEEM:
		MUST(c->redeem.code[0] != '\0');
		break;
	default:
		MUST(within((int64_t)c->kind, 0, COMMAND_COUNT - 1));
	}
}

static void check_command(struct command *command)
{
	struct command copy = *command;

	MUST(copy.account_id == NULL || id_account_valid(copy.account_id, strlen(copy.account_id)));
	MUST(copy.member == NULL || copy.member[0] == '\0' || id_account_valid(copy.member, strlen(copy.member)));
	MUST(copy.request_id == NULL || id_request_valid(copy.request_id, strlen(copy.request_id)));
	check_bounds(&copy);
	command_prepare(&copy);
	seen.count++;
	seen.kind = copy.kind;
	memcpy(seen.fingerprint, copy.fingerprint, sizeof(seen.fingerprint));
}

/* ---- callers --------------------------------------------------------------------------------- */

static void to_text(const unsigned char digest[DIGEST_BYTES], bool hex, char *out)
{
	if (hex) {
		for (int i = 0; i < DIGEST_BYTES; i++)
			snprintf(out + 2 * i, 3, "%02x", digest[i]);
		return;
	}
	digest_base64url(digest, DIGEST_BYTES, out);
	for (; *out != '\0'; out++)
		*out = *out == '-' ? '+' : *out == '_' ? '/' : *out;
	memcpy(out, "=", 2);
}

static int send_signed(const char *line, const char *body)
{
	const bool stripe = strncmp(line, "POST /api/webhooks/stripe", 25) == 0;
	char header[256], id[] = "HTTP_SVIX_ID=msg_1", when[64], now[24], text[2 * DIGEST_BYTES + 1];
	const char *const more[] = {header, id, when, "CONTENT_TYPE=application/json", NULL};
	const char *const key = stripe ? WEBHOOK_SECRET : SVIX_KEY "\0\0\0\0\0\0\0\0";
	const struct digest_piece pieces[] = {{"msg_1.", stripe ? 0 : 6}, {now, 0}, {".", 1}, {body, strlen(body)}};
	struct digest_piece signed_pieces[4];
	unsigned char digest[DIGEST_BYTES];

	snprintf(now, sizeof(now), "%lld", (long long)(clock_wall_us() / CLOCK_US_PER_SECOND));
	memcpy(signed_pieces, pieces, sizeof(pieces));
	signed_pieces[1].length = strlen(now);
	MUST(digest_hmac_sha256_pieces(key, stripe ? strlen(key) : DIGEST_KEY_MIN_BYTES, signed_pieces, 4, digest) ==
	     0);
	to_text(digest, stripe, text);
	snprintf(when, sizeof(when), "HTTP_SVIX_TIMESTAMP=%s", now);
	if (stripe)
		snprintf(header, sizeof(header), "HTTP_STRIPE_SIGNATURE=t=%s,v1=%s", now, text);
	else
		snprintf(header, sizeof(header), "HTTP_SVIX_SIGNATURE=v1,%s", text);
	return send_with(LISTENER_PUBLIC, line, body, more);
}

/* Three bits, '0' and on: guard, app, admin, report, a key that nobody has, nobody, the web server, a browser. */
static int send_as(uint8_t who, const char *line, const char *body)
{
	static const char *const keys[] = {GUARD_KEY, APP_KEY, ADMIN_KEY, REPORT_KEY, "octroi"};
	static const char *const by_server[] = {"OCTROI_ACCOUNT=ws:acme",  "OCTROI_MEMBER=u",
	                                        "OCTROI_MODEL=gpt-4o",     "CONTENT_TYPE=application/json",
	                                        "HTTP_ACCEPT_LANGUAGE=fr", NULL};
	struct arena *own = arena_new(1 << 16);
	int status;

	MUST(own != NULL);
	if (strncmp(line, "POST /api/webhooks/", 19) == 0)
		status = send_signed(line, body);
	else if (who % 8 == 7)
		status = send_key(token_issue(own, SECRET, "ws:acme", "", clock_wall_us(), 60), line, body);
	else if (who % 8 >= 5)
		status = send_with(LISTENER_PUBLIC, line, body, by_server + (who % 8 == 5 ? 3 : 0));
	else
		status = send_key(keys[who % 8], line, body);
	arena_free(own);
	return status;
}

/* ---- requests -------------------------------------------------------------------------------- */

static bool has_text(const char *name, size_t least)
{
	const struct json *value = json_get(said, name);

	return value != NULL && json_type(value) == JSON_TEXT && strlen(json_text(value, NULL)) >= least;
}

/* A secret comes back only to who sent it. */
static bool leaks(const char *secret_text, const char *line, const char *body)
{
	return strstr(buf_text(&response.body), secret_text) != NULL && strstr(line, secret_text) == NULL &&
	       strstr(body, secret_text) == NULL;
}

static void check_said(int status, const char *line, const char *body)
{
	MUST(within(status, 200, 499) || status == 503);
	MUST(buf_ok(&response.body) && buf_ok(&response.headers));
	if (status < 400 || strncmp(line, "HEAD ", 5) == 0)
		return;
	MUST(has_text("error", 1) && has_text("message", 1) && has_text("requestId", 1));
	/* A member's name may be empty, and so what is said of it. */
	MUST(strcmp(text_at("error"), "INVALID_REQUEST") != 0 || has_text("field", 0));
	MUST(!leaks(SECRET, line, body) && !leaks(STRIPE_KEY, line, body) && !leaks(WEBHOOK_SECRET, line, body));
}

/* The other bits: the outcome of what is submitted, or a database that is away; by the line's length the order and
 * Stripe's answer. */
static void choose_answers(uint8_t first, const char *line)
{
	static const size_t kinds = sizeof(stripe_answers) / sizeof(stripe_answers[0]);
	const size_t order = strlen(line) / kinds;
	const unsigned other = (first >> 3) ^ ('0' >> 3);

	database_away = other == 31;
	/* That a payment was declined only Stripe says. */
	answers.outcome = other < 31 && other != OUTCOME_PAYMENT_DECLINED ? (enum outcome)other : OUTCOME_OK;
	answers.field = "member";
	answers.resets_at_us = other % 2 == 0 ? clock_wall_us() + CLOCK_US_PER_SECOND : 0;
	stripe_choice = strlen(line) % kinds;
	topup = (struct reader_topup){
		.found = order % 8 != 7,
		.now_us = order % 8 == 6 ? CLOCK_US_PER_SECOND * 86400 * 30 : 0,
		.seq = 5,
		.amount_minor = 500,
		.currency = "eur",
		.session_key = "k",
		.payment_id = "",
		.session_id = order % 2 == 0 ? "" : "cs_test_1",
		.customer_id = order % 4 < 2 ? "" : "cus_1",
		.customer_key = "c",
		.external_id = "ws:acme",
		.email = "a@b.example",
		.name = "",
		.locale = "",
	};
	billing = (struct reader_billing){
		.found = order % 4 > 1, .customer_id = "cus_1", .plan = "", .subscription_id = ""};
	account.found = true;
	account.due_at_us = other % 4 == 3 ? 1 : INT64_MAX;
}

/* A body without its blanks: the same answer, and the same command. */
static void check_again(uint8_t who, const char *line, const char *body, int status)
{
	char error[JSON_ERROR_MAX];
	struct json *j = json_parse(body, strlen(body), false, error);
	const int count = seen.count;
	const enum command_kind kind = seen.kind;
	unsigned char fingerprint[ID_KEY_BYTES];
	struct buf written;

	if (j == NULL)
		return;
	memcpy(fingerprint, seen.fingerprint, sizeof(fingerprint));
	buf_init(&written, 1 << 18);
	json_dump(j, &written);
	json_free(j);
	seen.count = 0;
	choose_answers(who, line);
	MUST(send_as(who, line, buf_text(&written)) == status && seen.count == count);
	MUST(count == 0 || (seen.kind == kind && memcmp(fingerprint, seen.fingerprint, sizeof(fingerprint)) == 0));
	buf_free(&written);
}

static bool set_up_once(void)
{
	static char webhook_secret[] = WEBHOOK_SECRET, clerk_secret[] = SVIX_SECRET, key[] = STRIPE_KEY;
	static char api_base[] = "https://api.stripe.example", url[] = "https://app.example/credits", sub[] = "sub";
	static char product[] = "Credits", campaign[] = "money";
	static bool ready;

	if (ready)
		return true;
	ready = set_up(NULL) == 0;
	submitted = check_command;
	config.stripe_webhook_secret = webhook_secret;
	config.clerk_webhook_secret = clerk_secret;
	config.jwt_account_claim = sub;
	config.trust_server_params = true;
	config.stripe_secret_key = key;
	config.stripe_api_base = api_base;
	config.stripe_timeout_ms = 1000;
	config.public_url = config.topup_url = url;
	config.topup_product = product;
	config.topup_min = 50;
	config.orders_open_max = config.code_guesses_max = 10;
	config.topup_max = 100000;
	config.bonus_amount = config.referral_amount = 10000000;
	config.bonus_campaign = config.bonus_unit = campaign;
	router_free(router);
	router = router_new(&(struct router_options){.config = &config});
	return ready;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	char *text, *rest;
	const char *line, *body;
	int status;

	MUST(set_up_once());
	if (length == 0)
		return 0;
	text = rest = fuzz_text(bytes + 1, length - 1);
	line = fuzz_line(&rest);
	body = rest != NULL ? rest : "";
	/* send_with wants a method, a blank and a path. */
	if (strlen(line) < 512 && strchr(line, ' ') != NULL && strchr(line, ' ')[1] == '/') {
		seen.count = 0;
		choose_answers(bytes[0], line);
		status = send_as(bytes[0], line, body);
		check_said(status, line, body);
		/* While the database is away keys are believed for some seconds, which may end in between. */
		if (strncmp(line, "POST /api/webhooks/", 19) != 0 && !database_away)
			check_again(bytes[0], line, body, status);
	}
	free(text);
	return 0;
}
