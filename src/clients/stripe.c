#include "clients/stripe.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "clients/http.h"

#define FORM_MAX ((size_t)32 * 1024)
#define ANSWER_MAX ((size_t)8 * 1024 * 1024) /* a hundred events */
#define ID_MAX 200
#define KEY_PREFIX "octroi-"
#define KEY_BYTES 24
#define ATTEMPTS_MAX 3
#define PAUSE_FIRST_US (250 * CLOCK_US_PER_MS)
#define ATTEMPT_MIN_US (100 * CLOCK_US_PER_MS) /* with less time left, no more is tried */
#define HEADER_MAX 512

/* ---- writing a call -------------------------------------------------------------------------- */

void stripe_begin(struct stripe_call *call, const char *path, const char *idempotency_key, int64_t deadline_us)
{
	*call = (struct stripe_call){
		.path = path,
		.get = idempotency_key == NULL,
		.idempotency_key = idempotency_key,
		.deadline_us = deadline_us,
	};
	buf_init(&call->form, FORM_MAX);
}

void stripe_call_free(struct stripe_call *call)
{
	buf_free(&call->form);
	json_free(call->json);
	call->json = NULL;
}

void stripe_put(struct stripe_call *call, const char *name, const char *value)
{
	if (*value == '\0')
		return;
	if (call->form.length > 0)
		buf_add_char(&call->form, '&');
	buf_add_encoded(&call->form, name);
	buf_add_char(&call->form, '=');
	buf_add_encoded(&call->form, value);
}

void stripe_put_int(struct stripe_call *call, const char *name, int64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%lld", (long long)value);
	stripe_put(call, name, text);
}

void stripe_new_key(char key[STRIPE_KEY_MAX])
{
	unsigned char bytes[KEY_BYTES];

	memcpy(key, KEY_PREFIX, strlen(KEY_PREFIX));
	digest_random(bytes, sizeof(bytes));
	(void)digest_base64url(bytes, sizeof(bytes), key + strlen(KEY_PREFIX));
}

void stripe_derive_key(const char *kept, const char *about, char key[STRIPE_KEY_MAX])
{
	const struct digest_piece pieces[] = {{kept, strlen(kept)}, {" ", 1}, {about, strlen(about)}};
	unsigned char digest[DIGEST_BYTES];

	digest_sha256_pieces(pieces, 3, digest);
	memcpy(key, KEY_PREFIX, strlen(KEY_PREFIX));
	(void)digest_base64url(digest, KEY_BYTES, key + strlen(KEY_PREFIX));
}

bool stripe_id_valid(const char *text, const char *prefix)
{
	const size_t length = strlen(text), before = strlen(prefix);

	return strncmp(text, prefix, before) == 0 && length > before && length <= ID_MAX &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == length;
}

bool stripe_is_live(const struct stripe *s)
{
	return strstr(s->secret_key, "_live_") != NULL;
}

/* docs.stripe.com/currencies */
int stripe_decimals(const char *currency)
{
	static const char *const none[] = {"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga",
	                                   "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"};
	static const char *const three[] = {"bhd", "jod", "kwd", "omr", "tnd"};

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (strcasecmp(currency, none[i]) == 0)
			return 0;
	for (size_t i = 0; i < sizeof(three) / sizeof(three[0]); i++)
		if (strcasecmp(currency, three[i]) == 0)
			return 3;
	return 2;
}

/* ---- reading an answer ----------------------------------------------------------------------- */

/* Copies a text of an error, unless it quotes the key: the copy is for the log and the operator's terminal. */
static void read_told(const struct stripe *s, const struct json *error, const char *name, char *told, size_t size)
{
	const char *text = json_get_text(error, name);

	(void)snprintf(told, size, "%s", strstr(text, s->secret_key) != NULL ? "(quotes the secret key)" : text);
}

static void read_error(const struct stripe *s, struct stripe_call *call, const struct http_answer *answer)
{
	char why[JSON_ERROR_MAX];
	struct json *json = json_parse(buf_text(&answer->body), answer->body.length, false, why);
	const struct json *error = json_get(json, "error");

	read_told(s, error, "type", call->type, sizeof(call->type));
	read_told(s, error, "code", call->code, sizeof(call->code));
	read_told(s, error, "param", call->param, sizeof(call->param));
	read_told(s, error, "decline_code", call->decline_code, sizeof(call->decline_code));
	/* Stripe's sentence about a wrong key quotes parts of it. */
	if (answer->status == 401)
		(void)snprintf(call->error, sizeof(call->error), "the secret key is not accepted");
	else
		read_told(s, error, "message", call->error, sizeof(call->error));
	json_free(json);
}

static enum stripe_result read_answer(const struct stripe *s, struct stripe_call *call,
                                      const struct http_answer *answer)
{
	char why[JSON_ERROR_MAX];

	call->status = answer->status;
	call->date_us = answer->date_us;
	call->type[0] = call->code[0] = call->param[0] = call->error[0] = call->decline_code[0] = '\0';
	if (answer->status == 0) {
		(void)snprintf(call->error, sizeof(call->error), "%s", answer->error);
		return STRIPE_UNAVAILABLE;
	}
	if (answer->status / 100 != 2) {
		read_error(s, call, answer);
		if (answer->status == 429)
			return STRIPE_LIMITED;
		return answer->status / 100 == 4 && answer->status != 409 ? STRIPE_REFUSED : STRIPE_UNAVAILABLE;
	}
	call->json = json_parse(buf_text(&answer->body), answer->body.length, false, why);
	if (call->json != NULL && json_type(call->json) == JSON_RECORD)
		return STRIPE_OK;
	json_free(call->json);
	call->json = NULL;
	(void)snprintf(call->error, sizeof(call->error), "the answer is no JSON object");
	return STRIPE_UNAVAILABLE;
}

/* ---- sending --------------------------------------------------------------------------------- */

static enum stripe_result send_once(const struct stripe *s, struct stripe_call *call, int64_t deadline_us, bool *again)
{
	char authorization[HEADER_MAX], key[HEADER_MAX], should_retry[HTTP_VALUE_MAX];
	struct http_request request = {
		.method = call->get ? "GET" : "POST",
		.headers = {authorization, "Stripe-Version: " STRIPE_VERSION},
		.deadline_us = deadline_us,
		.answer_max = ANSWER_MAX,
	};
	struct http_answer answer;
	struct buf url;
	enum stripe_result result;

	buf_init(&url, FORM_MAX);
	buf_printf(&url, "%s%s", s->api_base, call->path);
	if (call->get && call->form.length > 0)
		buf_printf(&url, "?%s", buf_text(&call->form));
	if (!buf_ok(&url)) {
		(void)snprintf(call->error, sizeof(call->error), "no memory for the request");
		buf_free(&url);
		return STRIPE_UNAVAILABLE;
	}
	request.url = buf_text(&url);
	(void)snprintf(authorization, sizeof(authorization), "Authorization: Bearer %s", s->secret_key);
	(void)snprintf(key, sizeof(key), "Idempotency-Key: %s", call->get ? "" : call->idempotency_key);
	if (!call->get) {
		request.headers[2] = key;
		request.headers[3] = "Content-Type: application/x-www-form-urlencoded";
		request.headers[4] = "Expect:"; /* no 100 Continue */
		request.body = buf_text(&call->form);
		request.body_length = call->form.length;
	}
	(void)http_send(&request, &answer);
	explicit_bzero(authorization, sizeof(authorization));
	result = read_answer(s, call, &answer);
	http_header(&answer, "Stripe-Should-Retry", should_retry);
	if (result == STRIPE_OK)
		*again = false; /* done, whatever the header says */
	else if (answer.status != 0 && strcmp(should_retry, "true") == 0)
		*again = true;
	else if (answer.status != 0 && strcmp(should_retry, "false") == 0)
		*again = false;
	else
		*again = result == STRIPE_UNAVAILABLE && call->status / 100 != 3; /* no answer, 409, 5xx */
	http_answer_free(&answer);
	buf_free(&url);
	return result;
}

/* Waits half of a pause that doubles with each attempt, and a random part of the other half. */
static void pause_before(int attempt)
{
	const int64_t whole_us = PAUSE_FIRST_US << (attempt - 1);
	unsigned char random[4];
	int64_t part = 0;
	struct timespec left;

	digest_random(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		part = part << 8 | random[i];
	part = whole_us / 2 + part % (whole_us / 2 + 1);
	left = (struct timespec){.tv_sec = part / CLOCK_US_PER_SECOND, .tv_nsec = part % CLOCK_US_PER_SECOND * 1000};
	(void)nanosleep(&left, NULL);
}

static void tell_outage(const struct stripe_call *call, enum stripe_result result)
{
	/* A bank's refusal (402) is no fault of octroi.  Another refusal is a mistake of octroi or its operator.  The
	 * other failures pass. */
	log_event(call->status == 402        ? LOG_LEVEL_INFO
	          : result == STRIPE_REFUSED ? LOG_LEVEL_ERROR
	                                     : LOG_LEVEL_WARNING,
	          "stripe_failed", LOG_TEXT("path", call->path), LOG_NUMBER("status", call->status),
	          LOG_TEXT("type", call->type), LOG_TEXT("code", call->code), LOG_TEXT("param", call->param),
	          LOG_TEXT("error", call->error), LOG_NUMBER("attempts", call->attempts));
}

enum stripe_result stripe_send(const struct stripe *s, struct stripe_call *call)
{
	const int64_t began_us = clock_monotonic_us();
	int64_t deadline_us = began_us + s->timeout_ms * CLOCK_US_PER_MS;
	enum stripe_result result = STRIPE_UNAVAILABLE;
	bool again = true;

	CHECK(call->get || call->idempotency_key[0] != '\0');
	if (call->deadline_us < deadline_us)
		deadline_us = call->deadline_us;
	(void)snprintf(call->error, sizeof(call->error), "no time was left");
	/* A form without some of its fields would be another request. */
	if (!buf_ok(&call->form)) {
		again = false;
		(void)snprintf(call->error, sizeof(call->error), "no memory for the request");
	}
	while (again && call->attempts < ATTEMPTS_MAX) {
		int64_t left_us;

		if (call->attempts > 0)
			pause_before(call->attempts);
		left_us = deadline_us - clock_monotonic_us();
		if (left_us < ATTEMPT_MIN_US)
			break;
		/* A first attempt that hangs leaves time for another. */
		result = send_once(s, call, deadline_us - (call->attempts == 0 && !call->once ? left_us / 2 : 0),
		                   &again);
		call->attempts++;
		again = again && !call->once;
	}
	if (result != STRIPE_OK)
		tell_outage(call, result);
	return result;
}

const char *stripe_invoice_payment(const struct json *invoice, size_t index)
{
	const struct json *payments = json_get(json_get(invoice, "payments"), "data"), *one;

	if (payments == NULL || json_type(payments) != JSON_LIST || index >= json_size(payments))
		return NULL;
	one = json_at(payments, index);
	return strcmp(json_get_text(one, "status"), "paid") == 0
	               ? json_get_text(json_get(one, "payment"), "payment_intent")
	               : "";
}
