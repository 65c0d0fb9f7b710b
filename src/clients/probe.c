#include "clients/probe.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/json.h"
#include "clients/http.h"

#define ANSWER_MAX ((size_t)2 * 1024 * 1024) /* a list of models */
#define BODY_MAX ((size_t)4 * 1024)
#define HEADER_MAX 1200 /* a key of a thousand characters */
#define URL_MAX 320
#define CODE_MAX 64
#define LENGTH(list) (sizeof(list) / sizeof((list)[0]))

static const char *const provider_names[PROBE_PROVIDERS] = {"openai", "anthropic"};

static const struct probe_text texts[PROBE_STATES] = {
#define STATE(NAME, name, up, ours, english, action, french, action_french) \
	{name, up, ours, english, action, french, action_french},
#include "clients/probe_states.def"
#undef STATE
};

const char *probe_provider_name(enum probe_provider provider)
{
	return provider_names[provider];
}

enum probe_provider probe_provider_find(const char *name)
{
	int provider = 0;

	while (provider < PROBE_PROVIDERS && strcmp(provider_names[provider], name) != 0)
		provider++;
	return (enum probe_provider)provider;
}

const struct probe_text *probe_text(enum probe_state state)
{
	return &texts[state];
}

enum probe_state probe_state_find(const char *name)
{
	for (int state = 0; state < PROBE_STATES; state++)
		if (strcmp(texts[state].name, name) == 0)
			return (enum probe_state)state;
	return PROBE_UNCHECKED;
}

/* ---- the verdict ----------------------------------------------------------------------------- */

/* States by the error's code, or by its type where there is no such code.  429 and 400 may be about money. */
static const struct {
	const char *code;
	enum probe_state state;
} codes[] = {
	/* OpenAI */
	{"billing_hard_limit_reached", PROBE_BILLING_HARD_LIMIT_REACHED},
	{"insufficient_quota", PROBE_INSUFFICIENT_QUOTA},
	{"credit_balance_exhausted", PROBE_INSUFFICIENT_QUOTA},
	{"organization_spend_limit_exceeded", PROBE_INSUFFICIENT_QUOTA},
	{"project_spend_limit_exceeded", PROBE_INSUFFICIENT_QUOTA},
	{"organization_usage_limit_exceeded", PROBE_INSUFFICIENT_QUOTA},
	{"billing_not_active", PROBE_INSUFFICIENT_QUOTA},
	{"invalid_api_key", PROBE_INVALID_KEY},
	{"account_deactivated", PROBE_INVALID_KEY},
	{"model_not_found", PROBE_MODEL_UNKNOWN},
	{"rate_limit_exceeded", PROBE_RATE_LIMITED},
	{"slow_down", PROBE_RATE_LIMITED},
	{"requests", PROBE_RATE_LIMITED},
	{"tokens", PROBE_RATE_LIMITED},
	{"server_is_overloaded", PROBE_OVERLOADED},
	{"server_error", PROBE_OVERLOADED},
	/* Anthropic */
	{"billing_error", PROBE_INSUFFICIENT_QUOTA},
	{"authentication_error", PROBE_INVALID_KEY},
	{"permission_error", PROBE_PERMISSION},
	{"rate_limit_error", PROBE_RATE_LIMITED},
	{"overloaded_error", PROBE_OVERLOADED},
	{"api_error", PROBE_OVERLOADED},
	{"timeout_error", PROBE_OVERLOADED},
};

/* States that only the beginning of the sentence tells.  The last entry means that the model did answer, too long. */
static const struct {
	const char *start, *type;
	enum probe_state state;
} sentences[] = {
	{"Your credit balance is too low", "invalid_request_error", PROBE_INSUFFICIENT_QUOTA},
	{"You have reached your specified API usage limits", "invalid_request_error", PROBE_BILLING_HARD_LIMIT_REACHED},
	{"This organization has been disabled", "invalid_request_error", PROBE_PERMISSION},
	{"model:", "not_found_error", PROBE_MODEL_UNKNOWN},
	{"You have insufficient permissions", "invalid_request_error", PROBE_PERMISSION},
	{"Could not finish the message because max_tokens", "invalid_request_error", PROBE_HEALTHY},
};

/* True for a code, which is a word.  Any other text is not kept: it might be the key. */
static bool is_code(const char *text)
{
	const size_t length = strlen(text);

	return length > 0 && length < CODE_MAX && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == length;
}

static enum probe_state find_code(const char *code)
{
	for (size_t i = 0; i < LENGTH(codes); i++)
		if (strcmp(codes[i].code, code) == 0)
			return codes[i].state;
	return PROBE_UNEXPECTED;
}

static enum probe_state find_sentence(const char *sentence, const char *type)
{
	for (size_t i = 0; i < LENGTH(sentences); i++)
		if (strcmp(sentences[i].type, type) == 0 &&
		    strncmp(sentences[i].start, sentence, strlen(sentences[i].start)) == 0)
			return sentences[i].state;
	return PROBE_UNEXPECTED;
}

/* The state of an error without a known code or sentence.  429 alone does not tell a rate limit from lack of money. */
static enum probe_state by_status(int status)
{
	switch (status) {
	case 401:
		return PROBE_INVALID_KEY;
	case 402:
		return PROBE_INSUFFICIENT_QUOTA;
	case 403:
		return PROBE_PERMISSION;
	case 529:
		return PROBE_OVERLOADED;
	default:
		return status >= 500 && status <= 504 ? PROBE_OVERLOADED : PROBE_UNEXPECTED;
	}
}

static enum probe_state error_verdict(const struct probe_answer *answer, const struct json *error,
                                      char detail[PROBE_DETAIL_MAX])
{
	const char *code = json_get_text(error, "code"), *type = json_get_text(error, "type");
	enum probe_state state = find_code(code);

	(void)snprintf(detail, PROBE_DETAIL_MAX, "%s", is_code(code) ? code : is_code(type) ? type : "");
	if (state == PROBE_UNEXPECTED)
		state = find_code(type);
	if (state == PROBE_UNEXPECTED)
		state = find_sentence(json_get_text(error, "message"), type);
	if (state == PROBE_UNEXPECTED)
		state = by_status(answer->status);
	/* Anthropic's monthly cap of a tier looks like a rate limit, but has no Retry-After header. */
	if (state == PROBE_RATE_LIMITED && strcmp(type, "rate_limit_error") == 0 && !answer->retry_after)
		state = PROBE_BILLING_HARD_LIMIT_REACHED;
	return state;
}

/* True if json has the form that the call expects.  A portal's page with status 200 is no success. */
static bool is_success(enum probe_call call, const struct json *json)
{
	static const struct {
		const char *member;
		enum json_type type;
	} wanted[] = {
		[PROBE_LIST_MODELS] = {"data", JSON_LIST},
		[PROBE_COMPLETE] = {"choices", JSON_LIST},
		[PROBE_COUNT_TOKENS] = {"input_tokens", JSON_INT},
		[PROBE_MESSAGE] = {"content", JSON_LIST},
	};
	const struct json *value = json_get(json, wanted[call].member);

	return value != NULL && json_type(value) == wanted[call].type;
}

enum probe_state probe_verdict(const struct probe_answer *answer, char detail[PROBE_DETAIL_MAX])
{
	char why[JSON_ERROR_MAX];
	struct json *json = json_parse(answer->body, answer->length, false, why);
	const struct json *error = json_get(json, "error");
	enum probe_state state = PROBE_UNEXPECTED;

	detail[0] = '\0';
	if (error != NULL && json_type(error) == JSON_RECORD)
		state = error_verdict(answer, error, detail);
	else if (answer->status / 100 == 2 && is_success(answer->call, json))
		state = PROBE_HEALTHY;
	else if (answer->status >= 500)
		state = by_status(answer->status); /* the provider's gateway answers in HTML */
	json_free(json);
	return state;
}

/* ---- asking ---------------------------------------------------------------------------------- */

struct asking {
	const struct probe_target *target;
	int64_t deadline_us;
	struct probe_result *result;
	bool other_limit; /* the model wants max_completion_tokens */
};

static const char *path_of(enum probe_call call)
{
	switch (call) {
	case PROBE_LIST_MODELS:
		return "/v1/models";
	case PROBE_COMPLETE:
		return "/v1/chat/completions";
	case PROBE_COUNT_TOKENS:
		return "/v1/messages/count_tokens";
	case PROBE_MESSAGE:
		return "/v1/messages";
	}
	UNREACHABLE("every call is in the switch");
}

static void write_body(const struct probe_target *target, enum probe_call call, const char *limit, struct buf *out)
{
	struct json_writer w;

	json_writer_init(&w, out);
	json_open_record(&w, NULL);
	json_put_text(&w, "model", target->model);
	json_open_list(&w, "messages");
	json_open_record(&w, NULL);
	json_put_text(&w, "role", "user");
	json_put_text(&w, "content", "test");
	json_close_record(&w);
	json_close_list(&w);
	if (call != PROBE_COUNT_TOKENS)
		json_put_int(&w, limit, 5);
	json_close_record(&w);
}

/* True if OpenAI refused max_tokens, which newer models do not know. */
static bool wants_other_limit(const struct http_answer *answer)
{
	char why[JSON_ERROR_MAX];
	struct json *json = json_parse(buf_text(&answer->body), answer->body.length, false, why);
	const struct json *error = json_get(json, "error");
	const bool wants = answer->status == 400 && strcmp(json_get_text(error, "param"), "max_tokens") == 0 &&
	                   strcmp(json_get_text(error, "code"), "unsupported_parameter") == 0;

	json_free(json);
	return wants;
}

static void judge(struct asking *g, enum probe_call call, const struct http_answer *answer)
{
	struct probe_result *r = g->result;
	char retry_after[HTTP_VALUE_MAX];

	r->http_status = answer->status;
	if (answer->status == 0 && !buf_ok(&answer->body)) {
		r->state = PROBE_UNEXPECTED;
		(void)snprintf(r->detail, sizeof(r->detail), "the answer is too large");
		return;
	}
	if (answer->status == 0) {
		r->state = PROBE_UNREACHABLE;
		(void)snprintf(r->detail, sizeof(r->detail), "%.*s", PROBE_DETAIL_MAX - 1, answer->error);
		return;
	}
	http_header(answer, "Retry-After", retry_after);
	r->state = probe_verdict(
		&(struct probe_answer){
			.call = call,
			.status = answer->status,
			.body = buf_text(&answer->body),
			.length = answer->body.length,
			.retry_after = retry_after[0] != '\0',
		},
		r->detail);
	g->other_limit = call == PROBE_COMPLETE && wants_other_limit(answer);
}

/* Makes one request; its verdict is in the result. */
static void ask_provider(struct asking *g, enum probe_call call, const char *limit)
{
	const struct probe_target *target = g->target;
	const int64_t began_us = clock_monotonic_us();
	char key[HEADER_MAX], url[URL_MAX];
	struct http_request request = {
		.method = call == PROBE_LIST_MODELS ? "GET" : "POST",
		.url = url,
		.headers = {key, "Content-Type: application/json", "Expect:"},
		.deadline_us = g->deadline_us,
		.answer_max = ANSWER_MAX,
	};
	struct http_answer answer;
	struct buf body;
	int length;

	(void)snprintf(url, sizeof(url), "%s%s", target->api_base, path_of(call));
	length = snprintf(key, sizeof(key),
	                  target->provider == PROBE_OPENAI ? "Authorization: Bearer %s" : "x-api-key: %s", target->key);
	CHECK(length > 0 && length < HEADER_MAX);
	if (target->provider == PROBE_ANTHROPIC)
		request.headers[3] = "anthropic-version: 2023-06-01";
	buf_init(&body, BODY_MAX);
	if (call != PROBE_LIST_MODELS) {
		write_body(target, call, limit, &body);
		CHECK(buf_ok(&body));
		request.body = buf_text(&body);
		request.body_length = body.length;
	}
	(void)http_send(&request, &answer);
	explicit_bzero(key, sizeof(key));
	g->result->latency_ms = (clock_monotonic_us() - began_us) / CLOCK_US_PER_MS;
	judge(g, call, &answer);
	http_answer_free(&answer);
	buf_free(&body);
}

/* True if the cheap call leaves open how the dear one ends.  A key that may use models need not be allowed to
 * list them.  A model may be unknown to the cheap call and served by the dear one. */
static bool goes_on(enum probe_state state)
{
	return state == PROBE_HEALTHY || state == PROBE_PERMISSION || state == PROBE_MODEL_UNKNOWN ||
	       state == PROBE_UNEXPECTED;
}

void probe_run(const struct probe_target *target, int64_t deadline_us, struct probe_result *result)
{
	const bool openai = target->provider == PROBE_OPENAI;
	struct asking g = {.target = target, .deadline_us = deadline_us, .result = result};

	*result = (struct probe_result){.state = PROBE_UNREACHABLE};
	ask_provider(&g, openai ? PROBE_LIST_MODELS : PROBE_COUNT_TOKENS, "max_tokens");
	if (!goes_on(result->state))
		return;
	ask_provider(&g, openai ? PROBE_COMPLETE : PROBE_MESSAGE, "max_tokens");
	if (g.other_limit)
		ask_provider(&g, PROBE_COMPLETE, "max_completion_tokens");
}
