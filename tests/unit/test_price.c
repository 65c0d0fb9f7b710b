/* Drawn cases are compared with fractions in tests/model/test_cost.py; here are the borders. */
#include "unit.h"

#include "prices/price.h"

#define UNTOUCHED INT64_C(-777777)

/* gpt-4o as published: 2.50 and 10.00 dollars per million. */
static struct price gpt_4o(void)
{
	struct price p = {
		.kind = PRICE_MODEL,
		.item = "gpt-4o",
		.provider = "openai",
		.terms = {.margin_ppm = 1050000, .rate_ppm = 1080000, .credit_value_ppm = 10000},
		.tier_count = 1,
		.tier = {{.pico = {2500000, 1250000, 2500000, 2500000, 10000000}}},
	};

	return p;
}

static struct price action(micros credits)
{
	struct price p = {
		.kind = PRICE_ACTION,
		.item = "debrief",
		.terms = {.margin_ppm = 1050000, .rate_ppm = 1080000, .credit_value_ppm = 15000},
		.credits_micros = credits,
	};

	return p;
}

static micros cost_of(const struct price *p, enum account_unit unit, struct tokens t)
{
	micros cost = UNTOUCHED;

	assert_true(price_of_tokens(p, unit, &t, &cost));
	return cost;
}

static void test_published_figures(void **state)
{
	struct price p = gpt_4o();

	(void)state;
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct tokens){{500, 0, 0, 0, 2000}}), 20660);
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct tokens){{1000000, 0, 0, 0, 0}}), 2430556);
	assert_int_equal(cost_of(&p, UNIT_CREDIT, (struct tokens){{500, 0, 0, 0, 2000}}), 2065973);
}

static void test_rounded_up_once(void **state)
{
	struct price p = gpt_4o();

	(void)state;
	p.terms = (struct price_terms){1000000, 1000000, 1000000};
	p.tier[0].pico[PRICE_INPUT] = 1;
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct tokens){{0, 0, 0, 0, 0}}), 0);
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct tokens){{1, 0, 0, 0, 0}}), 1);
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct tokens){{1000000, 0, 0, 0, 0}}), 1);
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct tokens){{1000001, 0, 0, 0, 0}}), 2);
	/* Two classes that both end on half a micro make one micro, not two. */
	p.tier[0].pico[PRICE_INPUT] = 500000;
	p.tier[0].pico[PRICE_OUTPUT] = 500000;
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct tokens){{1, 0, 0, 0, 1}}), 1);
}

static void test_tier_covers_the_whole_request(void **state)
{
	struct price p = gpt_4o();

	(void)state;
	p.terms = (struct price_terms){1000000, 1000000, 1000000};
	p.tier_count = 2;
	p.tier[1] = p.tier[0];
	p.tier[1].above_tokens = 200000;
	p.tier[1].pico[PRICE_INPUT] = 5000000;
	p.tier[1].pico[PRICE_OUTPUT] = 15000000;
	assert_true(price_valid(&p));
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct tokens){{200000, 0, 0, 0, 1000}}),
	                 500000 + 10000);
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct tokens){{200001, 0, 0, 0, 1000}}),
	                 1000005 + 15000);
	/* What was cached is part of the input that chooses; output is not. */
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct tokens){{1, 200000, 0, 0, 0}}),
	                 5 + 250000);
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct tokens){{1, 0, 0, 0, 900000}}), 9000003);
}

static void test_what_is_beyond_counting(void **state)
{
	struct price p = gpt_4o();
	struct tokens t = {{-1, 0, 0, 0, 0}};
	micros cost = UNTOUCHED;

	(void)state;
	assert_false(price_of_tokens(&p, UNIT_MONEY, &t, &cost));
	t.count[PRICE_INPUT] = INT64_MIN;
	assert_false(price_of_tokens(&p, UNIT_MONEY, &t, &cost));
	t.count[PRICE_INPUT] = PRICE_TOKENS_MAX + 1;
	assert_false(price_of_tokens(&p, UNIT_MONEY, &t, &cost));
	t.count[PRICE_INPUT] = PRICE_TOKENS_MAX;
	p.tier[0].pico[PRICE_INPUT] = PRICE_PICO_MAX;
	p.terms = (struct price_terms){PRICE_MARGIN_MAX_PPM, 1, 1};
	assert_false(price_of_tokens(&p, UNIT_MONEY, &t, &cost));
	assert_false(price_of_tokens(&p, UNIT_CREDIT, &t, &cost));
	assert_true(cost == UNTOUCHED);
	/* The dearest request of ordinary terms is an amount. */
	p.terms = (struct price_terms){1000000, 1000000, 1000000};
	assert_true(price_of_tokens(&p, UNIT_MONEY, &t, &cost) &&
	            cost == INT64_C(1000000000000000));
}

static void test_actions(void **state)
{
	struct price p = action(1500000);
	micros cost = UNTOUCHED;

	(void)state;
	assert_true(price_of_action(&p, UNIT_CREDIT, 3, &cost) && cost == 4500000);
	assert_true(price_of_action(&p, UNIT_MONEY, 3, &cost) && cost == 67500);
	p.credits_micros = 1;
	assert_true(price_of_action(&p, UNIT_MONEY, 1, &cost) && cost == 1);
	assert_true(price_of_action(&p, UNIT_MONEY, 67, &cost) && cost == 2);
	assert_false(price_of_action(&p, UNIT_MONEY, 0, &cost));
	assert_false(price_of_action(&p, UNIT_MONEY, -1, &cost));
	p.credits_micros = MONEY_AMOUNT_MAX_MICROS;
	assert_true(price_of_action(&p, UNIT_CREDIT, 1, &cost) && cost == MONEY_AMOUNT_MAX_MICROS);
	assert_false(price_of_action(&p, UNIT_CREDIT, 2, &cost));
	assert_false(price_of_action(&p, UNIT_CREDIT, INT64_MAX, &cost));
}

static void test_fit(void **state)
{
	struct price p = gpt_4o();

	(void)state;
	assert_int_equal(price_fit_output(&p, UNIT_MONEY, 500, 2000, 20660), 2000);
	assert_int_equal(price_fit_output(&p, UNIT_MONEY, 500, 2000, 20659), 1999);
	assert_int_equal(price_fit_output(&p, UNIT_MONEY, 500, 2000, 1216), 0);
	assert_int_equal(price_fit_output(&p, UNIT_MONEY, 500, 2000, 1215), -1);
	assert_int_equal(price_fit_output(&p, UNIT_MONEY, 0, 2000, -1), -1);
	assert_int_equal(price_fit_output(&p, UNIT_MONEY, 0, INT64_MAX, INT64_MAX),
	                 PRICE_TOKENS_MAX);
	assert_int_equal(price_fit_output(&p, UNIT_MONEY, PRICE_TOKENS_MAX + 1, 1, INT64_MAX), -1);
	p.tier[0].pico[PRICE_OUTPUT] = 0;
	assert_int_equal(price_fit_output(&p, UNIT_MONEY, 0, 2000, 0), 2000);
}

static void test_fit_where_128_bits_end(void **state)
{
	struct price p = gpt_4o();

	(void)state;
	p.terms = (struct price_terms){1, PRICE_RATE_MAX_PPM, PRICE_RATE_MAX_PPM};
	assert_int_equal(price_fit_output(&p, UNIT_CREDIT, 1, 5, MONEY_AMOUNT_MAX_MICROS), 5);
	p.terms =
		(struct price_terms){PRICE_MARGIN_MAX_PPM, PRICE_RATE_MAX_PPM, PRICE_RATE_MAX_PPM};
	assert_int_equal(
		price_fit_output(&p, UNIT_CREDIT, PRICE_TOKENS_MAX, PRICE_TOKENS_MAX, INT64_MAX),
		PRICE_TOKENS_MAX);
}

static void test_names(void **state)
{
	(void)state;
	assert_true(price_name_valid("gpt-4o", PRICE_ITEM_MAX));
	assert_true(price_name_valid("fournisseur/mod\xc3\xa8le 2", PRICE_ITEM_MAX));
	assert_false(price_name_valid("", PRICE_ITEM_MAX));
	assert_false(price_name_valid(" a", PRICE_ITEM_MAX));
	assert_false(price_name_valid("a ", PRICE_ITEM_MAX)); /* in the database the same as "a" */
	assert_false(price_name_valid("a\nb", PRICE_ITEM_MAX));
	assert_false(price_name_valid("a\x7f", PRICE_ITEM_MAX));
	assert_true(price_name_valid("abc", 4));
	assert_false(price_name_valid("abcd", 4));
}

static void test_what_is_valid(void **state)
{
	struct price good = gpt_4o(), bad;

	(void)state;
	assert_true(price_valid(&good));
	bad = good, bad.terms.margin_ppm = 0;
	assert_false(price_valid(&bad));
	bad = good, bad.terms.rate_ppm = -1;
	assert_false(price_valid(&bad));
	bad = good, bad.terms.credit_value_ppm = PRICE_RATE_MAX_PPM + 1;
	assert_false(price_valid(&bad));
	bad = good, bad.provider[0] = '\0';
	assert_false(price_valid(&bad));
	bad = good, bad.tier_count = 0;
	assert_false(price_valid(&bad));
	bad = good, bad.tier_count = 2; /* the second is not above the first */
	assert_false(price_valid(&bad));
	bad = good, bad.tier[0].above_tokens = 1;
	assert_false(price_valid(&bad));
	bad = good, bad.tier[0].pico[PRICE_OUTPUT] = -1;
	assert_false(price_valid(&bad));
	bad = good, bad.tier[0].pico[PRICE_OUTPUT] = PRICE_PICO_MAX + 1;
	assert_false(price_valid(&bad));
	bad = good, bad.kind = PRICE_ACTION;
	assert_false(price_valid(&bad));
	good = action(0);
	assert_true(price_valid(&good));
	good.credits_micros = -1;
	assert_false(price_valid(&good));
}

static void test_tiers_are_read_as_they_were_written(void **state)
{
	struct price p = gpt_4o(), back = {.kind = PRICE_MODEL};
	struct buf text;

	(void)state;
	p.tier_count = PRICE_TIERS_MAX;
	for (int i = 1; i < PRICE_TIERS_MAX; i++) {
		p.tier[i] = p.tier[0];
		p.tier[i].above_tokens = PRICE_TOKENS_MAX + i;
		p.tier[i].pico[i % PRICE_CLASSES] = PRICE_PICO_MAX - i;
	}
	buf_init(&text, 1024); /* what the column holds */
	price_write_tiers(&p, &text);
	assert_true(buf_ok(&text));
	assert_int_equal(price_read_tiers(&back, buf_text(&text), text.length), 0);
	assert_int_equal(back.tier_count, p.tier_count);
	assert_memory_equal(back.tier, p.tier, sizeof(p.tier));
	for (size_t cut = 0; cut < text.length; cut++)
		assert_int_equal(price_read_tiers(&back, buf_text(&text), cut), -1);
	buf_free(&text);
}

static void test_other_tiers_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"[]",
		"[[]]",
		"[[0,1,2,3,4]]",
		"[[0,1,2,3,4,5,6]]",
		"[[0,1,2,3,4,5]] ",
		" [[0,1,2,3,4,5]]",
		"[[0, 1,2,3,4,5]]",
		"[[0,1,2,3,4,-5]]",
		"[[0,1,2,3,4,5.0]]",
		"[[0,01,2,3,4,5]]",
		"[[0,1,2,3,4,]]",
		"[[1,1,2,3,4,5]]",
		"[[0,1,2,3,4,5],[0,1,2,3,4,5]]",
		"[[0,1,2,3,4,5],]",
		"[[0,1,2,3,4,\"5\"]]",
		"[[0,1,2,3,4,1000000000001]]",
		"[[0,1,2,3,4,18446744073709551617]]",
		"[[0,1,2,3,4,5]]]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct price p = {.kind = PRICE_MODEL};

		assert_int_equal(price_read_tiers(&p, texts[i], strlen(texts[i])), -1);
	}
}

static void price_an_action_as_tokens(void)
{
	struct price p = action(1);
	struct tokens t = {{1}};
	micros cost;

	(void)!price_of_tokens(&p, UNIT_MONEY, &t, &cost);
}

static void price_without_terms(void)
{
	struct price p = gpt_4o();
	struct tokens t = {{1}};
	micros cost;

	p.terms.rate_ppm = 0;
	(void)!price_of_tokens(&p, UNIT_MONEY, &t, &cost);
}

static void test_bugs_abort(void **state)
{
	(void)state;
	assert_true(aborts(price_an_action_as_tokens));
	assert_true(aborts(price_without_terms));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published_figures),
		cmocka_unit_test(test_rounded_up_once),
		cmocka_unit_test(test_tier_covers_the_whole_request),
		cmocka_unit_test(test_what_is_beyond_counting),
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_fit),
		cmocka_unit_test(test_fit_where_128_bits_end),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_what_is_valid),
		cmocka_unit_test(test_tiers_are_read_as_they_were_written),
		cmocka_unit_test(test_other_tiers_are_refused),
		cmocka_unit_test(test_bugs_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
