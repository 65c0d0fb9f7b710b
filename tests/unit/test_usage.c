/* Drawn objects are read back in tests/model/test_cost.py; here are the providers' own. */
#include "unit.h"

#include "ledger/usage.h"

struct shape {
	const char *usage;
	int64_t count[PRICE_CLASSES];
};

static int read_text(const char *text, struct tokens *t, const char **field)
{
	char error[JSON_ERROR_MAX];
	struct json *usage = json_parse(text, strlen(text), false, error);
	int result;

	assert_non_null(usage);
	result = usage_read(usage, t, field);
	json_free(usage);
	return result;
}

static void test_shapes_of_the_providers(void **state)
{
	static const struct shape shapes[] = {
		/* OpenAI chat, with a cache and with prompt caching that is written to. */
		{"{\"prompt_tokens\":2006,\"completion_tokens\":300,\"total_tokens\":2306,"
	         "\"prompt_tokens_details\":{\"cached_tokens\":1920,\"audio_tokens\":0},"
	         "\"completion_tokens_details\":{\"reasoning_tokens\":128,\"audio_tokens\":0,"
	         "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}",
	         {86, 1920, 0, 0, 300}},
		{"{\"prompt_tokens\":100,\"completion_tokens\":1,"
	         "\"prompt_tokens_details\":{\"cached_tokens\":10,\"cache_write_tokens\":30}}",
	         {60, 10, 30, 0, 1}},
		/* OpenAI responses. */
		{"{\"input_tokens\":36,\"input_tokens_details\":{\"cached_tokens\":6},\"output_tokens\":87,"
	         "\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":123}",
	         {30, 6, 0, 0, 87}},
		/* Anthropic: disjoint, writes told apart by their time. */
		{"{\"input_tokens\":21,\"cache_creation_input_tokens\":556,\"cache_read_input_tokens\":188086,"
	         "\"cache_creation\":{\"ephemeral_5m_input_tokens\":456,\"ephemeral_1h_input_tokens\":100},"
	         "\"output_tokens\":393,\"service_tier\":\"standard\",\"server_tool_use\":null}",
	         {21, 188086, 456, 100, 393}},
		{"{\"input_tokens\":21,\"cache_creation_input_tokens\":556,\"cache_read_input_tokens\":null,"
	         "\"cache_creation\":null,\"output_tokens\":393}",
	         {21, 0, 556, 0, 393}},
		/* Gemini: tool results beside the prompt, thoughts beside the candidates. */
		{"{\"promptTokenCount\":1000,\"cachedContentTokenCount\":400,\"toolUsePromptTokenCount\":50,"
	         "\"candidatesTokenCount\":70,\"thoughtsTokenCount\":30,\"totalTokenCount\":1150,"
	         "\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":1000}]}",
	         {650, 400, 0, 0, 100}},
		{"{\"promptTokenCount\":7,\"totalTokenCount\":7}", {7, 0, 0, 0, 0}},
		{"{\"input_tokens\":5,\"output_tokens\":7}", {5, 0, 0, 0, 7}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		const char *field = "";
		struct tokens t;

		assert_int_equal(read_text(shapes[i].usage, &t, &field), 0);
		assert_null(field);
		assert_memory_equal(t.count, shapes[i].count, sizeof(t.count));
	}
}

static void test_refusals_name_the_field(void **state)
{
	static const char *const cases[][2] = {
		{"{}", "usage"},
		{"[]", "usage"},
		{"{\"total_tokens\":5}", "usage"},
		{"{\"prompt_tokens\":-1,\"completion_tokens\":1}", "prompt_tokens"},
		{"{\"prompt_tokens\":1,\"completion_tokens\":1.0}", "completion_tokens"},
		{"{\"prompt_tokens\":1,\"completion_tokens\":1e3}", "completion_tokens"},
		{"{\"prompt_tokens\":1000000001}", "prompt_tokens"},
		{"{\"prompt_tokens\":true}", "prompt_tokens"},
		{"{\"prompt_tokens\":\"1\"}", "prompt_tokens"},
		{"{\"prompt_tokens\":1,\"prompt_tokens_details\":{\"cached_tokens\":2}}",
	         "prompt_tokens_details"},
		{"{\"input_tokens\":1,\"cache_read_input_tokens\":-2}", "cache_read_input_tokens"},
		{"{\"input_tokens\":1,\"cache_creation_input_tokens\":1,"
	         "\"cache_creation\":{\"ephemeral_1h_input_tokens\":2}}",
	         "cache_creation"},
		{"{\"promptTokenCount\":1,\"cachedContentTokenCount\":2}",
	         "cachedContentTokenCount"},
		/* Each is a count, but their sum is beyond one. */
		{"{\"promptTokenCount\":1000000000,\"toolUsePromptTokenCount\":1}", "usage"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *field = NULL;
		struct tokens t;

		assert_int_equal(read_text(cases[i][0], &t, &field), -1);
		assert_string_equal(field, cases[i][1]);
	}
}

static void test_no_usage_at_all(void **state)
{
	const char *field = NULL;
	struct tokens t;

	(void)state;
	assert_int_equal(usage_read(NULL, &t, &field), -1);
	assert_string_equal(field, "usage");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes_of_the_providers),
		cmocka_unit_test(test_refusals_name_the_field),
		cmocka_unit_test(test_no_usage_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
