/* All of LiteLLM's list is compared in tests/model/test_cost.py; here is what it could hold. */
#include "unit.h"

#include "prices/pricelist.h"

#define ENTRY(rest) "{\"m\":{\"litellm_provider\":\"p\",\"mode\":\"chat\"," rest "}}"
#define CHAT "\"input_cost_per_token\":1e-6,\"output_cost_per_token\":2e-6"

struct seen {
	int count;
	enum pricelist_reason reason;
	char field[96];
	struct price price;
	struct price_line lines[PRICE_LINES_MAX];
	int unused;
	char unused_field[96];        /* the first one */
	char item[3][PRICE_ITEM_MAX]; /* of the first ones */
	bool made;
	char made_provider[PRICE_PROVIDER_MAX]; /* of the model that was made last */
	struct pricelist_counts counts;
};

static int see(void *context, const struct pricelist_entry *entry)
{
	struct seen *s = context;

	if (s->count < 3)
		snprintf(s->item[s->count], sizeof(s->item[0]), "%s", entry->item);
	s->count += entry->made ? 0 : 1;
	s->made = entry->made;
	s->reason = entry->reason;
	s->unused = entry->unused_count;
	snprintf(s->unused_field, sizeof(s->unused_field), "%s", s->unused > 0 ? entry->unused[0] : "");
	snprintf(s->field, sizeof(s->field), "%s", entry->field);
	assert_true((entry->price != NULL) == (entry->reason == PRICELIST_ACCEPTED));
	if (entry->price != NULL) {
		if (entry->made)
			snprintf(s->made_provider, sizeof(s->made_provider), "%s", entry->price->provider);
		s->price = *entry->price;
		memcpy(s->lines, entry->price->lines, (size_t)entry->price->line_count * sizeof(s->lines[0]));
	}
	return 0;
}

static struct seen read_one(const char *list)
{
	struct seen s = {0};
	int64_t reasons = 0;
	char error[JSON_ERROR_MAX];

	assert_int_equal(pricelist_read(list, strlen(list), see, &s, &s.counts, error), 0);
	assert_int_equal(s.counts.entries, s.count);
	for (int i = 0; i < PRICELIST_REASON_COUNT; i++)
		reasons += s.counts.reason[i];
	assert_int_equal(s.counts.entries, reasons);
	return s;
}

/* The lines are these, as prices.price_lines has them: ' stands for ". */
static void assert_lines(const struct seen *s, const char *quoted)
{
	struct price p = s->price;
	struct buf found;
	char wanted[4096];
	size_t length = strlen(quoted);

	assert_int_equal(s->reason, PRICELIST_ACCEPTED);
	assert_true(length < sizeof(wanted));
	for (size_t i = 0; i <= length; i++)
		wanted[i] = quoted[i] == '\'' ? '"' : quoted[i];
	p.lines = s->lines;
	p.terms = (struct price_terms){1000000, 1000000, 1000000};
	assert_true(price_valid(&p));
	buf_init(&found, 65536);
	price_write_lines(&p, &found);
	assert_string_equal(buf_text(&found), wanted);
	buf_free(&found);
}

static void test_what_is_not_an_entry_is_skipped(void **state)
{
	struct seen s = read_one("{\"sample_spec\":{\"mode\":\"chat\"},\"last_updated\":\"today\",\"n\":5,\"l\":[],"
	                         "\"fallback_generalizations\":{\"rules\":[]},"
	                         "\"m\":{\"litellm_provider\":\"p\",\"mode\":\"chat\"," CHAT "}}");

	(void)state;
	assert_int_equal(s.count, 1);
	assert_int_equal(s.reason, PRICELIST_ACCEPTED);
	assert_string_equal(s.price.item, "m");
	assert_string_equal(s.price.provider, "p");
	assert_int_equal(s.price.kind, PRICE_MODEL);
}

static void test_decimals(void **state)
{
	struct seen s =
		read_one(ENTRY("\"input_cost_per_token\":1.2499999999999999e-06,\"output_cost_per_token\":\"3e-7\""));

	(void)state;
	assert_lines(&s, "[['inputTokens','standard',0,'',125,8],['outputTokens','standard',0,'',3,7]]");
	s = read_one(ENTRY("\"input_cost_per_token\":1,\"output_cost_per_token\":1.59263611e-07"));
	assert_lines(&s, "[['inputTokens','standard',0,'',1,0],['outputTokens','standard',0,'',159263611,15]]");
}

static void test_caches(void **state)
{
	struct seen s =
		read_one(ENTRY(CHAT ",\"cache_read_input_token_cost\":0.0,\"input_cost_per_token_cache_hit\":9e-7"));

	(void)state;
	assert_lines(&s, "[['inputTokens','standard',0,'',1,6],['cacheReadTokens','standard',0,'',0,0],"
	                 "['outputTokens','standard',0,'',2,6]]");
	s = read_one(ENTRY(CHAT ",\"input_cost_per_token_cache_hit\":9e-7,\"cache_creation_input_token_cost\":null,"
	                        "\"cache_creation_input_token_cost_above_1hr\":2e-6"));
	assert_lines(&s, "[['inputTokens','standard',0,'',1,6],['cacheReadTokens','standard',0,'',9,7],"
	                 "['cacheWrite1hTokens','standard',0,'',2,6],['outputTokens','standard',0,'',2,6]]");
}

static void test_endings(void **state)
{
	struct seen s = read_one(ENTRY(CHAT ",\"output_cost_per_token_above_1000k_tokens\":8e-6,"
	                                    "\"input_cost_per_token_above_300_tokens\":3e-6,"
	                                    "\"cache_creation_input_token_cost_above_1hr_above_200k_tokens\":9e-6,"
	                                    "\"input_cost_per_token_above_200k_tokens_priority\":7e-6,"
	                                    "\"output_cost_per_token_flex\":1e-6,\"input_cost_per_token_batches\":5e-7,"
	                                    "\"output_cost_per_second_1080p\":0.08,"
	                                    "\"input_cost_per_video_per_second_above_8s_interval\":0.1"));

	(void)state;
	assert_int_equal(s.unused, 0);
	assert_lines(&s, "[['inputTokens','standard',0,'',1,6],['inputTokens','standard',300,'',3,6],"
	                 "['inputTokens','batch',0,'',5,7],['inputTokens','priority',200000,'',7,6],"
	                 "['cacheWrite1hTokens','standard',200000,'',9,6],['outputTokens','standard',0,'',2,6],"
	                 "['outputTokens','standard',1000000,'',8,6],['outputTokens','flex',0,'',1,6],"
	                 "['outputSeconds','standard',0,'1080p',8,2],['videoSeconds','standard',0,'interval>8s',1,1]]");
}

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *name, *dimension;
} listed_fields[] = {
	{"input_cost_per_token", "inputTokens"},
	{"output_cost_per_token", "outputTokens"},
	{"cache_read_input_token_cost", "cacheReadTokens"},
	{"input_cost_per_token_cache_hit", "cacheReadTokens"},
	{"cache_creation_input_token_cost", "cacheWriteTokens"},
	{"cache_creation_input_token_cost_above_1hr", "cacheWrite1hTokens"},
	{"input_cost_per_audio_token", "audioInputTokens"},
	{"cache_read_input_audio_token_cost", "audioCacheReadTokens"},
	{"cache_creation_input_audio_token_cost", "audioCacheWriteTokens"},
	{"input_cost_per_image_token", "imageInputTokens"},
	{"output_cost_per_reasoning_token", "reasoningTokens"},
	{"citation_cost_per_token", "citationTokens"},
	{"output_cost_per_audio_token", "audioOutputTokens"},
	{"output_cost_per_image_token", "imageOutputTokens"},
	{"output_cost_per_video_token", "videoOutputTokens"},
	{"input_cost_per_second", "seconds"},
	{"input_cost_per_audio_per_second", "seconds"},
	{"output_cost_per_second", "outputSeconds"},
	{"input_cost_per_video_per_second", "videoSeconds"},
	{"output_cost_per_video_per_second", "outputVideoSeconds"},
	{"input_cost_per_character", "characters"},
	{"output_cost_per_character", "outputCharacters"},
	{"input_cost_per_image", "inputImages"},
	{"output_cost_per_image", "images"},
	{"input_cost_per_pixel", "pixels"},
	{"output_cost_per_pixel", "pixels"},
	{"ocr_cost_per_page", "pages"},
	{"annotation_cost_per_page", "annotationPages"},
	{"ocr_cost_per_credit", "providerCredits"},
	{"input_cost_per_query", "queries"},
	{"input_cost_per_request", "requests"},
	{"code_interpreter_cost_per_session", "sessions"},
};

/* Each field with each ending, alone in an entry of a mode that nobody knows. */
static void test_each_field_with_each_ending(void **state)
{
	static const struct {
		const char *ending, *place;
	} endings[] = {
		{"", "'standard',0,''"},
		{"_above_200k_tokens", "'standard',200000,''"},
		{"_above_300_tokens", "'standard',300,''"},
		{"_batches", "'batch',0,''"},
		{"_flex", "'flex',0,''"},
		{"_priority", "'priority',0,''"},
		{"_above_272k_tokens_priority", "'priority',272000,''"},
		{"_above_128k_tokens_batches", "'batch',128000,''"},
		{"_above_8s_interval", "'standard',0,'interval>8s'"},
		{"_above_15s_interval", "'standard',0,'interval>15s'"},
		{"_1080p", "'standard',0,'1080p'"},
		{"_720p_flex", "'flex',0,'720p'"},
		{"_above_15s_interval_priority", "'priority',0,'interval>15s'"},
	};
	char list[512], lines[256];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(listed_fields); i++) {
		for (size_t k = 0; k < COUNT_OF(endings); k++) {
			struct seen s;

			snprintf(list, sizeof(list),
			         "{\"m\":{\"litellm_provider\":\"p\",\"mode\":\"beads\",\"%s%s\":0.003}}",
			         listed_fields[i].name, endings[k].ending);
			snprintf(lines, sizeof(lines), "[['%s',%s,3,3]]", listed_fields[i].dimension, endings[k].place);
			s = read_one(list);
			assert_lines(&s, lines);
			assert_int_equal(s.unused, 0);
		}
	}
}

static void test_other_endings_are_told(void **state)
{
	static const char *const endings[] = {
		"s",
		"_",
		"_above",
		"_above_k_tokens",
		"_above_0k_tokens",
		"_above_200K_tokens",
		"_above_200k_token",
		"_above_200k",
		"_above_-5k_tokens",
		"_above_1.5k_tokens",
		"_batch",
		"_priorities",
		"_p",
		"_1080",
		"_x1080p",
		"_above_8m_interval",
		"_above_8s",
		"__flex",
		"_flex_",
		"_above_1hr",
		"_above_2000000k_tokens",
		"_standard",
		"_above_99999999999999999999_tokens",
	};
	char list[512];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(endings); i++) {
		struct seen s;

		snprintf(list, sizeof(list),
		         "{\"m\":{\"litellm_provider\":\"p\"," CHAT ",\"output_cost_per_token%s\":0.5}}", endings[i]);
		s = read_one(list);
		assert_lines(&s, "[['inputTokens','standard',0,'',1,6],['outputTokens','standard',0,'',2,6]]");
		assert_int_equal(s.unused, 1);
		assert_non_null(strstr(s.unused_field, endings[i]));
	}
}

static void test_spellings_of_one_price(void **state)
{
	static const struct {
		const char *entry, *lines;
	} cases[] = {
		/* The dearer of both, in either order and at any scale. */
		{"\"input_cost_per_pixel\":1.9e-8,\"output_cost_per_pixel\":2e-8", "[['pixels','standard',0,'',2,8]]"},
		{"\"output_cost_per_pixel\":2e-8,\"input_cost_per_pixel\":1.9e-8", "[['pixels','standard',0,'',2,8]]"},
		{"\"output_cost_per_pixel\":0.0,\"input_cost_per_pixel\":1.9e-8", "[['pixels','standard',0,'',19,9]]"},
		{"\"input_cost_per_audio_per_second\":0.9,\"input_cost_per_second\":0.1",
	         "[['seconds','standard',0,'',1,1]]"},
		{"\"input_cost_per_audio_per_second\":0.9,\"input_cost_per_second\":null",
	         "[['seconds','standard',0,'',9,1]]"},
		{"\"input_cost_per_audio_per_second_above_128k_tokens\":0.9,\"input_cost_per_second\":0.1",
	         "[['seconds','standard',0,'',1,1]]"},
		{CHAT ",\"cache_read_input_token_cost\":null,\"input_cost_per_token_cache_hit\":9e-7",
	         "[['inputTokens','standard',0,'',1,6],['cacheReadTokens','standard',0,'',9,7],"
	         "['outputTokens','standard',0,'',2,6]]"},
		{CHAT ",\"input_cost_per_token_cache_hit\":9e-7,\"cache_read_input_token_cost\":1e-7",
	         "[['inputTokens','standard',0,'',1,6],['cacheReadTokens','standard',0,'',1,7],"
	         "['outputTokens','standard',0,'',2,6]]"},
		{CHAT ",\"input_dbu_cost_per_token\":9,\"output_dbu_cost_per_token\":9,"
	              "\"cache_read_input_dbu_cost_per_token\":9",
	         "[['inputTokens','standard',0,'',1,6],['outputTokens','standard',0,'',2,6]]"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char list[1024];
		struct seen s;

		snprintf(list, sizeof(list), "{\"m\":{\"litellm_provider\":\"p\",%s}}", cases[i].entry);
		s = read_one(list);
		assert_lines(&s, cases[i].lines);
		assert_int_equal(s.unused, 0);
	}
}

static void test_digits_are_kept(void **state)
{
	static const struct {
		const char *text, *line;
	} cases[] = {
		{"1.59263611e-07", "159263611,15"},
		{"0.123456789012345678", "123456789012345678,18"},
		{"0.1234567890123456785", "123456789012345679,18"},
		{"1e-18", "1,18"},
		{"5e-19", "1,18"},
		{"1000", "1000,0"},
		{"1000.0", "1000,0"},
		{"999.99", "99999,2"},
		{"\"2.50e-06\"", "25,7"},
		{"1E-6", "1,6"},
		{"0.00000000000000000050000", "1,18"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char list[256], lines[256];
		struct seen s;

		snprintf(list, sizeof(list), "{\"m\":{\"litellm_provider\":\"p\",\"ocr_cost_per_page\":%s}}",
		         cases[i].text);
		snprintf(lines, sizeof(lines), "[['pages','standard',0,'',%s]]", cases[i].line);
		s = read_one(list);
		assert_lines(&s, lines);
	}
}

static void test_xai_counts_the_threshold_in(void **state)
{
	struct seen s = read_one("{\"m\":{\"litellm_provider\":\"xai\",\"mode\":\"chat\"," CHAT
	                         ",\"input_cost_per_token_above_128k_tokens\":4e-6}}");

	(void)state;
	assert_lines(&s, "[['inputTokens','standard',0,'',1,6],['inputTokens','standard',127999,'',4,6],"
	                 "['outputTokens','standard',0,'',2,6]]");
}

static void test_tiered_pricing_wins(void **state)
{
	struct seen s =
		read_one(ENTRY("\"input_cost_per_token\":0.9,\"output_cost_per_token\":5e-6,"
	                       "\"input_cost_per_token_above_128k_tokens\":0.9,\"tiered_pricing\":["
	                       "{\"range\":[0,32000.0],\"input_cost_per_token\":1e-6,\"output_cost_per_token\":2e-6},"
	                       "{\"range\":[32e3,64000],\"input_cost_per_token\":3e-6,"
	                       "\"cache_read_input_token_cost\":1e-6}]"));

	(void)state;
	assert_lines(&s, "[['inputTokens','standard',0,'',1,6],['inputTokens','standard',32000,'',3,6],"
	                 "['cacheReadTokens','standard',32000,'',1,6],['outputTokens','standard',0,'',2,6],"
	                 "['outputTokens','standard',32000,'',5,6]]");
	s = read_one("{\"m\":{\"litellm_provider\":\"p\",\"mode\":\"search\",\"tiered_pricing\":["
	             "{\"max_results_range\":[0,25],\"input_cost_per_query\":0.005},"
	             "{\"max_results_range\":[26,100],\"input_cost_per_query\":0.025}]}}");
	assert_lines(&s, "[['queries','standard',0,'results<=100',25,3],['queries','standard',0,'results<=25',5,3]]");
}

static void test_searches(void **state)
{
	struct seen s = read_one(ENTRY("\"search_context_cost_per_query\":{\"search_context_size_low\":0.01,"
	                               "\"search_context_size_medium\":0.01,\"search_context_size_high\":0.01}"));

	(void)state;
	assert_lines(&s, "[['searchCalls','standard',0,'',1,2]]");
	s = read_one(ENTRY("\"search_context_cost_per_query\":{\"search_context_size_low\":0.025,"
	                   "\"search_context_size_medium\":0.0275,\"search_context_size_high\":0.03}"));
	assert_lines(&s, "[['searchCalls','standard',0,'',275,4],['searchCalls','standard',0,'context=high',3,2],"
	                 "['searchCalls','standard',0,'context=low',25,3],"
	                 "['searchCalls','standard',0,'context=medium',275,4]]");
	s = read_one(ENTRY("\"search_context_cost_per_query\":{\"search_context_size_low\":0.01,"
	                   "\"search_context_size_high\":0.03}"));
	assert_lines(&s, "[['searchCalls','standard',0,'',3,2],['searchCalls','standard',0,'context=high',3,2],"
	                 "['searchCalls','standard',0,'context=low',1,2]]");
}

static void test_tiers_replace_their_fields_alone(void **state)
{
	struct seen s = read_one(ENTRY(
		CHAT ",\"input_cost_per_token_batches\":5e-7,\"cache_read_input_token_cost\":1e-7,"
		     "\"output_cost_per_reasoning_token\":4e-6,\"tiered_pricing\":["
		     "{\"range\":[0,1.28e5],\"input_cost_per_token\":0.0,\"output_cost_per_reasoning_token\":3e-6},"
		     "{\"range\":[128000.0,1e6],\"input_cost_per_token\":5e-6,\"max_tokens\":7}]"));

	(void)state;
	assert_lines(&s, "[['inputTokens','standard',0,'',0,0],['inputTokens','standard',128000,'',5,6],"
	                 "['inputTokens','batch',0,'',5,7],['cacheReadTokens','standard',0,'',1,7],"
	                 "['outputTokens','standard',0,'',2,6],['outputTokens','standard',128000,'',2,6],"
	                 "['reasoningTokens','standard',0,'',3,6]]");
	/* A tier that has an output price keeps it; the ranges of xAI's tiers are as listed. */
	s = read_one("{\"m\":{\"litellm_provider\":\"xai\",\"output_cost_per_token\":7e-6,\"tiered_pricing\":["
	             "{\"range\":[0,32000],\"output_cost_per_token\":1e-6},{\"range\":[32000,64000]},"
	             "{\"range\":[64000,128000],\"output_cost_per_token\":3e-6}]}}");
	assert_lines(&s, "[['outputTokens','standard',0,'',1,6],['outputTokens','standard',32000,'',7,6],"
	                 "['outputTokens','standard',64000,'',3,6]]");
	/* Results: each range is a variant, and the price of an entry without one stays the default. */
	s = read_one(ENTRY("\"input_cost_per_request\":0.001,\"tiered_pricing\":["
	                   "{\"max_results_range\":[0,25.0],\"input_cost_per_query\":0.005},"
	                   "{\"max_results_range\":[26,50],\"input_cost_per_query\":0.0}]"));
	assert_lines(&s, "[['queries','standard',0,'results<=25',5,3],['requests','standard',0,'',1,3]]");
	s = read_one(ENTRY(CHAT ",\"tiered_pricing\":null"));
	assert_int_equal(s.reason, PRICELIST_ACCEPTED);
}

static void test_sizes_of_searches(void **state)
{
	static const struct {
		const char *sizes, *lines;
	} cases[] = {
		{"\"search_context_size_medium\":0.02", "['searchCalls','standard',0,'',2,2]"},
		{"\"search_context_size_low\":0.02,\"search_context_size_medium\":2e-2",
	         "['searchCalls','standard',0,'',2,2]"},
		{"\"search_context_size_high\":\"0.03\"", "['searchCalls','standard',0,'',3,2]"},
		{"\"search_context_size_low\":0.0,\"search_context_size_medium\":0.02,\"search_context_size_high\":0.03",
	         "['searchCalls','standard',0,'',2,2],['searchCalls','standard',0,'context=high',3,2],"
	         "['searchCalls','standard',0,'context=medium',2,2]"},
		/* Without a medium size: the dearest, also where that is the small one. */
		{"\"search_context_size_low\":0.05,\"search_context_size_medium\":null,\"search_context_size_high\":0.03",
	         "['searchCalls','standard',0,'',5,2],['searchCalls','standard',0,'context=high',3,2],"
	         "['searchCalls','standard',0,'context=low',5,2]"},
		/* Two are equal, the third is not. */
		{"\"search_context_size_low\":0.02,\"search_context_size_medium\":0.02,\"search_context_size_high\":0.03",
	         "['searchCalls','standard',0,'',2,2],['searchCalls','standard',0,'context=high',3,2],"
	         "['searchCalls','standard',0,'context=low',2,2],['searchCalls','standard',0,'context=medium',2,2]"},
		{"\"search_context_size_low\":0.03,\"search_context_size_medium\":0.02,\"search_context_size_high\":0.03",
	         "['searchCalls','standard',0,'',2,2],['searchCalls','standard',0,'context=high',3,2],"
	         "['searchCalls','standard',0,'context=low',3,2],['searchCalls','standard',0,'context=medium',2,2]"},
		{"\"search_context_size_low\":0,\"search_context_size_medium\":0.0,\"search_context_size_high\":0", ""},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char list[512], lines[512];
		struct seen s;

		snprintf(list, sizeof(list),
		         "{\"m\":{\"litellm_provider\":\"p\",\"input_cost_per_token\":1e-6,"
		         "\"search_context_cost_per_query\":{%s}}}",
		         cases[i].sizes);
		snprintf(lines, sizeof(lines), "[['inputTokens','standard',0,'',1,6]%s%s]",
		         cases[i].lines[0] != '\0' ? "," : "", cases[i].lines);
		s = read_one(list);
		assert_lines(&s, lines);
		assert_int_equal(s.unused, 0);
	}
}

/* Tokens in a region, and fast ones, cost a multiple; searches do not. */
static void test_regions_and_speeds(void **state)
{
	static const struct {
		const char *members, *lines;
	} cases[] = {
		{"\"regional_processing_uplift_multiplier_eu\":1.1,\"input_cost_per_query\":0.5",
	         "['inputTokens','standard',0,'',1,6],['inputTokens','standard',0,'region=eu',11,7],"
	         "['queries','standard',0,'',5,1]"},
		{"\"provider_specific_entry\":{\"us\":1.1,\"fast\":6.0,\"other\":3}",
	         "['inputTokens','standard',0,'',1,6],['inputTokens','standard',0,'region=us',11,7],"
	         "['inputTokens','standard',0,'region=us/speed=fast',66,7],['inputTokens','standard',0,'speed=fast',6,6]"},
		{"\"input_cost_per_token_batches\":5e-7,\"provider_specific_entry\":{\"fast\":\"2\",\"eu\":null}",
	         "['inputTokens','standard',0,'',1,6],['inputTokens','standard',0,'speed=fast',2,6],"
	         "['inputTokens','batch',0,'',5,7],['inputTokens','batch',0,'speed=fast',1,6]"},
		{"\"provider_specific_entry\":\"fast\"", "['inputTokens','standard',0,'',1,6]"},
		{"\"regional_processing_uplift_multiplier_us\":0", "['inputTokens','standard',0,'',1,6]"},
		/* The product is rounded to the places that a price has. */
		{"\"cache_read_input_token_cost\":1.5e-16,\"provider_specific_entry\":{\"fast\":1.011}",
	         "['inputTokens','standard',0,'',1,6],['inputTokens','standard',0,'speed=fast',1011,9],"
	         "['cacheReadTokens','standard',0,'',15,17],['cacheReadTokens','standard',0,'speed=fast',152,18]"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char list[512], lines[512];
		struct seen s;

		snprintf(list, sizeof(list), "{\"m\":{\"litellm_provider\":\"p\",\"input_cost_per_token\":1e-6,%s}}",
		         cases[i].members);
		snprintf(lines, sizeof(lines), "[%s]", cases[i].lines);
		s = read_one(list);
		assert_int_equal(s.reason, PRICELIST_ACCEPTED);
		assert_lines(&s, lines);
	}
	assert_int_equal(read_one("{\"m\":{\"litellm_provider\":\"p\",\"input_cost_per_token\":1e-6,"
	                          "\"provider_specific_entry\":{\"fast\":-2}}}")
	                         .reason,
	                 PRICELIST_NEGATIVE);
}

/* The images that input_cost_per_image prices: those made, in entries that make images and list nothing else of them. */
static void test_images_in_or_out(void **state)
{
	static const struct {
		const char *entry, *lines;
	} cases[] = {
		{"\"mode\":\"image_generation\",\"input_cost_per_image\":0.04", "[['images','standard',0,'',4,2]]"},
		{"\"mode\":\"image_edit\",\"input_cost_per_image\":0.04", "[['images','standard',0,'',4,2]]"},
		{"\"mode\":\"chat\",\"input_cost_per_image\":0.04", "[['inputImages','standard',0,'',4,2]]"},
		{"\"input_cost_per_image\":0.04", "[['inputImages','standard',0,'',4,2]]"},
		{"\"mode\":\"image_generation\",\"input_cost_per_image\":0.04,\"output_cost_per_image\":0.0",
	         "[['images','standard',0,'',4,2]]"},
		{"\"mode\":\"image_generation\",\"output_cost_per_image\":0.05,\"input_cost_per_image\":0.04",
	         "[['inputImages','standard',0,'',4,2],['images','standard',0,'',5,2]]"},
		{"\"mode\":\"image_generation\",\"input_cost_per_token\":0.0,\"input_cost_per_image\":0.04,"
	         "\"output_cost_per_token\":0",
	         "[['inputTokens','standard',0,'',0,0],['outputTokens','standard',0,'',0,0],"
	         "['images','standard',0,'',4,2]]"},
		{"\"mode\":\"image_generation\",\"input_cost_per_token\":1e-6,\"input_cost_per_image\":0.04",
	         "[['inputTokens','standard',0,'',1,6],['inputImages','standard',0,'',4,2]]"},
		{"\"mode\":\"image_edit\",\"output_cost_per_image_token\":1e-6,\"input_cost_per_image\":0.04",
	         "[['imageOutputTokens','standard',0,'',1,6],['inputImages','standard',0,'',4,2]]"},
		{"\"mode\":\"image_generation\",\"input_cost_per_pixel\":1e-8,\"input_cost_per_image\":0.04",
	         "[['images','standard',0,'',4,2],['pixels','standard',0,'',1,8]]"},
		{"\"mode\":\"image_generation\",\"input_cost_per_image_above_128k_tokens\":0.05,"
	         "\"input_cost_per_image_batches\":0.02",
	         "[['images','standard',128000,'',5,2],['images','batch',0,'',2,2]]"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char list[512];
		struct seen s;

		snprintf(list, sizeof(list), "{\"m\":{\"litellm_provider\":\"p\",%s}}", cases[i].entry);
		s = read_one(list);
		assert_lines(&s, cases[i].lines);
	}
}

#define IMAGE(name, rest) "\"" name "\":{\"litellm_provider\":\"p\",\"mode\":\"image_generation\"," rest "}"

static void test_sizes_and_qualities_in_names(void **state)
{
	struct seen s = read_one("{" IMAGE("painter", "\"input_cost_per_image\":0.04") "," IMAGE(
		"q/high/1024-x-1024/other",
		"\"input_cost_per_image\":0.2") "," IMAGE("512-x-512/50-steps/painter",
	                                                  "\"output_cost_per_image\":0.018") "}");

	(void)state;
	assert_int_equal(s.count, 3);
	assert_lines(&s, "[['images','standard',0,'',18,3]]");
	s = read_one("{" IMAGE("high/1024x1024/painter", "\"input_cost_per_image\":0.2") "," IMAGE(
		"max-x-max/50-steps/painter",
		"\"output_cost_per_image\":0.3") "," IMAGE("painter", "\"input_cost_per_image\":0.04") "}");
	assert_lines(&s, "[['images','standard',0,'',4,2],['images','standard',0,'1024x1024/high',2,1],"
	                 "['images','standard',0,'maxxmax/50-steps',3,1]]");
	/* A model of variants alone is made, once, behind the first of them. */
	s = read_one("{" IMAGE("high/1024x1024/made", "\"input_cost_per_image\":0.2") "}");
	assert_true(s.made && s.count == 1);
	assert_string_equal(s.item[1], "made");
	assert_lines(&s, "[['images','standard',0,'1024x1024/high',2,1]]");
}

/* Each name alone: the model that is made of it has the variant; "" is no such name. */
static void test_names_of_variants(void **state)
{
	static const struct {
		const char *name, *model, *variant;
	} cases[] = {
		{"high/1024-x-1024/m", "m", "1024x1024/high"},
		{"hd/1024x1792/m", "m", "1024x1792/hd"},
		{"azure/standard/1792-x-1024/m", "azure/m", "1792x1024/standard"},
		{"azure/low/1024x1536/m", "azure/m", "1024x1536/low"},
		{"medium/1536-x-1024/m", "m", "1536x1024/medium"},
		{"1024-x-1024/m", "m", "1024x1024"},
		{"aiml/256x256/m-1.5", "aiml/m-1.5", "256x256"},
		{"512-x-512/50-steps/s.m-v0", "s.m-v0", "512x512/50-steps"},
		{"bedrock/512x512/max-steps/m", "bedrock/m", "512x512/max-steps"},
		{"max-x-max/50-steps/m", "m", "maxxmax/50-steps"},
		{"1024x1024", "", ""},
		{"m/1024x1024", "", ""},
		{"m/1024x1024/", "", ""},
		{"high/m", "", ""},
		{"high/x1024/m", "", ""},
		{"high/1024x/m", "", ""},
		{"high/1024/m", "", ""},
		{"high/1024*1024/m", "", ""},
		{"high/1024x1024x3/m", "", ""},
		{"a/b/1024x1024/m", "", ""},
		{"50-steps/m", "", ""},
		{"min-x-max/m", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const bool makes = cases[i].model[0] != '\0';
		char list[256], lines[256];
		struct seen s;

		snprintf(list, sizeof(list),
		         "{\"%s\":{\"litellm_provider\":\"p\",\"mode\":\"image_generation\","
		         "\"output_cost_per_image\":0.2}}",
		         cases[i].name);
		snprintf(lines, sizeof(lines), "[['images','standard',0,'%s',2,1]]", cases[i].variant);
		s = read_one(list);
		assert_lines(&s, lines);
		assert_int_equal(s.count, 1);
		assert_int_equal(s.made, makes);
		assert_int_equal(s.counts.made, makes);
		assert_string_equal(s.item[0], cases[i].name);
		assert_string_equal(s.item[1], cases[i].model);
		assert_string_equal(s.price.item, makes ? cases[i].model : cases[i].name);
		assert_string_equal(s.price.provider, "p");
	}
}

/* The variants of one model, which its entry has beside its own lines. */
static void test_lines_of_variants(void **state)
{
	struct seen s =
		read_one(
			"{" IMAGE("low/1024x1024/m",
	                          "\"input_cost_per_image\":0.01,"
	                          "\"input_cost_per_image_batches\":0.005") "," IMAGE("high/1024x1024/m",
	                                                                              "\"input_cost_per_pixel\":2e-7,\"output_cost_per_token\":0.0") "," IMAGE("hd/512x512/m",
	                                                                                                                                                       "\"input_cost_per_image\":0.0") "," IMAGE("hd/256x256/m",
	                                                                                                                                                                                                 "\"input_cost_per_image\":-1") "," IMAGE("hd/128x128/m", "\"output_cost_per_image_1080p\":0.5") ","
																																					 "\"hd/64x64/m\":{\"litellm_provider\":\"p\",\"mode\":\"chat\"," CHAT "}," IMAGE("m",
	                                                                                                                                                                                                                                                                                                                                                                                 "\"input_cost_per_token\":5e-6,\"input_cost_per_image\":0.3") "}");

	(void)state;
	/* No line of a price of 0, of a refused entry, of another mode, or that has a variant of its own. */
	assert_lines(&s, "[['inputTokens','standard',0,'',5,6],['inputImages','standard',0,'',3,1],"
	                 "['images','standard',0,'1024x1024/low',1,2],['images','batch',0,'1024x1024/low',5,3],"
	                 "['pixels','standard',0,'1024x1024/high',2,7]]");
	assert_int_equal(s.counts.made, 0);
	assert_int_equal(s.counts.reason[PRICELIST_FREE], 1);
	assert_int_equal(s.counts.reason[PRICELIST_NEGATIVE], 1);
	/* A model is made once, with the provider of its first variant, and not of entries without a price. */
	s = read_one("{\"low/1024x1024/m\":{\"litellm_provider\":\"first\",\"mode\":\"image_edit\","
	             "\"input_cost_per_image\":0.01},"
	             "\"high/1024x1024/m\":{\"litellm_provider\":\"second\",\"mode\":\"image_generation\","
	             "\"input_cost_per_image\":0.02}," IMAGE("high/1024x1024/n", "\"input_cost_per_image\":0.0") "}");
	assert_int_equal(s.count, 3);
	assert_int_equal(s.counts.made, 1);
	assert_string_equal(s.made_provider, "first");
	/* The variants stay models of their own. */
	assert_string_equal(s.price.item, "high/1024x1024/m");
	assert_string_equal(s.price.provider, "second");
	assert_lines(&(struct seen){.price = s.price, .lines = {s.lines[0]}}, "[['images','standard',0,'',2,2]]");
}

static void test_too_many_variants(void **state)
{
	struct buf list;

	(void)state;
	buf_init(&list, 65536);
	buf_add_char(&list, '{');
	for (int i = 1; i <= PRICE_LINES_MAX; i++)
		buf_printf(&list,
		           "\"%dx%d/m\":{\"litellm_provider\":\"p\",\"mode\":\"image_generation\","
		           "\"input_cost_per_image\":0.01},",
		           i, i);
	buf_add_text(&list, IMAGE("m", "\"input_cost_per_image\":0.3") "}");
	assert_int_equal(read_one(buf_text(&list)).reason, PRICELIST_TOO_MANY_LINES);
	buf_free(&list);
}

static void test_zeros(void **state)
{
	struct seen s = read_one("{\"m\":{\"litellm_provider\":\"p\",\"mode\":\"embedding\","
	                         "\"input_cost_per_token\":1e-7,\"output_cost_per_token\":0.0,"
	                         "\"input_cost_per_image\":0.0}}");

	(void)state;
	assert_lines(&s, "[['inputTokens','standard',0,'',1,7],['outputTokens','standard',0,'',0,0]]");
	s = read_one(ENTRY("\"input_cost_per_second\":0.0,\"output_cost_per_second\":2.77778e-05"));
	assert_lines(&s, "[['outputSeconds','standard',0,'',277778,10]]");
}

static void test_prices_that_are_not_used_are_told(void **state)
{
	(void)state;
	assert_int_equal(read_one(ENTRY(CHAT ",\"beads_cost_per_string\":4e-5")).unused, 1);
	assert_int_equal(read_one(ENTRY(CHAT ",\"beads_cost_per_string\":{\"red\":1}")).unused, 1);
	assert_int_equal(read_one(ENTRY(CHAT ",\"input_cost_per_token_above_moon\":1e-6")).unused, 1);
	assert_int_equal(read_one(ENTRY(CHAT ",\"beads_cost_per_string\":0.0,\"input_dbu_cost_per_token\":1")).unused,
	                 0);
	assert_int_equal(read_one(ENTRY(CHAT ",\"max_tokens\":8192,\"supports_vision\":true")).unused, 0);
}

static void test_zeros_of_each_field(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(listed_fields); i++) {
		const int d = dimension_named(listed_fields[i].dimension, strlen(listed_fields[i].dimension));
		const bool token = dimension_side((enum dimension)d) != SIDE_OTHER;
		char list[256], lines[256];
		struct seen s;

		snprintf(list, sizeof(list), "{\"m\":{\"litellm_provider\":\"p\",\"%s_flex\":0.0}}",
		         listed_fields[i].name);
		assert_int_equal(read_one(list).reason, PRICELIST_FREE);
		snprintf(list, sizeof(list),
		         "{\"m\":{\"litellm_provider\":\"p\",\"code_interpreter_cost_per_session\":0.03,"
		         "\"%s_flex\":0}}",
		         listed_fields[i].name);
		snprintf(lines, sizeof(lines),
		         token ? "[['%s','flex',0,'',0,0],['sessions','standard',0,'',3,2]]"
		               : "[['sessions','standard',0,'',3,2]]",
		         listed_fields[i].dimension);
		s = read_one(list);
		assert_lines(&s, lines);
		assert_int_equal(s.unused, 0);
	}
}

static void test_unused_fields_are_named(void **state)
{
	struct seen s =
		read_one(ENTRY(CHAT ",\"vector_cost_per_day\":\"0.1\",\"b_cost\":[1],\"c_cost\":{},\"costly\":true,"
	                            "\"d_cost\":null,\"e_cost\":\"soon\",\"f_price\":5"));

	(void)state;
	assert_string_equal(s.unused_field, "vector_cost_per_day");
	assert_int_equal(s.unused, 4);
	s = read_one(ENTRY(
		CHAT ",\"1_cost\":1,\"2_cost\":1,\"3_cost\":1,\"4_cost\":1,\"5_cost\":1,\"6_cost\":1,\"7_cost\":1,"
		     "\"8_cost\":1,\"9_cost\":1"));
	assert_int_equal(s.unused, PRICELIST_UNUSED_MAX);
}

static int stop_at_the_second(void *context, const struct pricelist_entry *entry)
{
	int *visited = context;

	assert_non_null(entry->item);
	return ++*visited == 2 ? 7 : 0;
}

static void test_a_visit_may_stop(void **state)
{
	static const char list[] = "{\"a\":{\"litellm_provider\":\"p\"},\"b\":{\"litellm_provider\":\"p\"," CHAT "},"
				   "\"c\":{\"litellm_provider\":\"p\"}}";
	struct pricelist_counts counts;
	char error[JSON_ERROR_MAX];
	int visited = 0;

	(void)state;
	assert_int_equal(pricelist_read(list, strlen(list), stop_at_the_second, &visited, &counts, error), 7);
	assert_int_equal(visited, 2);
	assert_int_equal(counts.entries, 2);
	assert_int_equal(counts.reason[PRICELIST_FREE], 1);
	assert_int_equal(counts.reason[PRICELIST_ACCEPTED], 1);
}

static void test_names_and_providers_that_are_too_long(void **state)
{
	char list[1024], name[PRICE_ITEM_MAX + 1];

	(void)state;
	for (size_t length = PRICE_ITEM_MAX - 1; length <= PRICE_ITEM_MAX; length++) {
		memset(name, 'n', length);
		name[length] = '\0';
		snprintf(list, sizeof(list), "{\"%s\":{\"litellm_provider\":\"p\"," CHAT "}}", name);
		assert_int_equal(read_one(list).reason, length == PRICE_ITEM_MAX ? PRICELIST_NAME : PRICELIST_ACCEPTED);
	}
	for (size_t length = PRICE_PROVIDER_MAX - 1; length <= PRICE_PROVIDER_MAX; length++) {
		name[length] = '\0';
		memset(name, 'n', length);
		snprintf(list, sizeof(list), "{\"m\":{\"litellm_provider\":\"%s\"," CHAT "}}", name);
		assert_int_equal(read_one(list).reason,
		                 length == PRICE_PROVIDER_MAX ? PRICELIST_PROVIDER : PRICELIST_ACCEPTED);
	}
}

struct refusal {
	const char *list;
	enum pricelist_reason reason;
	const char *field;
};

static void test_refusals(void **state)
{
	static const struct refusal cases[] = {
		{"{\"\":{}}", PRICELIST_NAME, ""},
		{"{\"a \":{\"litellm_provider\":\"p\",\"mode\":\"chat\"," CHAT "}}", PRICELIST_NAME, ""},
		{"{\"m\":{\"mode\":\"chat\"," CHAT "}}", PRICELIST_PROVIDER, "litellm_provider"},
		{"{\"m\":{\"litellm_provider\":true,\"mode\":\"chat\"}}", PRICELIST_PROVIDER, "litellm_provider"},
		{ENTRY("\"input_cost_per_token\":\"free\",\"output_cost_per_token\":1"), PRICELIST_UNREADABLE,
	         "input_cost_per_token"},
		{ENTRY("\"input_cost_per_token\":true"), PRICELIST_UNREADABLE, "input_cost_per_token"},
		{ENTRY("\"input_cost_per_token\":[1e-6]"), PRICELIST_UNREADABLE, "input_cost_per_token"},
		{ENTRY(CHAT ",\"cache_read_input_token_cost\":-1e-7"), PRICELIST_NEGATIVE,
	         "cache_read_input_token_cost"},
		{ENTRY("\"input_cost_per_token\":1000.5,\"output_cost_per_token\":1"), PRICELIST_TOO_HIGH,
	         "input_cost_per_token"},
		{ENTRY("\"input_cost_per_token\":0,\"output_cost_per_token\":0.0"), PRICELIST_FREE, ""},
		{ENTRY("\"max_tokens\":5"), PRICELIST_FREE, ""},
		{ENTRY("\"tiered_pricing\":[]"), PRICELIST_TIERS, "tiered_pricing"},
		{ENTRY("\"tiered_pricing\":{}"), PRICELIST_TIERS, "tiered_pricing"},
		{ENTRY("\"tiered_pricing\":[{" CHAT "}]"), PRICELIST_TIERS, "range"},
		{ENTRY("\"tiered_pricing\":[5]"), PRICELIST_TIERS, "range"},
		{ENTRY("\"tiered_pricing\":[{\"range\":[0,1.5]," CHAT "}]"), PRICELIST_TIERS, "range"},
		{ENTRY("\"tiered_pricing\":[{\"range\":[1,9]," CHAT "}]"), PRICELIST_TIERS, "range"},
		{ENTRY("\"tiered_pricing\":[{\"range\":[0,9]," CHAT "},{\"range\":[10,20]," CHAT "}]"), PRICELIST_TIERS,
	         "range"},
		{ENTRY("\"tiered_pricing\":[{\"max_results_range\":[0]}]"), PRICELIST_TIERS, "range"},
		{ENTRY("\"tiered_pricing\":[{\"range\":[0,0]," CHAT "}]"), PRICELIST_TIERS, "range"},
		{ENTRY("\"tiered_pricing\":[{\"range\":[0,9,18]," CHAT "}]"), PRICELIST_TIERS, "range"},
		{ENTRY("\"tiered_pricing\":[{\"range\":[0,-9]," CHAT "}]"), PRICELIST_TIERS, "range"},
		{ENTRY("\"tiered_pricing\":[{\"range\":[0,null]," CHAT "}]"), PRICELIST_TIERS, "range"},
		{ENTRY("\"tiered_pricing\":[{\"range\":[0,9]," CHAT "},{\"range\":[8,20]," CHAT "}]"), PRICELIST_TIERS,
	         "range"},
		{ENTRY("\"tiered_pricing\":\"0-9\""), PRICELIST_TIERS, "tiered_pricing"},
		{ENTRY("\"tiered_pricing\":[{\"range\":[0,9],\"input_cost_per_token\":-1e-6}]"), PRICELIST_NEGATIVE,
	         "input_cost_per_token"},
		{ENTRY(CHAT ",\"search_context_cost_per_query\":{\"search_context_size_low\":-0.01}"),
	         PRICELIST_NEGATIVE, "search_context_size_low"},
		{ENTRY(CHAT ",\"search_context_cost_per_query\":{\"search_context_size_high\":true}"),
	         PRICELIST_UNREADABLE, "search_context_size_high"},
		{ENTRY(CHAT ",\"output_cost_per_token_flex\":-2e-6"), PRICELIST_NEGATIVE, "output_cost_per_token_flex"},
		{ENTRY(CHAT ",\"ocr_cost_per_page\":1000.001"), PRICELIST_TOO_HIGH, "ocr_cost_per_page"},
		{ENTRY(CHAT ",\"ocr_cost_per_page\":1e18"), PRICELIST_TOO_HIGH, "ocr_cost_per_page"},
		{ENTRY(CHAT ",\"ocr_cost_per_page\":\"\""), PRICELIST_UNREADABLE, "ocr_cost_per_page"},
		{ENTRY(CHAT ",\"ocr_cost_per_page\":\"1,5\""), PRICELIST_UNREADABLE, "ocr_cost_per_page"},
		{ENTRY(CHAT ",\"ocr_cost_per_page\":\" 1\""), PRICELIST_UNREADABLE, "ocr_cost_per_page"},
		{ENTRY(CHAT ",\"ocr_cost_per_page\":{}"), PRICELIST_UNREADABLE, "ocr_cost_per_page"},
		/* The first problem is told; a later field does not heal it. */
		{ENTRY("\"output_cost_per_token\":-1,\"input_cost_per_token\":\"x\""), PRICELIST_NEGATIVE,
	         "output_cost_per_token"},
		{ENTRY("\"ocr_cost_per_page\":0.0,\"input_cost_per_image\":\"0\",\"beads_cost_per_string\":5"),
	         PRICELIST_FREE, ""},
		{ENTRY("\"input_cost_per_token\":4e-19,\"output_cost_per_token\":0"), PRICELIST_FREE, ""},
		{ENTRY("\"input_dbu_cost_per_token\":5"), PRICELIST_FREE, ""},
		{"{\"m\":{\"litellm_provider\":\" p\"," CHAT "}}", PRICELIST_PROVIDER, "litellm_provider"},
		{"{\"m\":{\"litellm_provider\":\"\"," CHAT "}}", PRICELIST_PROVIDER, "litellm_provider"},
		{"{\"a\\tb\":{\"litellm_provider\":\"p\"," CHAT "}}", PRICELIST_NAME, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct seen s = read_one(cases[i].list);

		assert_int_equal(s.count, 1);
		assert_string_equal(pricelist_reason_name(s.reason), pricelist_reason_name(cases[i].reason));
		assert_string_equal(s.field, cases[i].field);
	}
}

static void test_as_many_lines_as_are_kept(void **state)
{
	struct buf list;

	(void)state;
	buf_init(&list, 65536);
	for (int count = PRICE_LINES_MAX; count <= PRICE_LINES_MAX + 1; count++) {
		buf_reset(&list);
		buf_add_text(&list, "{\"m\":{\"litellm_provider\":\"p\",\"mode\":\"chat\"," CHAT);
		for (int i = 2; i < count; i++)
			buf_printf(&list, ",\"input_cost_per_token_above_%dk_tokens\":1e-6", i);
		buf_add_text(&list, "}}");
		assert_int_equal(read_one(buf_text(&list)).reason,
		                 count > PRICE_LINES_MAX ? PRICELIST_TOO_MANY_LINES : PRICELIST_ACCEPTED);
	}
	buf_free(&list);
}

static void test_what_is_no_list(void **state)
{
	static const char *const lists[] = {"", "[]", "5", "{\"a\":{}", "{\"a\":{},\"a\":{}}"};
	struct pricelist_counts counts;
	char error[JSON_ERROR_MAX];
	struct seen s;

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		assert_int_equal(pricelist_read(lists[i], strlen(lists[i]), see, &s, &counts, error), -1);
		assert_true(strlen(error) > 0);
	}
}

static void test_every_reason_has_words(void **state)
{
	(void)state;
	for (int i = 0; i < PRICELIST_REASON_COUNT; i++) {
		assert_true(strlen(pricelist_reason_name((enum pricelist_reason)i)) > 0);
		assert_true((strlen(pricelist_reason_sentence((enum pricelist_reason)i)) > 0) == (i > 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_an_entry_is_skipped),
		cmocka_unit_test(test_decimals),
		cmocka_unit_test(test_caches),
		cmocka_unit_test(test_endings),
		cmocka_unit_test(test_each_field_with_each_ending),
		cmocka_unit_test(test_other_endings_are_told),
		cmocka_unit_test(test_spellings_of_one_price),
		cmocka_unit_test(test_digits_are_kept),
		cmocka_unit_test(test_xai_counts_the_threshold_in),
		cmocka_unit_test(test_tiered_pricing_wins),
		cmocka_unit_test(test_searches),
		cmocka_unit_test(test_tiers_replace_their_fields_alone),
		cmocka_unit_test(test_sizes_of_searches),
		cmocka_unit_test(test_regions_and_speeds),
		cmocka_unit_test(test_images_in_or_out),
		cmocka_unit_test(test_sizes_and_qualities_in_names),
		cmocka_unit_test(test_names_of_variants),
		cmocka_unit_test(test_lines_of_variants),
		cmocka_unit_test(test_too_many_variants),
		cmocka_unit_test(test_zeros),
		cmocka_unit_test(test_prices_that_are_not_used_are_told),
		cmocka_unit_test(test_zeros_of_each_field),
		cmocka_unit_test(test_unused_fields_are_named),
		cmocka_unit_test(test_a_visit_may_stop),
		cmocka_unit_test(test_names_and_providers_that_are_too_long),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_as_many_lines_as_are_kept),
		cmocka_unit_test(test_what_is_no_list),
		cmocka_unit_test(test_every_reason_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
