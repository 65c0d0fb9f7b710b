/* Questions of octroi to other servers, and their answers.  The first byte chooses the question (Stripe, by POST
 * or GET; a provider's probe; an issuer's key set), the second the answer's status; then header lines up to an empty
 * one, and the body, which may quote the key.  curl's place is taken; what http.c makes of an answer is its own. */
#include "fuzz.h"

#include <ctype.h>
#include <time.h>

#include "clients/http.h"
#define http_send http_send_with_curl
#include "clients/http.c"
#undef http_send

#include "base/digest.h"
#include "base/log.h"
#include "clients/probe.h"
#include "clients/stripe.h"
#include "routes/auth/jwks.h"

int http_send(const struct http_request *request, struct http_answer *answer);
int nanosleep(const struct timespec *wanted, struct timespec *left);

#define SECRET "secret_of_tests_0123456789abcdefghijAB"
#define VALUE_MAX ((size_t)1024)
#define VALUES 4
#define FOREVER_US (INT64_MAX / 2)

static struct {
	int status, calls;
	const char *head, *body;
	size_t head_length, body_length;
	char url[16 * VALUE_MAX], form[16 * VALUE_MAX], key[HTTP_VALUE_MAX];
} server;

/* ---- the other server ------------------------------------------------------------------------ */

/* Pauses between attempts take no time here. */
int nanosleep(const struct timespec *wanted, struct timespec *left)
{
	(void)left;
	MUST(wanted->tv_sec == 0 && wanted->tv_nsec >= 0 && wanted->tv_nsec < 1000000000);
	return 0;
}

static bool is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < 0x20 || *text > 0x7e)
			return false;
	return true;
}

/* One request's bytes stay one request. */
static void check_request(const struct http_request *request)
{
	MUST(is_printable(request->url) && strchr(request->url, ' ') == NULL && strchr(request->url, '#') == NULL);
	MUST(strlen(request->url) < sizeof(server.url));
	memcpy(server.url, request->url, strlen(request->url) + 1);
	for (int i = 0; i < HTTP_HEADERS_MAX && request->headers[i] != NULL; i++) {
		const char *header = request->headers[i];

		MUST(is_printable(header) && strchr(header, ':') != NULL);
		if (strncmp(header, "Idempotency-Key: ", 17) != 0)
			continue;
		/* A repeat is the same request. */
		MUST(server.calls == 0 || strcmp(server.key, header) == 0);
		MUST(strlen(header) < sizeof(server.key));
		memcpy(server.key, header, strlen(header) + 1);
	}
	if (request->body != NULL && strncmp(request->headers[1], "Stripe", 6) == 0) {
		MUST(request->body_length < sizeof(server.form));
		MUST(server.calls == 0 || strcmp(server.form, request->body) == 0);
		memcpy(server.form, request->body, request->body_length + 1);
	}
}

/* As curl hands it over, line by line. */
static void send_head(struct http_answer *answer)
{
	char *head = fuzz_text((const uint8_t *)server.head, server.head_length), *rest = head;
	struct buf line;

	buf_init(&answer->head, HEAD_MAX);
	buf_init(&line, server.head_length + 3);
	while (rest != NULL) {
		buf_reset(&line);
		buf_add_text(&line, fuzz_line(&rest));
		buf_add_text(&line, "\r\n");
		MUST(take_header(line.data, 1, line.length, answer) == line.length);
	}
	buf_free(&line);
	free(head);
}

int http_send(const struct http_request *request, struct http_answer *answer)
{
	char error[] = "Couldn't connect to server";

	check_request(request);
	server.calls++;
	*answer = (struct http_answer){.status = server.status};
	buf_init(&answer->body, request->answer_max + 1);
	send_head(answer);
	if (server.status == 0)
		memcpy(answer->error, error, sizeof(error));
	else
		read_date(answer);
	if (server.status != 0 && server.body_length > 0)
		MUST(take_body((char *)(uintptr_t)server.body, 1, server.body_length, answer) == server.body_length);
	MUST(answer->date_us >= 0 && answer->date_us % CLOCK_US_PER_SECOND == 0);
	return server.status > 0 ? 0 : -1;
}

/* ---- Stripe ---------------------------------------------------------------------------------- */

static const char *const form_names[VALUES] = {"customer", "metadata[a b]", "line_items[0][price_data][x]", "u&v=w%"};

/* A form's next "name=value", decoded naively; what follows it. */
static const char *read_pair(const char *form, char *out[2])
{
	for (int part = 0; part < 2; part++) {
		size_t length = 0;

		for (; *form != '\0' && *form != '&' && (part == 1 || *form != '='); form++) {
			char digits[3] = {0};

			if (*form != '%') {
				MUST(isalnum((unsigned char)*form) || strchr("-._", *form) != NULL);
				out[part][length++] = *form;
				continue;
			}
			memcpy(digits, form + 1, 2);
			MUST(isxdigit((unsigned char)digits[0]) && isxdigit((unsigned char)digits[1]));
			out[part][length++] = (char)strtoul(digits, NULL, 16);
			form += 2;
		}
		out[part][length] = '\0';
		MUST(*form == (part == 0 ? '=' : *form == '&' ? '&' : '\0'));
		form += *form != '\0' ? 1 : 0;
	}
	return form;
}

static void check_form(const char *form, const char *const value[VALUES])
{
	static char name[VALUE_MAX + 1], text[VALUE_MAX + 1];

	for (int i = 0; i < VALUES; i++) {
		if (value[i] == NULL || value[i][0] == '\0')
			continue;
		form = read_pair(form, (char *[]){name, text});
		MUST(strcmp(name, form_names[i]) == 0 && strcmp(text, value[i]) == 0);
	}
	MUST(*form == '\0');
}

static void check_told(const char *text, size_t size)
{
	MUST(memchr(text, '\0', size) != NULL && strstr(text, SECRET) == NULL);
}

/* Whether Stripe said this of repeating. */
static bool says_repeat(const char *wanted)
{
	struct http_answer answer = {0};
	char value[HTTP_VALUE_MAX];

	send_head(&answer);
	http_header(&answer, "Stripe-Should-Retry", value);
	buf_free(&answer.head);
	return strcmp(value, wanted) == 0;
}

static void check_result(const struct stripe_call *call, enum stripe_result result)
{
	const int hundreds = server.status / 100;

	MUST(call->attempts == server.calls && server.calls >= 1 && server.calls <= 3);
	MUST((result == STRIPE_OK) == (call->json != NULL));
	MUST(result != STRIPE_OK || (hundreds == 2 && json_type(call->json) == JSON_RECORD));
	MUST((result == STRIPE_LIMITED) == (server.status == 429));
	MUST((result == STRIPE_REFUSED) == (hundreds == 4 && server.status != 409 && server.status != 429));
	/* A request that was done is not asked for again. */
	MUST(result != STRIPE_OK || server.calls == 1);
	if (result == STRIPE_REFUSED && !says_repeat("true"))
		MUST(server.calls == 1);
	if (server.status != 0 && says_repeat("false"))
		MUST(server.calls == 1);
	MUST(result != STRIPE_UNAVAILABLE || server.calls == 3 || server.status != 0);
	check_told(call->type, sizeof(call->type));
	check_told(call->code, sizeof(call->code));
	check_told(call->param, sizeof(call->param));
	check_told(call->error, sizeof(call->error));
}

static void ask_stripe(bool get, const char *const value[VALUES])
{
	const struct stripe stripe = {
		.api_base = "https://api.stripe.example", .secret_key = SECRET, .timeout_ms = 1 << 30};
	char kept[STRIPE_KEY_MAX], key[STRIPE_KEY_MAX], again[STRIPE_KEY_MAX];
	struct stripe_call call;

	stripe_new_key(kept);
	stripe_derive_key(kept, value[0] != NULL ? value[0] : "", key);
	stripe_derive_key(kept, value[0] != NULL ? value[0] : "", again);
	MUST(strcmp(key, again) == 0 && strcmp(key, kept) != 0);
	stripe_begin(&call, "/v1/things", get ? NULL : key, FOREVER_US);
	for (int i = 0; i < VALUES; i++)
		if (value[i] != NULL)
			stripe_put(&call, form_names[i], value[i]);
	check_result(&call, stripe_send(&stripe, &call));
	if (get) {
		const char *query = strchr(server.url, '?');

		check_form(query != NULL ? query + 1 : "", value);
	} else {
		check_form(server.form, value);
	}
	if (call.json != NULL && stripe_id_valid(json_get_text(call.json, "id"), "cus_"))
		MUST(is_printable(json_get_text(call.json, "id")) &&
		     strpbrk(json_get_text(call.json, "id"), "/?#%. ") == NULL);
	stripe_call_free(&call);
}

/* ---- a provider ------------------------------------------------------------------------------ */

static void ask_provider(enum probe_provider provider)
{
	const struct probe_target target = {
		.provider = provider, .api_base = "https://api.provider.example", .key = SECRET, .model = "gpt-4o"};
	struct probe_result r;

	probe_run(&target, FOREVER_US, &r);
	MUST(server.calls >= 1 && server.calls <= 3 && r.state < PROBE_STATES && r.state != PROBE_UNCHECKED);
	MUST(r.http_status == server.status && r.latency_ms >= 0);
	MUST((r.state == PROBE_UNREACHABLE) == (server.status == 0));
	/* An error that says nothing is never taken for a key that works. */
	MUST(!probe_text(r.state)->up || server.status / 100 == 2 || server.body_length > 2);
	check_told(r.detail, sizeof(r.detail));
	MUST(is_printable(r.detail) && (server.status == 0 || strchr(r.detail, ' ') == NULL));
	MUST(probe_state_find(probe_text(r.state)->name) == r.state);
}

/* ---- an issuer ------------------------------------------------------------------------------- */

static bool says(const struct json *key, const char *name, const char *wanted)
{
	return strcmp(json_get_text(key, name), wanted) == 0;
}

static void ask_issuer(bool rsa, const char *kid)
{
	struct jwks *j = jwks_new("https://issuer.example/jwks.json", rsa ? "RS256" : "ES256");
	struct arena *arena = arena_new(1 << 20);
	char error[JSON_ERROR_MAX];
	struct json *key = NULL, *set = json_parse(server.body, server.body_length, false, error);
	const char *jwk = NULL;
	struct bulkhead slow;
	enum outcome outcome;

	MUST(arena != NULL);
	bulkhead_init(&slow, 1, 1);
	outcome = jwks_find(j, arena, kid, &(struct jwks_patience){&slow, FOREVER_US}, &jwk);
	MUST(server.calls == 1 && bulkhead_enter(&slow, NULL));
	MUST((outcome == OUTCOME_UNAVAILABLE) ==
	     (server.status != 200 || json_get(set, "keys") == NULL || json_type(json_get(set, "keys")) != JSON_LIST));
	if (outcome == OUTCOME_OK) {
		key = json_parse(jwk, strlen(jwk), false, error);
		MUST(key != NULL && says(key, "kid", kid) && says(key, "kty", rsa ? "RSA" : "EC"));
		MUST(json_get(key, "use") == NULL || says(key, "use", "sig"));
		MUST(json_get(key, "alg") == NULL || says(key, "alg", rsa ? "RS256" : "ES256"));
		/* Known now, so nobody is asked again. */
		MUST(jwks_find(j, arena, kid, &(struct jwks_patience){NULL, 0}, &jwk) == OUTCOME_OK &&
		     server.calls == 1);
	}
	MUST(outcome == OUTCOME_OK || outcome == OUTCOME_UNAUTHORIZED || outcome == OUTCOME_UNAVAILABLE);
	json_free(key);
	json_free(set);
	arena_free(arena);
	jwks_free(j);
}

/* ---------------------------------------------------------------------------------------------- */

/* Fills in the server; copies of the first lines, too, serve as what is sent. */
static void read_input(const uint8_t *bytes, size_t length, char *copy, const char *value[VALUES])
{
	static const int statuses[] = {200, 201, 204, 301, 400, 401, 402, 403, 404, 409, 429, 500, 502, 503, 529, 0};
	const char *text = (const char *)bytes + 2, *blank;
	char *rest = copy;

	length -= 2;
	memset(&server, 0, sizeof(server));
	server.status = statuses[bytes[1] % (sizeof(statuses) / sizeof(statuses[0]))];
	blank = memmem(text, length, "\n\n", 2);
	server.head = text;
	server.head_length = blank != NULL ? (size_t)(blank - text) : length;
	if (memchr(text, '\0', server.head_length) != NULL)
		server.head_length = strnlen(text, server.head_length);
	server.body = blank != NULL ? blank + 2 : text + length;
	server.body_length = (size_t)(text + length - server.body);
	for (int i = 0; i < VALUES; i++) {
		value[i] = fuzz_line(&rest);
		if (value[i] != NULL && strlen(value[i]) > VALUE_MAX)
			value[i] = NULL;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	const char *value[VALUES];
	static bool ready;
	char *copy;

	if (!ready)
		ready = log_open("/dev/null", LOG_LEVEL_ERROR) == 0;
	if (length < 2)
		return 0;
	copy = fuzz_text(bytes + 2, length - 2);
	read_input(bytes, length, copy, value);
	switch (bytes[0] % 6) {
	case 0:
	case 1:
		ask_stripe(bytes[0] % 2 == 1, value);
		break;
	case 2:
	case 3:
		ask_provider(bytes[0] % 2 == 0 ? PROBE_OPENAI : PROBE_ANTHROPIC);
		break;
	default:
		ask_issuer(bytes[0] % 2 == 0, value[0] != NULL ? value[0] : "");
	}
	free(copy);
	return 0;
}
