/*
 * Meanings of providers' bodies.  Those with a source are as they were published; how a provider is asked is
 * tested against one that answers (tests/api/test_probe.py).
 */
#include "unit.h"

#include "clients/probe.h"

#define OPENAI(type, code) \
	"{\"error\":{\"message\":\"You exceeded your current quota\",\"type\":" type ",\"param\":null,\"code\":" code \
	"}}"
#define ANTHROPIC(type, message) \
	"{\"type\":\"error\",\"error\":{\"type\":\"" type "\",\"message\":\"" message "\"},\"request_id\":\"req_1\"}"
#define MODELS "{\"object\":\"list\",\"data\":[{\"id\":\"gpt-4o\",\"object\":\"model\"}]}"
#define COMPLETION "{\"id\":\"c\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0}],\"usage\":{\"x\":0.5}}"
#define MESSAGE \
	"{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"Hi\"}],\"stop_reason\":\"max_tokens\"}"

struct example {
	enum probe_call call;
	int status;
	const char *body;
	enum probe_state state;
	const char *detail;
};

static const struct example openai[] = {
	{PROBE_LIST_MODELS, 200, MODELS, PROBE_HEALTHY, ""},
	{PROBE_COMPLETE, 200, COMPLETION, PROBE_HEALTHY, ""},
	/* The seed's two. */
	{PROBE_COMPLETE, 429,
         "{\"error\":{\"message\":\"You exceeded your current quota\",\"type\":\"insufficient_quota\"}}",
         PROBE_INSUFFICIENT_QUOTA, "insufficient_quota"},
	{PROBE_COMPLETE, 429,
         "{\"error\":{\"message\":\"You exceeded your current quota\",\"code\":\"billing_hard_limit_reached\"}}",
         PROBE_BILLING_HARD_LIMIT_REACHED, "billing_hard_limit_reached"},
	{PROBE_COMPLETE, 429, OPENAI("\"insufficient_quota\"", "\"insufficient_quota\""), PROBE_INSUFFICIENT_QUOTA,
         "insufficient_quota"},
	{PROBE_COMPLETE, 429, OPENAI("\"insufficient_quota\"", "\"credit_balance_exhausted\""),
         PROBE_INSUFFICIENT_QUOTA, "credit_balance_exhausted"},
	{PROBE_COMPLETE, 429, OPENAI("\"insufficient_quota\"", "\"organization_spend_limit_exceeded\""),
         PROBE_INSUFFICIENT_QUOTA, "organization_spend_limit_exceeded"},
	{PROBE_COMPLETE, 429, OPENAI("\"insufficient_quota\"", "\"project_spend_limit_exceeded\""),
         PROBE_INSUFFICIENT_QUOTA, "project_spend_limit_exceeded"},
	{PROBE_COMPLETE, 429, OPENAI("null", "\"organization_usage_limit_exceeded\""), PROBE_INSUFFICIENT_QUOTA,
         "organization_usage_limit_exceeded"},
	{PROBE_COMPLETE, 429, OPENAI("\"insufficient_quota\"", "\"something_newer\""), PROBE_INSUFFICIENT_QUOTA,
         "something_newer"},
	{PROBE_COMPLETE, 429, OPENAI("\"billing_not_active\"", "null"), PROBE_INSUFFICIENT_QUOTA, "billing_not_active"},
	{PROBE_COMPLETE, 400, OPENAI("\"invalid_request_error\"", "\"billing_hard_limit_reached\""),
         PROBE_BILLING_HARD_LIMIT_REACHED, "billing_hard_limit_reached"},
	{PROBE_COMPLETE, 200, OPENAI("\"insufficient_quota\"", "\"billing_hard_limit_reached\""),
         PROBE_BILLING_HARD_LIMIT_REACHED, "billing_hard_limit_reached"},
	{PROBE_LIST_MODELS, 401, OPENAI("\"invalid_request_error\"", "\"invalid_api_key\""), PROBE_INVALID_KEY,
         "invalid_api_key"},
	{PROBE_LIST_MODELS, 401, OPENAI("\"invalid_request_error\"", "\"account_deactivated\""), PROBE_INVALID_KEY,
         "account_deactivated"},
	{PROBE_LIST_MODELS, 401, OPENAI("\"invalid_request_error\"", "null"), PROBE_INVALID_KEY,
         "invalid_request_error"},
	{PROBE_LIST_MODELS, 401,
         "{\"error\":{\"message\":\"You have insufficient permissions for this operation. Missing scopes: api.model.read.\","
         "\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}",
         PROBE_PERMISSION, "invalid_request_error"},
	{PROBE_LIST_MODELS, 403, OPENAI("\"request_forbidden\"", "\"unsupported_country_region_territory\""),
         PROBE_PERMISSION, "unsupported_country_region_territory"},
	{PROBE_COMPLETE, 403, OPENAI("\"invalid_request_error\"", "\"model_not_found\""), PROBE_MODEL_UNKNOWN,
         "model_not_found"},
	{PROBE_COMPLETE, 404, OPENAI("\"invalid_request_error\"", "\"model_not_found\""), PROBE_MODEL_UNKNOWN,
         "model_not_found"},
	{PROBE_COMPLETE, 429, OPENAI("\"requests\"", "\"rate_limit_exceeded\""), PROBE_RATE_LIMITED,
         "rate_limit_exceeded"},
	{PROBE_COMPLETE, 429, OPENAI("\"tokens\"", "null"), PROBE_RATE_LIMITED, "tokens"},
	{PROBE_COMPLETE, 429, OPENAI("null", "\"slow_down\""), PROBE_RATE_LIMITED, "slow_down"},
	{PROBE_COMPLETE, 503, OPENAI("\"server_error\"", "\"server_is_overloaded\""), PROBE_OVERLOADED,
         "server_is_overloaded"},
	{PROBE_COMPLETE, 500, OPENAI("\"server_error\"", "null"), PROBE_OVERLOADED, "server_error"},
	{PROBE_COMPLETE, 429, OPENAI("null", "\"of_tomorrow\""), PROBE_UNEXPECTED, "of_tomorrow"},
	{PROBE_COMPLETE, 400, OPENAI("\"invalid_request_error\"", "null"), PROBE_UNEXPECTED, "invalid_request_error"},
	{PROBE_COMPLETE, 400,
         "{\"error\":{\"message\":\"Could not finish the message because max_tokens or model output limit was reached.\","
         "\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}",
         PROBE_HEALTHY, "invalid_request_error"},
};

static const struct example anthropic[] = {
	{PROBE_COUNT_TOKENS, 200, "{\"input_tokens\":8}", PROBE_HEALTHY, ""},
	{PROBE_MESSAGE, 200, MESSAGE, PROBE_HEALTHY, ""},
	{PROBE_COUNT_TOKENS, 400,
         ANTHROPIC("invalid_request_error", "Your credit balance is too low to access the Anthropic API. Please go to "
                                            "Plans & Billing to upgrade or purchase credits."),
         PROBE_INSUFFICIENT_QUOTA, "invalid_request_error"},
	{PROBE_MESSAGE, 402, ANTHROPIC("billing_error", "x"), PROBE_INSUFFICIENT_QUOTA, "billing_error"},
	{PROBE_MESSAGE, 400,
         ANTHROPIC("invalid_request_error",
                   "You have reached your specified API usage limits. You will regain access on "
                   "2026-04-01 at 00:00 UTC."),
         PROBE_BILLING_HARD_LIMIT_REACHED, "invalid_request_error"},
	{PROBE_MESSAGE, 401, ANTHROPIC("authentication_error", "invalid x-api-key"), PROBE_INVALID_KEY,
         "authentication_error"},
	{PROBE_MESSAGE, 403, ANTHROPIC("permission_error", "x"), PROBE_PERMISSION, "permission_error"},
	{PROBE_MESSAGE, 400, ANTHROPIC("invalid_request_error", "This organization has been disabled."),
         PROBE_PERMISSION, "invalid_request_error"},
	{PROBE_COUNT_TOKENS, 404, ANTHROPIC("not_found_error", "model: claude-0"), PROBE_MODEL_UNKNOWN,
         "not_found_error"},
	{PROBE_COUNT_TOKENS, 404, ANTHROPIC("not_found_error", "Not found"), PROBE_UNEXPECTED, "not_found_error"},
	{PROBE_MESSAGE, 529, ANTHROPIC("overloaded_error", "Overloaded"), PROBE_OVERLOADED, "overloaded_error"},
	{PROBE_MESSAGE, 500, ANTHROPIC("api_error", "x"), PROBE_OVERLOADED, "api_error"},
	{PROBE_MESSAGE, 504, ANTHROPIC("timeout_error", "x"), PROBE_OVERLOADED, "timeout_error"},
	{PROBE_MESSAGE, 400, ANTHROPIC("invalid_request_error", "max_tokens: x"), PROBE_UNEXPECTED,
         "invalid_request_error"},
	{PROBE_MESSAGE, 413, ANTHROPIC("request_too_large", "x"), PROBE_UNEXPECTED, "request_too_large"},
};

/* Bodies that are no answer of a provider's. */
static const struct example foreign[] = {
	{PROBE_COMPLETE, 200, "<html>Log in to the hotel's network</html>", PROBE_UNEXPECTED, ""},
	{PROBE_LIST_MODELS, 200, "", PROBE_UNEXPECTED, ""},
	{PROBE_LIST_MODELS, 200, "{}", PROBE_UNEXPECTED, ""},
	{PROBE_LIST_MODELS, 200, "[]", PROBE_UNEXPECTED, ""},
	{PROBE_LIST_MODELS, 200, "{\"data\":{}}", PROBE_UNEXPECTED, ""},
	{PROBE_COMPLETE, 200, MODELS, PROBE_UNEXPECTED, ""},
	{PROBE_COMPLETE, 200, "{\"choices\":[", PROBE_UNEXPECTED, ""},
	{PROBE_COMPLETE, 200, "{\"choices\":[]}x", PROBE_UNEXPECTED, ""},
	{PROBE_COMPLETE, 301, "", PROBE_UNEXPECTED, ""},
	{PROBE_COMPLETE, 302, COMPLETION, PROBE_UNEXPECTED, ""},
	{PROBE_COMPLETE, 401, "<html>Unauthorized</html>", PROBE_UNEXPECTED, ""},
	{PROBE_COMPLETE, 403, "", PROBE_UNEXPECTED, ""},
	{PROBE_COMPLETE, 429, "Too many requests", PROBE_UNEXPECTED, ""},
	{PROBE_COMPLETE, 429, "{\"error\":\"insufficient_quota\"}", PROBE_UNEXPECTED, ""},
	{PROBE_COMPLETE, 429, "{\"error\":{\"code\":5,\"type\":[]}}", PROBE_UNEXPECTED, ""},
	{PROBE_COMPLETE, 502, "<html>Bad gateway</html>", PROBE_OVERLOADED, ""},
	{PROBE_COMPLETE, 503, "", PROBE_OVERLOADED, ""},
	{PROBE_MESSAGE, 529, "", PROBE_OVERLOADED, ""},
	{PROBE_MESSAGE, 599, "", PROBE_UNEXPECTED, ""},
	/* Codes are words; what could be a key is not kept. */
	{PROBE_COMPLETE, 401, OPENAI("\"sk-proj-secret\"", "\"sk-proj-secret\""), PROBE_INVALID_KEY, ""},
	{PROBE_COMPLETE, 401, OPENAI("\"invalid_request_error\"", "\"Sk_SECRET\""), PROBE_INVALID_KEY,
         "invalid_request_error"},
};

static void check(const struct example *examples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct example *e = &examples[i];
		char detail[PROBE_DETAIL_MAX] = "before";
		const enum probe_state state = probe_verdict(&(struct probe_answer){.call = e->call,
		                                                                    .status = e->status,
		                                                                    .body = e->body,
		                                                                    .length = strlen(e->body),
		                                                                    .retry_after = true},
		                                             detail);

		if (state != e->state || strcmp(detail, e->detail) != 0)
			fail_msg("%d %s: %s, \"%s\"", e->status, e->body, probe_text(state)->name, detail);
	}
}

static void test_openai(void **state)
{
	(void)state;
	check(openai, sizeof(openai) / sizeof(openai[0]));
}

static void test_anthropic(void **state)
{
	(void)state;
	check(anthropic, sizeof(anthropic) / sizeof(anthropic[0]));
}

static void test_foreign(void **state)
{
	(void)state;
	check(foreign, sizeof(foreign) / sizeof(foreign[0]));
}

/* Anthropic's rate limits say when to come again, a tier's monthly cap does not. */
static void test_retry_after(void **state)
{
	const char *body = ANTHROPIC("rate_limit_error", "x");
	struct probe_answer answer = {.call = PROBE_MESSAGE, .status = 429, .body = body, .length = strlen(body)};
	char detail[PROBE_DETAIL_MAX];

	(void)state;
	assert_int_equal(probe_verdict(&answer, detail), PROBE_BILLING_HARD_LIMIT_REACHED);
	answer.retry_after = true;
	assert_int_equal(probe_verdict(&answer, detail), PROBE_RATE_LIMITED);
	assert_string_equal(detail, "rate_limit_error");
}

static void test_nul_and_depth(void **state)
{
	static const char with_nul[] = "{\"choices\":[]\0}";
	char deep[4096], detail[PROBE_DETAIL_MAX];
	struct probe_answer answer = {
		.call = PROBE_COMPLETE, .status = 200, .body = with_nul, .length = sizeof(with_nul) - 1};

	(void)state;
	assert_int_equal(probe_verdict(&answer, detail), PROBE_UNEXPECTED);
	memset(deep, '[', sizeof(deep));
	answer.body = deep;
	answer.length = sizeof(deep);
	assert_int_equal(probe_verdict(&answer, detail), PROBE_UNEXPECTED);
}

static void test_names(void **state)
{
	(void)state;
	for (int s = 0; s < PROBE_STATES; s++) {
		const struct probe_text *text = probe_text((enum probe_state)s);

		assert_int_equal(probe_state_find(text->name), s);
		assert_true(strlen(text->name) <= 32); /* of the table's column */
		assert_true(text->message[0] != '\0' && text->message_french[0] != '\0');
		assert_false(text->up && text->ours);
		assert_true((text->action[0] == '\0') == (s == PROBE_HEALTHY));
		assert_true((text->action_french[0] == '\0') == (s == PROBE_HEALTHY));
	}
	assert_int_equal(probe_state_find(""), PROBE_UNCHECKED);
	for (int p = 0; p < PROBE_PROVIDERS; p++)
		assert_int_equal(probe_provider_find(probe_provider_name((enum probe_provider)p)), p);
	assert_int_equal(probe_provider_find("gemini"), PROBE_PROVIDERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_openai),        cmocka_unit_test(test_anthropic),
		cmocka_unit_test(test_foreign),       cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_nul_and_depth), cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
