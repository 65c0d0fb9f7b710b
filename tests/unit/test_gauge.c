#include "unit.h"

#include "meter/gauge.h"

#define OPENAI \
	"data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"Hel\"}}],\"usage\":null}\n\n" \
	": a comment\n\n" \
	"data: {\"choices\":[{\"delta\":{\"content\":\"lo\"}}],\"service_tier\":\"flex\"}\n\n"
#define OPENAI_USAGE \
	"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7,\"total_tokens\":18}}\n\n"
#define OPENAI_DONE "data: [DONE]\n\n"

#define ANTHROPIC_BEGUN \
	"event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":" \
	"{\"input_tokens\":25,\"cache_read_input_tokens\":4,\"output_tokens\":1}}}\r\n\r\n" \
	"event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"delta\":" \
	"{\"type\":\"text_delta\",\"text\":\"Hello there\"}}\r\n\r\n"
#define ANTHROPIC_ENDED \
	"event: message_delta\r\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}," \
	"\"usage\":{\"output_tokens\":15}}\r\n\r\n" \
	"event: message_stop\r\ndata: {\"type\":\"message_stop\"}\r\n\r\n"

#define GEMINI(count) \
	"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}]}}],\"usageMetadata\":" \
	"{\"promptTokenCount\":4,\"candidatesTokenCount\":" count ",\"totalTokenCount\":9}}\n\n"

struct heard {
	char out[64 * 1024];
	char settlement[TALLY_SETTLEMENT_MAX];
	bool whole, failed, broken_off;
};

/* Feeds the stream in pieces: up to the cut, and the rest. */
static void hear(struct heard *h, const char *stream, size_t length, size_t cut, bool events, bool hides,
                 enum tally_outcome outcome)
{
	const struct tally_facts facts = {.hold = "H",
	                                  .outcome = outcome,
	                                  .cap = 100,
	                                  .bytes_per_token = 3,
	                                  .input_tokens = 9,
	                                  .estimate = events};
	struct gauge g;
	struct buf out, settlement;

	gauge_init(&g);
	buf_init(&out, sizeof(h->out) - 1);
	buf_init(&settlement, sizeof(h->settlement) - 1);
	gauge_begin(&g, events, hides);
	gauge_feed(&g, stream, cut, &out);
	gauge_feed(&g, stream + cut, length - cut, &out);
	gauge_end(&g, &out);
	assert_true(buf_ok(&out));
	tally_settlement(&g.tally, &facts, &settlement);
	(void)snprintf(h->out, sizeof(h->out), "%s", buf_text(&out));
	(void)snprintf(h->settlement, sizeof(h->settlement), "%s", buf_text(&settlement));
	h->whole = g.tally.whole;
	h->failed = g.tally.failed;
	h->broken_off = g.tally.broken_off;
	gauge_free(&g);
	buf_free(&out);
	buf_free(&settlement);
}

/* At each cut, the client gets the same bytes and octroi the same settlement. */
static void expect(const char *stream, bool events, bool hides, enum tally_outcome outcome, const char *passed,
                   const char *settlement)
{
	static struct heard h;

	for (size_t cut = 0; cut <= strlen(stream); cut++) {
		hear(&h, stream, strlen(stream), cut, events, hides, outcome);
		assert_string_equal(h.out, passed);
		assert_string_equal(h.settlement, settlement);
	}
}

static void test_openai_is_counted_and_the_extra_chunk_hidden(void **state)
{
	static const char used[] =
		"{\"hold\":\"H\",\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7,\"total_tokens\":18,"
		"\"service_tier\":\"flex\"}}";

	(void)state;
	expect(OPENAI OPENAI_USAGE OPENAI_DONE, true, true, TALLY_COMPLETE, OPENAI OPENAI_DONE, used);
	expect(OPENAI OPENAI_USAGE OPENAI_DONE, true, false, TALLY_COMPLETE, OPENAI OPENAI_USAGE OPENAI_DONE, used);
}

static void test_openai_broken_off_is_estimated(void **state)
{
	(void)state;
	/* "Hello" is two deltas, and two times three bytes. */
	expect(OPENAI, true, true, TALLY_PARTIAL, OPENAI,
	       "{\"hold\":\"H\",\"usage\":{\"output_tokens\":2,\"service_tier\":\"flex\"},\"outcome\":\"partial\"}");
	/* A usage that is not whole is none. */
	expect(OPENAI "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1", true, false, TALLY_PARTIAL,
	       OPENAI "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1",
	       "{\"hold\":\"H\",\"usage\":{\"output_tokens\":2,\"service_tier\":\"flex\"},\"outcome\":\"partial\"}");
	expect("", true, true, TALLY_PARTIAL, "", "{\"hold\":\"H\",\"inputTokens\":9,\"outcome\":\"partial\"}");
}

static void test_anthropic_merges_its_beginning(void **state)
{
	(void)state;
	expect(ANTHROPIC_BEGUN ANTHROPIC_ENDED, true, false, TALLY_COMPLETE, ANTHROPIC_BEGUN ANTHROPIC_ENDED,
	       "{\"hold\":\"H\",\"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":4,\"output_tokens\":15}}");
	/* Broken off, the output is estimated: 11 bytes of text. */
	expect(ANTHROPIC_BEGUN, true, false, TALLY_PARTIAL, ANTHROPIC_BEGUN,
	       "{\"hold\":\"H\",\"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":4,\"output_tokens\":4},"
	       "\"outcome\":\"partial\"}");
}

static void test_gemini_takes_the_last_never_the_sum(void **state)
{
	(void)state;
	expect(GEMINI("2") GEMINI("5"), true, false, TALLY_COMPLETE, GEMINI("2") GEMINI("5"),
	       "{\"hold\":\"H\",\"usage\":{\"promptTokenCount\":4,\"candidatesTokenCount\":5,\"totalTokenCount\":9}}");
	expect("[{\"usageMetadata\":{\"promptTokenCount\":4}},\n{\"usageMetadata\":{\"promptTokenCount\":5}}]", false,
	       false, TALLY_COMPLETE,
	       "[{\"usageMetadata\":{\"promptTokenCount\":4}},\n{\"usageMetadata\":{\"promptTokenCount\":5}}]",
	       "{\"hold\":\"H\",\"usage\":{\"promptTokenCount\":5}}");
}

static void test_a_document_without_usage_charges_the_reservation(void **state)
{
	(void)state;
	expect("{\"id\":\"x\"}", false, false, TALLY_COMPLETE, "{\"id\":\"x\"}",
	       "{\"hold\":\"H\",\"outcome\":\"partial\"}");
	expect("{\"usage\":{\"a\"", false, false, TALLY_PARTIAL, "{\"usage\":{\"a\"",
	       "{\"hold\":\"H\",\"outcome\":\"partial\"}");
}

static void test_ends_and_errors_are_seen(void **state)
{
	static struct heard h;
	static const char error[] = "data: {\"type\":\"error\",\"error\":{\"message\":\"overloaded\"}}\n\n";
	static const char later[] = OPENAI "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";

	(void)state;
	hear(&h, OPENAI OPENAI_DONE, strlen(OPENAI OPENAI_DONE), 3, true, true, TALLY_COMPLETE);
	assert_true(h.whole && !h.failed && !h.broken_off);
	hear(&h, ANTHROPIC_BEGUN ANTHROPIC_ENDED, strlen(ANTHROPIC_BEGUN ANTHROPIC_ENDED), 3, true, false,
	     TALLY_COMPLETE);
	assert_true(h.whole);
	hear(&h, error, strlen(error), 0, true, false, TALLY_FAILED);
	assert_true(h.failed && !h.broken_off && !h.whole);
	assert_string_equal(h.settlement, "{\"hold\":\"H\",\"outcome\":\"failed\"}");
	hear(&h, later, strlen(later), 0, true, false, TALLY_PARTIAL);
	assert_true(!h.failed && h.broken_off);
}

static void test_ends_of_lines_of_all_kinds(void **state)
{
	static const char *const ends[] = {"\n", "\r\n", "\r"};
	char stream[1024], kept[256];

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		const char *e = ends[i];

		(void)snprintf(kept, sizeof(kept),
		               "\xef\xbb\xbf"
		               "data:{\"choices\":%sdata: [1]}%s%s:x%s%s",
		               e, e, e, e, e);
		(void)snprintf(stream, sizeof(stream),
		               "%sdata: {\"choices\":[],%sdata:\"usage\":{\"prompt_tokens\":1}}%s%s", kept, e, e, e);
		expect(stream, true, true, TALLY_COMPLETE, kept, "{\"hold\":\"H\",\"usage\":{\"prompt_tokens\":1}}");
	}
}

#define GEMINI_LIST \
	"[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}]}}],\"usageMetadata\":{\"promptTokenCount\":4," \
	"\"candidatesTokenCount\":2}}\n,\r\n{\"usageMetadata\":{\"promptTokenCount\":4,\"candidatesTokenCount\":5}}\n]"

/* A usage that is cut leaves the one before it. */
static void test_a_list_keeps_its_last_whole_usage(void **state)
{
	static const char first[] = "{\"hold\":\"H\",\"usage\":{\"promptTokenCount\":4,\"candidatesTokenCount\":2},"
				    "\"outcome\":\"partial\"}";
	static struct heard h;

	(void)state;
	hear(&h, GEMINI_LIST, strlen(GEMINI_LIST), 140, false, false, TALLY_COMPLETE);
	assert_string_equal(h.settlement,
	                    "{\"hold\":\"H\",\"usage\":{\"promptTokenCount\":4,\"candidatesTokenCount\":5}}");
	for (size_t end = strlen(GEMINI_LIST) - 4; end > strlen(GEMINI_LIST) - 70; end--) {
		hear(&h, GEMINI_LIST, end, end / 2, false, false, TALLY_PARTIAL);
		assert_string_equal(h.settlement, first);
	}
}

/* A line of any length costs no memory, and the events after it are read. */
static void test_a_line_of_ten_megabytes(void **state)
{
	static const char begins[] = "data: {\"choices\":[{\"delta\":{\"content\":\"", ends[] = "\"}}]}\n\n";
	const size_t length = (size_t)10 * 1024 * 1024;
	char *part = malloc(4096);
	struct gauge g;
	struct buf out;
	size_t passed = 0;

	(void)state;
	assert_non_null(part);
	memset(part, 'x', 4096);
	gauge_init(&g);
	gauge_begin(&g, true, true);
	buf_init(&out, 2 * GAUGE_HELD_MAX);
	gauge_feed(&g, begins, strlen(begins), &out);
	for (size_t at = 0; at < length; at += 4096) {
		gauge_feed(&g, part, 4096, &out);
		assert_true(buf_ok(&out) && g.held.length <= GAUGE_HELD_MAX);
		passed += out.length;
		buf_reset(&out);
	}
	gauge_feed(&g, ends, strlen(ends), &out);
	assert_int_equal(passed + out.length, strlen(begins) + length + strlen(ends));
	buf_reset(&out);
	gauge_feed(&g, OPENAI_USAGE, strlen(OPENAI_USAGE), &out);
	assert_int_equal(out.length, 0);
	assert_int_equal(g.tally.text_bytes, length);
	assert_true(g.tally.usage.length > 0);
	gauge_free(&g);
	buf_free(&out);
	free(part);
}

static void test_a_usage_that_is_too_long_charges_the_reservation(void **state)
{
	static struct heard h;
	static char stream[3 * SKIM_USAGE_MAX];
	size_t length;

	(void)state;
	length = (size_t)snprintf(stream, sizeof(stream), "{\"usage\":{\"a\":\"");
	memset(stream + length, 'x', 2 * SKIM_USAGE_MAX);
	length += 2 * SKIM_USAGE_MAX;
	length += (size_t)snprintf(stream + length, sizeof(stream) - length, "\"}}");
	hear(&h, stream, length, 100, false, false, TALLY_COMPLETE);
	assert_string_equal(h.settlement, "{\"hold\":\"H\",\"outcome\":\"partial\"}");
}

static void test_the_estimate_is_at_most_the_cap(void **state)
{
	struct tally t;

	(void)state;
	tally_init(&t);
	t.text_bytes = 1000;
	t.texts = 7;
	assert_int_equal(tally_estimate(&t, 3, 100), 100);
	assert_int_equal(tally_estimate(&t, 3, -1), 334);
	t.texts = 900;
	assert_int_equal(tally_estimate(&t, 3, -1), 900);
	tally_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_openai_is_counted_and_the_extra_chunk_hidden),
		cmocka_unit_test(test_openai_broken_off_is_estimated),
		cmocka_unit_test(test_anthropic_merges_its_beginning),
		cmocka_unit_test(test_gemini_takes_the_last_never_the_sum),
		cmocka_unit_test(test_a_document_without_usage_charges_the_reservation),
		cmocka_unit_test(test_ends_and_errors_are_seen),
		cmocka_unit_test(test_ends_of_lines_of_all_kinds),
		cmocka_unit_test(test_a_list_keeps_its_last_whole_usage),
		cmocka_unit_test(test_a_line_of_ten_megabytes),
		cmocka_unit_test(test_a_usage_that_is_too_long_charges_the_reservation),
		cmocka_unit_test(test_the_estimate_is_at_most_the_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
