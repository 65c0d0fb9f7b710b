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
	bool other_prices;
};

static int see(void *context, const struct pricelist_entry *entry)
{
	struct seen *s = context;

	s->count++;
	s->reason = entry->reason;
	s->other_prices = entry->other_prices;
	snprintf(s->field, sizeof(s->field), "%s", entry->field);
	assert_true((entry->price != NULL) == (entry->reason == PRICELIST_ACCEPTED));
	if (entry->price != NULL)
		s->price = *entry->price;
	return 0;
}

static struct seen read_one(const char *list)
{
	struct seen s = {0};
	struct pricelist_counts counts;
	char error[JSON_ERROR_MAX];

	assert_int_equal(pricelist_read(list, strlen(list), see, &s, &counts, error), 0);
	assert_int_equal(counts.entries, s.count);
	return s;
}

static void assert_tier(const struct seen *s, int tier, int64_t above,
                        const int64_t pico[PRICE_CLASSES])
{
	assert_int_equal(s->reason, PRICELIST_ACCEPTED);
	assert_true(tier < s->price.tier_count);
	assert_int_equal(s->price.tier[tier].above_tokens, above);
	assert_memory_equal(s->price.tier[tier].pico, pico, sizeof(s->price.tier[tier].pico));
}

static void test_what_is_not_an_entry_is_skipped(void **state)
{
	struct seen s = read_one(
		"{\"sample_spec\":{\"mode\":\"chat\"},\"last_updated\":\"today\",\"n\":5,\"l\":[],"
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
	(void)state;
	struct seen s = read_one(ENTRY(
		"\"input_cost_per_token\":1.2499999999999999e-06,\"output_cost_per_token\":\"3e-7\""));

	assert_tier(&s, 0, 0, (int64_t[]){1250000, 1250000, 1250000, 1250000, 300000});
	s = read_one(ENTRY("\"input_cost_per_token\":1,\"output_cost_per_token\":0.0000000000005"));
	assert_tier(&s, 0, 0,
	            (int64_t[]){1000000000000, 1000000000000, 1000000000000, 1000000000000, 1});
}

static void test_caches(void **state)
{
	struct seen s = read_one(ENTRY(CHAT ",\"cache_read_input_token_cost\":1e-7"));

	(void)state;
	assert_tier(&s, 0, 0, (int64_t[]){1000000, 100000, 1000000, 1000000, 2000000});
	s = read_one(ENTRY(
		CHAT
		",\"cache_creation_input_token_cost\":1.25e-6,\"cache_read_input_token_cost\":null"));
	assert_tier(&s, 0, 0, (int64_t[]){1000000, 1000000, 1250000, 1250000, 2000000});
	s = read_one(ENTRY(
		CHAT
		",\"cache_creation_input_token_cost_above_1hr\":2e-6,\"cache_read_input_token_cost\":0.0"));
	assert_tier(&s, 0, 0, (int64_t[]){1000000, 0, 1000000, 2000000, 2000000});
}

static void test_tiers_above(void **state)
{
	struct seen s = read_one(
		ENTRY(CHAT ",\"cache_read_input_token_cost\":1e-7,"
	                   "\"output_cost_per_token_above_1000k_tokens\":8e-6,"
	                   "\"input_cost_per_token_above_200k_tokens\":4e-6,"
	                   "\"input_cost_per_token_above_300_tokens\":3e-6,"
	                   "\"cache_creation_input_token_cost_above_1hr_above_200k_tokens\":9e-6,"
	                   "\"input_cost_per_token_above_200k_tokens_priority\":7e-6,"
	                   "\"input_cost_per_token_batches\":5e-7"));

	(void)state;
	assert_int_equal(s.price.tier_count, 4);
	assert_false(s.other_prices);
	assert_tier(&s, 0, 0, (int64_t[]){1000000, 100000, 1000000, 1000000, 2000000});
	assert_tier(&s, 1, 300, (int64_t[]){3000000, 100000, 3000000, 3000000, 2000000});
	assert_tier(&s, 2, 200000, (int64_t[]){4000000, 100000, 4000000, 9000000, 2000000});
	assert_tier(&s, 3, 1000000, (int64_t[]){1000000, 100000, 1000000, 1000000, 8000000});
}

static void test_xai_counts_the_threshold_in(void **state)
{
	struct seen s = read_one("{\"m\":{\"litellm_provider\":\"xai\",\"mode\":\"chat\"," CHAT
	                         ",\"input_cost_per_token_above_128k_tokens\":4e-6}}");

	(void)state;
	assert_tier(&s, 1, 127999, (int64_t[]){4000000, 4000000, 4000000, 4000000, 2000000});
}

static void test_tiered_pricing_wins(void **state)
{
	struct seen s = read_one(ENTRY(
		"\"input_cost_per_token\":0.9,\"output_cost_per_token\":5e-6,"
		"\"input_cost_per_token_above_128k_tokens\":0.9,\"tiered_pricing\":["
		"{\"range\":[0,32000.0],\"input_cost_per_token\":1e-6,\"output_cost_per_token\":2e-6},"
		"{\"range\":[32e3,64000],\"input_cost_per_token\":3e-6,"
		"\"cache_read_input_token_cost\":1e-6}]"));

	(void)state;
	assert_int_equal(s.price.tier_count, 2);
	assert_tier(&s, 0, 0, (int64_t[]){1000000, 1000000, 1000000, 1000000, 2000000});
	assert_tier(&s, 1, 32000, (int64_t[]){3000000, 1000000, 3000000, 3000000, 5000000});
}

static void test_embeddings_have_no_output(void **state)
{
	struct seen s = read_one(
		"{\"m\":{\"litellm_provider\":\"p\",\"mode\":\"embedding\",\"input_cost_per_token\":1e-7}}");

	(void)state;
	assert_tier(&s, 0, 0, (int64_t[]){100000, 100000, 100000, 100000, 0});
}

static void test_prices_that_are_not_kept_are_told(void **state)
{
	(void)state;
	assert_true(read_one(ENTRY(CHAT ",\"input_cost_per_audio_token\":4e-5")).other_prices);
	assert_true(
		read_one(
			ENTRY(CHAT
	                      ",\"search_context_cost_per_query\":{\"search_context_size_low\":0.01}"))
			.other_prices);
	assert_false(read_one(ENTRY(CHAT ",\"input_cost_per_image\":0.0")).other_prices);
	assert_false(
		read_one(ENTRY(CHAT ",\"max_tokens\":8192,\"supports_vision\":true")).other_prices);
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
		{"{\"a \":{\"litellm_provider\":\"p\",\"mode\":\"chat\"," CHAT "}}", PRICELIST_NAME,
	         ""},
		{"{\"m\":{\"mode\":\"chat\"," CHAT "}}", PRICELIST_PROVIDER, "litellm_provider"},
		{"{\"m\":{\"litellm_provider\":true,\"mode\":\"chat\"}}", PRICELIST_PROVIDER,
	         "litellm_provider"},
		{"{\"m\":{\"litellm_provider\":\"p\"," CHAT "}}", PRICELIST_MODE, "mode"},
		{"{\"m\":{\"litellm_provider\":\"p\",\"mode\":\"image_generation\"," CHAT "}}",
	         PRICELIST_MODE, "mode"},
		{ENTRY("\"input_cost_per_token\":\"free\",\"output_cost_per_token\":1"),
	         PRICELIST_UNREADABLE, "input_cost_per_token"},
		{ENTRY("\"input_cost_per_token\":true"), PRICELIST_UNREADABLE,
	         "input_cost_per_token"},
		{ENTRY("\"input_cost_per_token\":[1e-6]"), PRICELIST_UNREADABLE,
	         "input_cost_per_token"},
		{ENTRY(CHAT ",\"cache_read_input_token_cost\":-1e-7"), PRICELIST_NEGATIVE,
	         "cache_read_input_token_cost"},
		{ENTRY("\"input_cost_per_token\":1.000000000001,\"output_cost_per_token\":1"),
	         PRICELIST_TOO_HIGH, "input_cost_per_token"},
		{ENTRY("\"output_cost_per_token\":1e-6"), PRICELIST_NO_INPUT,
	         "input_cost_per_token"},
		{ENTRY("\"input_cost_per_token\":null,\"output_cost_per_token\":1e-6"),
	         PRICELIST_NO_INPUT, "input_cost_per_token"},
		{ENTRY("\"input_cost_per_token\":1e-6"), PRICELIST_NO_OUTPUT,
	         "output_cost_per_token"},
		{ENTRY("\"input_cost_per_token\":0,\"output_cost_per_token\":0.0"), PRICELIST_FREE,
	         "input_cost_per_token"},
		{ENTRY("\"input_cost_per_token\":1e-13,\"output_cost_per_token\":0"),
	         PRICELIST_FREE, "input_cost_per_token"},
		{ENTRY("\"input_cost_per_token\":0,\"output_cost_per_token\":1e-6"),
	         PRICELIST_HALF_FREE, "input_cost_per_token"},
		{ENTRY("\"input_cost_per_token\":1e-6,\"output_cost_per_token\":0"),
	         PRICELIST_HALF_FREE, "output_cost_per_token"},
		{ENTRY(CHAT ",\"input_cost_per_token_above_200k_tokens\":0"), PRICELIST_HALF_FREE,
	         "input_cost_per_token"},
		{ENTRY(CHAT ",\"output_cost_per_reasoning_token\":3e-6"), PRICELIST_REASONING,
	         "output_cost_per_reasoning_token"},
		{ENTRY("\"tiered_pricing\":[]"), PRICELIST_TIERS, "tiered_pricing"},
		{ENTRY("\"tiered_pricing\":{}"), PRICELIST_TIERS, "tiered_pricing"},
		{ENTRY("\"tiered_pricing\":[{" CHAT "}]"), PRICELIST_TIERS, "range"},
		{ENTRY("\"tiered_pricing\":[5]"), PRICELIST_TIERS, "range"},
		{ENTRY("\"tiered_pricing\":[{\"range\":[0,1.5]," CHAT "}]"), PRICELIST_TIERS,
	         "range"},
		{ENTRY("\"tiered_pricing\":[{\"range\":[1,9]," CHAT "}]"), PRICELIST_TIERS,
	         "range"},
		{ENTRY("\"tiered_pricing\":[{\"range\":[0,9]," CHAT "},{\"range\":[10,20]," CHAT
	               "}]"),
	         PRICELIST_TIERS, "range"},
		{ENTRY("\"tiered_pricing\":[{\"range\":[0,9]," CHAT "},{\"range\":[9,20]}]"),
	         PRICELIST_NO_INPUT, "input_cost_per_token"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct seen s = read_one(cases[i].list);

		assert_int_equal(s.count, 1);
		assert_string_equal(pricelist_reason_name(s.reason),
		                    pricelist_reason_name(cases[i].reason));
		assert_string_equal(s.field, cases[i].field);
	}
}

static void test_as_many_tiers_as_are_kept(void **state)
{
	struct buf list;

	(void)state;
	buf_init(&list, 65536);
	for (int tiers = PRICE_TIERS_MAX; tiers <= PRICE_TIERS_MAX + 1; tiers++) {
		struct seen s;

		buf_reset(&list);
		buf_add_text(&list, "{\"m\":{\"litellm_provider\":\"p\",\"mode\":\"chat\"," CHAT);
		for (int i = 1; i < tiers; i++)
			buf_printf(&list, ",\"input_cost_per_token_above_%dk_tokens\":1e-6", i);
		buf_add_text(&list, "}}");
		s = read_one(buf_text(&list));
		assert_int_equal(s.reason, tiers > PRICE_TIERS_MAX ? PRICELIST_TOO_MANY_TIERS
		                                                   : PRICELIST_ACCEPTED);
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
		assert_int_equal(
			pricelist_read(lists[i], strlen(lists[i]), see, &s, &counts, error), -1);
		assert_true(strlen(error) > 0);
	}
}

static void test_every_reason_has_words(void **state)
{
	(void)state;
	for (int i = 0; i < PRICELIST_REASON_COUNT; i++) {
		assert_true(strlen(pricelist_reason_name((enum pricelist_reason)i)) > 0);
		assert_true((strlen(pricelist_reason_sentence((enum pricelist_reason)i)) > 0) ==
		            (i > 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_an_entry_is_skipped),
		cmocka_unit_test(test_decimals),
		cmocka_unit_test(test_caches),
		cmocka_unit_test(test_tiers_above),
		cmocka_unit_test(test_xai_counts_the_threshold_in),
		cmocka_unit_test(test_tiered_pricing_wins),
		cmocka_unit_test(test_embeddings_have_no_output),
		cmocka_unit_test(test_prices_that_are_not_kept_are_told),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_as_many_tiers_as_are_kept),
		cmocka_unit_test(test_what_is_no_list),
		cmocka_unit_test(test_every_reason_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
