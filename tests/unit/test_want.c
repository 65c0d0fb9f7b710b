#include "unit.h"

#include "meter/want.h"

static struct want want;

static int read_body_text(const char *path, const char *body, const char *fallback)
{
	const enum endpoint_shape shape = strncmp(path, "/v1beta", 7) == 0         ? SHAPE_GEMINI
	                                  : strncmp(path, "/v1/messages", 12) == 0 ? SHAPE_ANTHROPIC
	                                                                           : SHAPE_OPENAI;
	const char *model;
	size_t length;
	const struct endpoint *endpoint = endpoint_find(shape, "POST", path, &model, &length);

	assert_non_null(endpoint);
	return want_read(&want, endpoint, body, strlen(body), model, length, fallback);
}

static void expect_body(const char *path, const char *body, int64_t granted, bool newer, const char *sent)
{
	struct buf out;

	assert_int_equal(read_body_text(path, body, NULL), 0);
	buf_init(&out, 4096);
	want_body(&want, want.models[0], granted, newer, &out);
	assert_string_equal(buf_text(&out), sent);
	buf_free(&out);
	want_free(&want);
}

static void expect_refusal(const char *path, const char *body)
{
	assert_int_equal(read_body_text(path, body, NULL), -1);
	assert_non_null(want.refusal);
	want_free(&want);
}

#define CHAT "/v1/chat/completions"
#define GENERATE "/v1beta/models/gemini-2.5-flash:generateContent"

static void test_the_granted_cap_is_written(void **state)
{
	(void)state;
	expect_body(CHAT, "{\"model\":\"m\",\"max_tokens\":500}", 100, true, "{\"model\":\"m\",\"max_tokens\":100}");
	expect_body(CHAT, "{\"model\":\"m\",\"max_tokens\":50}", 100, true, "{\"model\":\"m\",\"max_tokens\":50}");
	expect_body(CHAT, "{\"model\":\"m\"}", 100, true, "{\"model\":\"m\",\"max_completion_tokens\":100}");
	expect_body(CHAT, "{\"model\":\"m\"}", 100, false, "{\"model\":\"m\",\"max_tokens\":100}");
	expect_body(CHAT, "{\"model\":\"m\",\"n\":4}", 100, true,
	            "{\"model\":\"m\",\"n\":4,\"max_completion_tokens\":25}");
	expect_body(CHAT, "{\"model\":\"m\",\"max_tokens\":null}", 9, true,
	            "{\"model\":\"m\",\"max_completion_tokens\":9}");
	expect_body("/v1/responses", "{\"model\":\"m\",\"max_output_tokens\":7}", 5, true,
	            "{\"model\":\"m\",\"max_output_tokens\":5}");
	expect_body("/v1/messages", "{\"model\":\"m\",\"max_tokens\":7}", 5, false,
	            "{\"model\":\"m\",\"max_tokens\":5}");
	expect_body(GENERATE, "{\"contents\":[1.50]}", 5, false,
	            "{\"contents\":[1.50],\"generationConfig\":{\"maxOutputTokens\":5}}");
	expect_body(GENERATE, "{\"generationConfig\":{\"topK\":1,\"maxOutputTokens\":8}}", 5, false,
	            "{\"generationConfig\":{\"topK\":1,\"maxOutputTokens\":5}}");
	expect_body("/v1/embeddings", "{\"model\":\"m\",\"input\":\"a\"}", -1, true,
	            "{\"model\":\"m\",\"input\":\"a\"}");
}

static void test_the_usage_is_asked_for(void **state)
{
	(void)state;
	expect_body(CHAT, "{\"model\":\"m\",\"stream\":true,\"max_tokens\":1}", 1, true,
	            "{\"model\":\"m\",\"stream\":true,\"max_tokens\":1,\"stream_options\":{\"include_usage\":true}}");
	expect_body(CHAT, "{\"model\":\"m\",\"stream\":true,\"max_tokens\":1,\"stream_options\":{\"a\":1}}", 1, true,
	            "{\"model\":\"m\",\"stream\":true,\"max_tokens\":1,\"stream_options\":"
	            "{\"a\":1,\"include_usage\":true}}");
	assert_int_equal(read_body_text(CHAT, "{\"model\":\"m\",\"stream\":true}", NULL), 0);
	assert_true(want.stream && want.hides_usage);
	want_free(&want);
	assert_int_equal(read_body_text(CHAT,
	                                "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}",
	                                NULL),
	                 0);
	assert_true(want.stream && !want.hides_usage);
	want_free(&want);
}

static void test_what_octroi_is_asked(void **state)
{
	struct want_terms terms = {.meter_key = "k",
	                           .account = NULL,
	                           .member = "",
	                           .request_id = "r",
	                           .prefix = "p/",
	                           .hold_seconds = 180};
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	assert_int_equal(
		read_body_text(CHAT, "{\"model\":\"m\",\"n\":2,\"max_tokens\":5,\"service_tier\":\"flex\"}", NULL), 0);
	want_authorize(&want, &terms, &out);
	/* The names have 5, 1, 10 and 12 bytes, the texts 1 and 4, each number counts 4. */
	assert_string_equal(buf_text(&out),
	                    "{\"meterKey\":\"k\",\"model\":\"p/m\",\"requestId\":\"r\",\"inputBytes\":41,"
	                    "\"maxOutputTokens\":10,\"fit\":true,\"ttlSeconds\":180,"
	                    "\"serviceTier\":\"flex\"}");
	want_free(&want);
	buf_reset(&out);
	terms.meter_key = NULL;
	terms.account = "a";
	terms.member = "b";
	assert_int_equal(
		read_body_text("/v1/audio/speech", "{\"model\":\"x\",\"input\":\"d\xc3\xa9j\xc3\xa0\"}", "m1, m2,m3"),
		0);
	want_authorize(&want, &terms, &out);
	assert_string_equal(buf_text(&out),
	                    "{\"account\":\"a\",\"member\":\"b\",\"models\":[\"p/m1\",\"p/m2\",\"p/m3\"],\"requestId\":"
	                    "\"r\",\"inputBytes\":17,\"ttlSeconds\":180,\"counts\":{\"characters\":4}}");
	want_free(&want);
	buf_free(&out);
}

/* The bytes of a member of that name, which begins so and goes on for 150,000 bytes of one character. */
static int64_t bytes_of(const char *name, const char *begins, char character)
{
	static char body[200000];
	size_t length = (size_t)snprintf(body, sizeof(body), "{\"model\":\"m\",\"%s\":\"%s", name, begins);

	memset(body + length, character, 150000);
	length += 150000;
	(void)snprintf(body + length, sizeof(body) - length, "\"}");
	assert_int_equal(read_body_text(CHAT, body, NULL), 0);
	want_free(&want);
	return want.bytes - 5 - 1 - (int64_t)strlen(name);
}

static void test_file_counts_little(void **state)
{
	(void)state;
	assert_int_equal(bytes_of("url", "data:image/png;base64,", 'A'), WANT_DATA_MAX);
	assert_int_equal(bytes_of("data", "", 'A'), WANT_DATA_MAX);
	assert_int_equal(bytes_of("file_data", "data:application/pdf;base64,", 'A'), WANT_DATA_MAX);
}

static void test_text_in_the_place_of_a_file_counts_in_full(void **state)
{
	(void)state;
	assert_int_equal(bytes_of("content", "data:image/png;base64,", 'A'), 150022);
	assert_int_equal(bytes_of("text", "data:,", 'A'), 150006);
	assert_int_equal(bytes_of("url", "data:,", ' '), 150006);
	assert_int_equal(bytes_of("data", "", ' '), 150000);
	assert_int_equal(bytes_of("url", "https://", 'A'), 150008);
}

static bool is_opaque_body(const char *body)
{
	assert_int_equal(read_body_text(CHAT, body, NULL), 0);
	want_free(&want);
	return want.opaque;
}

static void test_input_that_the_body_does_not_show(void **state)
{
	(void)state;
	assert_true(is_opaque_body(
		"{\"model\":\"m\",\"messages\":[{\"content\":[{\"image_url\":{\"url\":\"https://x\"}}]}]}"));
	assert_true(is_opaque_body("{\"model\":\"m\",\"previous_response_id\":\"resp_1\"}"));
	assert_true(is_opaque_body("{\"model\":\"m\",\"input\":[{\"type\":\"input_file\",\"file_id\":\"f\"}]}"));
	assert_false(is_opaque_body("{\"model\":\"m\",\"previous_response_id\":null}"));
	assert_false(is_opaque_body("{\"model\":\"m\",\"messages\":[{\"content\":\"image_url\"}]}"));
}

static int64_t bytes_of_body(const char *path, const char *body)
{
	assert_int_equal(read_body_text(path, body, NULL), 0);
	want_free(&want);
	return want.bytes;
}

/* An address counts as a file does, and only where it stands for input. */
static void test_address_is_reserved_as_a_file(void **state)
{
	(void)state;
	assert_true(bytes_of_body(CHAT, "{\"model\":\"m\",\"a\":{\"image_url\":{\"url\":\"https://x\"}}}") >
	            WANT_DATA_MAX);
	assert_true(bytes_of_body(CHAT, "{\"model\":\"m\",\"a\":{\"image_url\":{\"url\":\"data:,x\"}}}") <
	            WANT_DATA_MAX);
	assert_true(bytes_of_body("/v1/responses", "{\"model\":\"m\",\"conversation\":{\"id\":\"c\"}}") >
	            WANT_DATA_MAX);
	assert_true(bytes_of_body("/v1/responses", "{\"model\":\"m\",\"input\":[{\"id\":\"a\"},{\"id\":\"b\"}]}") >
	            2 * WANT_DATA_MAX);
	assert_true(bytes_of_body("/v1/responses", "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"id\":\"a\"}]}") <
	            WANT_DATA_MAX);
	assert_true(bytes_of_body("/v1/messages", "{\"model\":\"m\",\"a\":{\"source\":\"https://x\"}}") <
	            WANT_DATA_MAX);
	assert_true(bytes_of_body("/v1/messages", "{\"model\":\"m\",\"a\":{\"source\":{\"url\":\"https://x\"}}}") >
	            WANT_DATA_MAX);
	assert_true(bytes_of_body("/v1/images/generations", "{\"model\":\"m\",\"prompt\":\"a gate\"}") < WANT_DATA_MAX);
}

static bool is_hidden_body(const char *path, const char *body)
{
	assert_int_equal(read_body_text(path, body, NULL), 0);
	want_free(&want);
	return want.hidden;
}

static void test_output_that_the_stream_does_not_show(void **state)
{
	(void)state;
	assert_true(is_hidden_body(CHAT, "{\"model\":\"m\",\"reasoning_effort\":\"low\"}"));
	assert_true(is_hidden_body(CHAT, "{\"model\":\"m\",\"prediction\":{\"content\":\"x\"}}"));
	assert_true(is_hidden_body("/v1/messages", "{\"model\":\"m\",\"thinking\":{\"type\":\"enabled\"}}"));
	assert_true(is_hidden_body("/v1/messages", "{\"model\":\"m\",\"tools\":[{\"type\":\"web_search_20250305\"}]}"));
	assert_true(is_hidden_body(GENERATE, "{\"tools\":[{\"functionDeclarations\":[]},{\"urlContext\":{}}]}"));
	assert_false(
		is_hidden_body("/v1/messages", "{\"model\":\"m\",\"tools\":[{\"name\":\"f\"}],\"thinking\":null}"));
	assert_false(is_hidden_body(GENERATE, "{\"tools\":[{\"functionDeclarations\":[]}]}"));
}

static void test_models_that_may_reason(void **state)
{
	(void)state;
	assert_int_equal(read_body_text(CHAT, "{\"model\":\"m\",\"stream\":true}", NULL), 0);
	assert_true(want_may_reason(&want, "o3") && want_may_reason(&want, "gpt-5-mini"));
	assert_false(want_may_reason(&want, "gpt-4o") || want_may_reason(&want, "gpt-3.5-turbo"));
	want_free(&want);
	assert_int_equal(read_body_text("/v1/messages", "{\"model\":\"m\",\"stream\":true}", NULL), 0);
	assert_false(want_may_reason(&want, "o3"));
	want_free(&want);
}

static void test_variant_of_an_image(void **state)
{
	static const struct {
		const char *body, *variant;
	} images[] = {{"{\"model\":\"m\"}", ""},
	              {"{\"model\":\"m\",\"size\":\"auto\",\"quality\":null}", ""},
	              {"{\"model\":\"m\",\"size\":\"512x512\"}", "512x512"},
	              {"{\"model\":\"m\",\"quality\":\"hd\"}", "1024x1024/hd"},
	              {"{\"model\":\"m\",\"size\":\"1x2\",\"quality\":\"high\"}", "1x2/high"}};

	(void)state;
	for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
		assert_int_equal(read_body_text("/v1/images/generations", images[i].body, NULL), 0);
		assert_string_equal(want.variant, images[i].variant);
		want_free(&want);
	}
	assert_int_equal(
		read_body_text("/v1/messages", "{\"model\":\"m\",\"speed\":\"fast\",\"inference_geo\":\"us\"}", NULL),
		0);
	assert_string_equal(want.variant, "region=us/speed=fast");
	want_free(&want);
	assert_int_equal(read_body_text("/v1/messages", "{\"model\":\"m\",\"speed\":\"fast\"}", NULL), 0);
	assert_string_equal(want.variant, "speed=fast");
	want_free(&want);
	expect_refusal("/v1/images/generations", "{\"model\":\"m\",\"size\":\"\"}");
	expect_refusal("/v1/images/generations", "{\"model\":\"m\",\"quality\":\"a b\"}");
	expect_refusal("/v1/images/generations", "{\"model\":\"m\",\"size\":1024}");
}

static void test_tools_that_the_usage_does_not_name(void **state)
{
	(void)state;
	expect_refusal(CHAT, "{\"model\":\"m\",\"web_search_options\":{}}");
	expect_refusal(CHAT, "{\"model\":\"m\",\"tools\":[{\"type\":\"function\"},{\"type\":\"web_search_preview\"}]}");
	expect_refusal("/v1/responses", "{\"model\":\"m\",\"tools\":[{\"type\":\"file_search\"}]}");
	expect_refusal(CHAT, "{\"model\":\"m\",\"tools\":{\"type\":\"web_search\"}}");
	expect_refusal(CHAT, "{\"model\":\"m\",\"tools\":[\"web_search\"]}");
	expect_refusal(CHAT, "{\"model\":\"m\",\"tools\":[{\"type\":\"new_tool\"}]}");
	expect_refusal(CHAT, "{\"model\":\"m\",\"tools\":[{\"type\":7}]}");
	expect_refusal(CHAT, "{\"model\":\"m\",\"models\":[\"n\"]}");
	expect_refusal("/v1/responses",
	               "{\"model\":\"m\",\"input\":[{\"type\":\"x\",\"tools\":[{\"type\":\"web_search\"}]}]}");
	expect_refusal(CHAT, "{\"model\":\"gpt-4o-search-preview\"}");
	expect_refusal(GENERATE, "{\"tools\":[{\"functionDeclarations\":[],\"googleSearch\":{}}]}");
	assert_false(
		is_opaque_body("{\"model\":\"m\",\"tools\":[{\"type\":\"function\"}],\"web_search_options\":null}"));
}

static void test_refusals(void **state)
{
	(void)state;
	expect_refusal(CHAT, "");
	expect_refusal(CHAT, "[]");
	expect_refusal(CHAT, "{\"model\":\"m\"} x");
	expect_refusal(CHAT, "{\"messages\":[]}");
	expect_refusal(CHAT, "{\"model\":\"\"}");
	expect_refusal(CHAT, "{\"model\":7}");
	expect_refusal(CHAT, "{\"model\":\"m\",\"model\":\"n\"}");
	expect_refusal(CHAT, "{\"model\":\"m\",\"max_tokens\":0}");
	expect_refusal(CHAT, "{\"model\":\"m\",\"max_tokens\":5,\"max_completion_tokens\":5}");
	expect_refusal(CHAT, "{\"model\":\"m\",\"max_tokens\":-1}");
	expect_refusal(CHAT, "{\"model\":\"m\",\"max_tokens\":1.5}");
	expect_refusal(CHAT, "{\"model\":\"m\",\"max_tokens\":\"1\"}");
	expect_refusal(CHAT, "{\"model\":\"m\",\"n\":129}");
	expect_refusal(CHAT, "{\"model\":\"m\",\"n\":100,\"max_tokens\":900000000}");
	expect_refusal(CHAT, "{\"model\":\"m\",\"stream\":1}");
	expect_refusal(CHAT, "{\"model\":\"m\",\"stream\":true,\"stream_options\":1}");
	expect_refusal("/v1/responses", "{\"model\":\"m\",\"background\":true}");
	expect_refusal("/v1/audio/speech", "{\"model\":\"m\"}");
	expect_refusal(GENERATE, "{\"generation_config\":{\"maxOutputTokens\":1}}");
	expect_refusal(GENERATE, "{\"generationConfig\":{\"max_output_tokens\":1}}");
	expect_refusal(GENERATE, "{\"generationConfig\":1}");
}

static void test_paths(void **state)
{
	static const char *const others[] = {"/v1/chat/completions/",
	                                     "/v1/files",
	                                     "/v1/realtime",
	                                     "/v1beta/models/a/b:generateContent",
	                                     "/v1beta/models/:generateContent",
	                                     "/v1beta/models/m:countTokens",
	                                     ""};
	const char *model;
	size_t length;

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		for (int shape = SHAPE_OPENAI; shape <= SHAPE_GEMINI; shape++)
			assert_null(endpoint_find((enum endpoint_shape)shape, "POST", others[i], &model, &length));
	assert_null(endpoint_find(SHAPE_OPENAI, "GET", CHAT, &model, &length));
	assert_null(endpoint_find(SHAPE_OPENAI, "POST", "/v1/messages", &model, &length));
	assert_non_null(endpoint_find(SHAPE_GEMINI, "POST", GENERATE, &model, &length));
	assert_int_equal(length, strlen("gemini-2.5-flash"));
	assert_memory_equal(model, "gemini-2.5-flash", length);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_granted_cap_is_written),
		cmocka_unit_test(test_the_usage_is_asked_for),
		cmocka_unit_test(test_what_octroi_is_asked),
		cmocka_unit_test(test_file_counts_little),
		cmocka_unit_test(test_text_in_the_place_of_a_file_counts_in_full),
		cmocka_unit_test(test_input_that_the_body_does_not_show),
		cmocka_unit_test(test_address_is_reserved_as_a_file),
		cmocka_unit_test(test_output_that_the_stream_does_not_show),
		cmocka_unit_test(test_models_that_may_reason),
		cmocka_unit_test(test_variant_of_an_image),
		cmocka_unit_test(test_tools_that_the_usage_does_not_name),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
