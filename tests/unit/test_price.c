/* Drawn cases are compared with fractions in tests/model/test_cost.py; here are the borders. */
#include "unit.h"

#include "prices/price.h"

#define UNTOUCHED INT64_C(-777777)

/* gpt-4o as published: 2.50 and 10.00 dollars per million; the lines are written to in the tests. */
static struct price_line lines[PRICE_LINES_MAX];

static struct price gpt_4o(void)
{
	static const struct price_line published[] = {
		{.dimension = DIMENSION_INPUT, .mantissa = 2500000, .scale = 12},
		{.dimension = DIMENSION_CACHE_READ, .mantissa = 1250000, .scale = 12},
		{.dimension = DIMENSION_CACHE_WRITE, .mantissa = 2500000, .scale = 12},
		{.dimension = DIMENSION_CACHE_WRITE_1H, .mantissa = 2500000, .scale = 12},
		{.dimension = DIMENSION_OUTPUT, .mantissa = 10000000, .scale = 12},
	};
	struct price p = {
		.kind = PRICE_MODEL,
		.item = "gpt-4o",
		.provider = "openai",
		.terms = {.margin_ppm = 1050000, .rate_ppm = 1080000, .credit_value_ppm = 10000},
		.lines = lines,
		.line_count = 5,
	};

	memset(lines, 0, sizeof(lines));
	memcpy(lines, published, sizeof(published));
	return p;
}

/* A price of these lines at terms that change nothing: micros are micro-dollars. */
static struct price priced(const struct price_line *own, int count)
{
	struct price p = gpt_4o();

	memcpy(lines, own, (size_t)count * sizeof(*own));
	price_sort(lines, count);
	p.line_count = count;
	p.terms = (struct price_terms){1000000, 1000000, 1000000};
	assert_true(price_valid(&p));
	return p;
}

static struct price_charge charge_of(const struct price *p, const char *counts, enum service_tier tier,
                                     const char *variant)
{
	struct counts c = {{0}};
	struct price_charge charge = {.cost_micros = UNTOUCHED};
	struct price_part parts[DIMENSION_COUNT];
	micros sum = 0;
	int count;

	assert_int_equal(counts_read(&c, counts, strlen(counts)), 0);
	assert_true(price_of_use(p, UNIT_MONEY, &(struct price_use){&c, tier, variant}, &charge));
	count = price_parts(p, UNIT_MONEY, &(struct price_use){&c, tier, variant}, parts);
	for (int i = 0; i < count; i++)
		sum += parts[i].cost_micros;
	assert_in_range(charge.cost_micros - sum, 0, count);
	return charge;
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

static micros cost_of(const struct price *p, enum account_unit unit, struct counts c)
{
	struct price_charge charge = {.cost_micros = UNTOUCHED};

	assert_true(price_of_use(p, unit, &(struct price_use){&c, TIER_STANDARD, ""}, &charge));
	assert_false(charge.unpriced);
	return charge.cost_micros;
}

static bool is_counted(const struct price *p, enum account_unit unit, int64_t input)
{
	const struct counts c = {{input}};
	struct price_charge charge;

	return price_of_use(p, unit, &(struct price_use){&c, TIER_STANDARD, ""}, &charge);
}

static int64_t fit(const struct price *p, enum account_unit unit, int64_t input, int64_t wanted, micros available)
{
	const struct counts c = {{input}};

	return price_fit_output(p, unit, &(struct price_use){&c, TIER_STANDARD, ""}, wanted, available);
}

static void test_published_figures(void **state)
{
	struct price p = gpt_4o();

	(void)state;
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct counts){{500, 0, 0, 0, 2000}}), 20660);
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct counts){{1000000, 0, 0, 0, 0}}), 2430556);
	assert_int_equal(cost_of(&p, UNIT_CREDIT, (struct counts){{500, 0, 0, 0, 2000}}), 2065973);
}

static void test_rounded_up_once(void **state)
{
	struct price p = gpt_4o();

	(void)state;
	p.terms = (struct price_terms){1000000, 1000000, 1000000};
	lines[0].mantissa = 1;
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct counts){{0, 0, 0, 0, 0}}), 0);
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct counts){{1, 0, 0, 0, 0}}), 1);
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct counts){{1000000, 0, 0, 0, 0}}), 1);
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct counts){{1000001, 0, 0, 0, 0}}), 2);
	/* Two classes that both end on half a micro make one micro, not two. */
	lines[0].mantissa = 500000;
	lines[4].mantissa = 500000;
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct counts){{1, 0, 0, 0, 1}}), 1);
}

static void test_tier_covers_the_whole_request(void **state)
{
	struct price p = gpt_4o();

	(void)state;
	p.terms = (struct price_terms){1000000, 1000000, 1000000};
	lines[5] = (struct price_line){DIMENSION_INPUT, TIER_STANDARD, 200000, "", 5, 6};
	lines[6] = (struct price_line){DIMENSION_OUTPUT, TIER_STANDARD, 200000, "", 15, 6};
	p.line_count = 7;
	price_sort(lines, 7);
	assert_true(price_valid(&p));
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct counts){{200000, 0, 0, 0, 1000}}), 500000 + 10000);
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct counts){{200001, 0, 0, 0, 1000}}), 1000005 + 15000);
	/* Cached tokens are part of the input that chooses; output is not. */
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct counts){{1, 200000, 0, 0, 0}}), 5 + 250000);
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct counts){{1, 0, 0, 0, 900000}}), 9000003);
}

static void test_what_is_beyond_counting(void **state)
{
	struct price p = gpt_4o();

	(void)state;
	assert_false(is_counted(&p, UNIT_MONEY, -1));
	assert_false(is_counted(&p, UNIT_MONEY, INT64_MIN));
	assert_false(is_counted(&p, UNIT_MONEY, COUNTS_MAX + 1));
	lines[0].mantissa = INT64_C(1000000000000);
	p.terms = (struct price_terms){PRICE_MARGIN_MAX_PPM, 1, 1};
	assert_false(is_counted(&p, UNIT_MONEY, COUNTS_MAX));
	assert_false(is_counted(&p, UNIT_CREDIT, COUNTS_MAX));
	/* The dearest request of ordinary terms is an amount. */
	p.terms = (struct price_terms){1000000, 1000000, 1000000};
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct counts){{COUNTS_MAX}}), INT64_C(1000000000000000));
}

#define LINE(NAME, TIER, above, variant, mantissa, scale) \
	{ \
		DIMENSION_##NAME, TIER_##TIER, above, variant, mantissa, scale \
	}

/* A use of a price, in dollars x 10^-6, by hand. */
struct example {
	const char *counts;
	enum service_tier tier;
	const char *variant;
	micros cost;
	bool incomplete, unpriced;
};

static void check_examples(const struct price *p, const struct example *examples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct price_charge charge =
			charge_of(p, examples[i].counts, examples[i].tier, examples[i].variant);

		if (charge.cost_micros != examples[i].cost || charge.incomplete != examples[i].incomplete ||
		    charge.unpriced != examples[i].unpriced)
			fail_msg("%s: %lld%s%s", examples[i].counts, (long long)charge.cost_micros,
			         charge.incomplete ? " incomplete" : "", charge.unpriced ? " unpriced" : "");
	}
}
#define EXAMPLES(p, e) check_examples(&(p), e, sizeof(e) / sizeof((e)[0]))

static void test_tiers_and_stand_ins(void **state)
{
	static const struct price_line own[] = {
		LINE(INPUT, STANDARD, 0, "", 1, 6),       LINE(INPUT, STANDARD, 1000, "", 2, 6),
		LINE(INPUT, PRIORITY, 0, "", 3, 6),       LINE(CACHE_READ, STANDARD, 0, "", 5, 7),
		LINE(OUTPUT, STANDARD, 0, "", 4, 6),      LINE(OUTPUT, BATCH, 0, "", 2, 6),
		LINE(AUDIO_INPUT, STANDARD, 0, "", 7, 6),
	};
	static const struct example examples[] = {
		{"inputTokens=1000", TIER_STANDARD, "", 1000, false, false},
		{"inputTokens=1001", TIER_STANDARD, "", 2002, false, false},
		/* Every token of the input side chooses the threshold. */
		{"inputTokens=1,cacheReadTokens=1000", TIER_STANDARD, "", 502, false, false},
		{"inputTokens=10", TIER_PRIORITY, "", 30, false, false},
		/* Flex has no price: the dearest of the others. */
		{"inputTokens=10", TIER_FLEX, "", 30, true, false},
		{"inputTokens=10", TIER_OTHER, "", 30, true, false},
		{"inputTokens=2000", TIER_BATCH, "", 6000, true, false},
		{"outputTokens=10", TIER_BATCH, "", 20, false, false},
		{"outputTokens=10", TIER_PRIORITY, "", 40, true, false},
		/* Natural stand-ins, also across two steps. */
		{"cacheWriteTokens=10", TIER_STANDARD, "", 10, false, false},
		{"cacheWrite1hTokens=10", TIER_PRIORITY, "", 30, false, false},
		{"imageInputTokens=10", TIER_STANDARD, "", 10, false, false},
		{"reasoningTokens=10", TIER_STANDARD, "", 40, false, false},
		{"audioCacheReadTokens=10", TIER_STANDARD, "", 70, false, false},
		/* The dearest of the side, where there is no natural one. */
		{"audioOutputTokens=10", TIER_STANDARD, "", 40, true, false},
		{"citationTokens=10", TIER_STANDARD, "", 40, true, false},
		/* No price of the kind at all. */
		{"seconds=9.5", TIER_STANDARD, "", 0, true, true},
		{"inputTokens=10,pages=1", TIER_STANDARD, "", 10, true, true},
	};
	struct price p = priced(own, 7);

	(void)state;
	EXAMPLES(p, examples);
}

static void test_sides_without_a_price(void **state)
{
	static const struct price_line embeds[] = {LINE(INPUT, STANDARD, 0, "", 1, 6)};
	static const struct price_line speaks[] = {LINE(AUDIO_OUTPUT, STANDARD, 0, "", 8, 6)};
	static const struct price_line paints[] = {LINE(IMAGES, STANDARD, 0, "", 4, 2)};
	static const struct example embedding[] = {
		{"outputTokens=10", TIER_STANDARD, "", 0, false, false},
		{"reasoningTokens=10", TIER_STANDARD, "", 0, false, false},
		{"audioOutputTokens=10", TIER_STANDARD, "", 10, true, false},
		{"audioInputTokens=10", TIER_STANDARD, "", 10, true, false},
	};
	static const struct example speaking[] = {
		{"inputTokens=10", TIER_STANDARD, "", 80, true, false},
		{"outputTokens=10", TIER_STANDARD, "", 80, true, false},
	};
	static const struct example painting[] = {
		{"inputTokens=10", TIER_STANDARD, "", 0, true, true},
		{"inputImages=2", TIER_STANDARD, "", 80000, false, false},
	};
	struct price p = priced(embeds, 1);

	(void)state;
	EXAMPLES(p, embedding);
	p = priced(speaks, 1);
	EXAMPLES(p, speaking);
	p = priced(paints, 1);
	EXAMPLES(p, painting);
}

static void test_variants(void **state)
{
	static const struct price_line own[] = {
		LINE(IMAGES, STANDARD, 0, "1024x1024/low", 11, 3),
		LINE(IMAGES, STANDARD, 0, "1024x1024/high", 167, 3),
		LINE(SEARCH_CALLS, STANDARD, 0, "", 275, 4),
		LINE(SEARCH_CALLS, STANDARD, 0, "context=high", 3, 2),
	};
	static const struct example examples[] = {
		{"images=3", TIER_STANDARD, "1024x1024/low", 33000, false, false},
		{"images=1", TIER_STANDARD, "", 167000, true, false},
		{"images=1", TIER_STANDARD, "other", 167000, true, false},
		{"searchCalls=2", TIER_STANDARD, "context=high", 60000, false, false},
		{"searchCalls=2", TIER_STANDARD, "context=odd", 55000, false, false},
		{"images=1,searchCalls=1", TIER_STANDARD, "1024x1024/high", 194500, false, false},
	};
	/* A variant of two parts has the price of the dearer one where both together have none. */
	static const struct price_line served[] = {
		LINE(INPUT, STANDARD, 0, "", 10, 6),
		LINE(INPUT, STANDARD, 0, "speed=fast", 60, 6),
		LINE(INPUT, STANDARD, 0, "region=us", 11, 6),
		LINE(OUTPUT, STANDARD, 0, "", 20, 6),
		LINE(OUTPUT, STANDARD, 0, "region=us/speed=fast", 132, 6),
	};
	static const struct example serving[] = {
		{"inputTokens=1", TIER_STANDARD, "region=eu/speed=fast", 60, true, false},
		{"inputTokens=1", TIER_STANDARD, "speed=fast/region=us", 60, true, false},
		{"inputTokens=1", TIER_STANDARD, "region=us/speed=slow", 11, true, false},
		{"inputTokens=1", TIER_STANDARD, "region=us", 11, false, false},
		{"inputTokens=1", TIER_STANDARD, "region=usa/speed=faster", 10, false, false},
		{"inputTokens=1", TIER_STANDARD, "aspeed=fast/fast", 10, false, false},
		{"outputTokens=1", TIER_STANDARD, "region=us/speed=fast", 132, false, false},
		{"outputTokens=1", TIER_STANDARD, "region=eu/speed=fast", 20, false, false},
	};
	struct price p = priced(own, 4);

	(void)state;
	EXAMPLES(p, examples);
	p = priced(served, 5);
	EXAMPLES(p, serving);
}

static void test_alternatives_are_not_added(void **state)
{
	static const struct price_line own[] = {
		LINE(INPUT, STANDARD, 0, "", 1, 6),          LINE(AUDIO_INPUT, STANDARD, 0, "", 2, 6),
		LINE(IMAGE_OUTPUT, STANDARD, 0, "", 3, 6),   LINE(IMAGES, STANDARD, 0, "", 4, 2),
		LINE(PIXELS, STANDARD, 0, "", 19, 9),        LINE(SECONDS, STANDARD, 0, "", 1, 4),
		LINE(OUTPUT_SECONDS, STANDARD, 0, "", 1, 4), LINE(CHARACTERS, STANDARD, 0, "", 5, 6),
		LINE(REQUESTS, STANDARD, 0, "", 5, 3),
	};
	/* Each has the price of a request beside it, reported or not. */
	static const struct example examples[] = {
		{"images=1,pixels=1000000", TIER_STANDARD, "", 45000, false, false},
		{"pixels=1000000", TIER_STANDARD, "", 24000, false, false},
		{"imageOutputTokens=1000,images=1,pixels=1000000", TIER_STANDARD, "", 8000, false, false},
		{"seconds=37.5,outputSeconds=37.5", TIER_STANDARD, "", 8750, false, false},
		{"outputSeconds=10", TIER_STANDARD, "", 6000, false, false},
		{"audioInputTokens=100,seconds=10", TIER_STANDARD, "", 5200, false, false},
		{"inputTokens=100,characters=400", TIER_STANDARD, "", 5100, false, false},
		{"characters=400", TIER_STANDARD, "", 7000, false, false},
		{"seconds=10,characters=400", TIER_STANDARD, "", 7000, false, false},
		{"videoSeconds=10", TIER_STANDARD, "", 6000, false, false},
		{"characters=400,requests=3", TIER_STANDARD, "", 17000, false, false},
	};
	struct price p = priced(own, 9);

	(void)state;
	EXAMPLES(p, examples);
}

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define PRICED(own) priced(own, COUNT_OF(own))

static void test_thresholds_are_of_each_line(void **state)
{
	static const struct price_line own[] = {
		LINE(INPUT, STANDARD, 0, "", 1, 6),       LINE(INPUT, STANDARD, 200000, "", 2, 6),
		LINE(OUTPUT, STANDARD, 0, "", 4, 6),      LINE(OUTPUT, STANDARD, 128000, "", 5, 6),
		LINE(OUTPUT, STANDARD, 256000, "", 6, 6), LINE(CACHE_READ, STANDARD, 0, "", 5, 7),
		LINE(PAGES, STANDARD, 0, "", 1, 3),       LINE(PAGES, STANDARD, 1000, "", 2, 3),
	};
	static const struct example examples[] = {
		{"inputTokens=128000,outputTokens=10", TIER_STANDARD, "", 128040, false, false},
		{"inputTokens=128001,outputTokens=10", TIER_STANDARD, "", 128051, false, false},
		{"inputTokens=200000,outputTokens=10", TIER_STANDARD, "", 200050, false, false},
		{"inputTokens=200001,outputTokens=10", TIER_STANDARD, "", 400052, false, false},
		{"inputTokens=256000,outputTokens=10", TIER_STANDARD, "", 512050, false, false},
		{"inputTokens=256001,outputTokens=10", TIER_STANDARD, "", 512062, false, false},
		/* A line without thresholds keeps its price. */
		{"inputTokens=200000,cacheReadTokens=100000", TIER_STANDARD, "", 450000, false, false},
		/* All of the input side chooses, in sum: writes, images and audio too. */
		{"inputTokens=1,cacheWriteTokens=100000,cacheWrite1hTokens=100000", TIER_STANDARD, "", 400002, false,
	         false},
		{"inputTokens=1,imageInputTokens=200000", TIER_STANDARD, "", 400002, false, false},
		{"outputTokens=10,audioInputTokens=128001", TIER_STANDARD, "", 128051, true, false},
		{"inputTokens=1,audioCacheReadTokens=100000,audioCacheWriteTokens=100000", TIER_STANDARD, "", 400002,
	         true, false},
		/* The output side does not choose, and no other count does. */
		{"outputTokens=256001", TIER_STANDARD, "", 1024004, false, false},
		{"inputTokens=1,outputTokens=1,reasoningTokens=300000", TIER_STANDARD, "", 1200005, false, false},
		{"inputTokens=1000,pages=5000", TIER_STANDARD, "", 5001000, false, false},
		{"inputTokens=1001,pages=5", TIER_STANDARD, "", 11001, false, false},
	};
	struct price p = PRICED(own);

	(void)state;
	EXAMPLES(p, examples);
}

/* A dimension whose thresholds are all above the input has no line there: its stand-in has. */
static void test_thresholds_without_a_base(void **state)
{
	static const struct price_line own[] = {
		LINE(INPUT, STANDARD, 0, "", 2, 6),
		LINE(CACHE_WRITE, STANDARD, 1000, "", 1, 6),
		LINE(OUTPUT, STANDARD, 0, "", 4, 6),
	};
	static const struct example examples[] = {
		{"cacheWriteTokens=1000", TIER_STANDARD, "", 2000, false, false},
		{"cacheWriteTokens=1001", TIER_STANDARD, "", 1001, false, false},
		{"cacheWrite1hTokens=10", TIER_STANDARD, "", 20, false, false},
		{"audioInputTokens=10", TIER_STANDARD, "", 20, true, false},
	};
	static const struct price_line mute[] = {LINE(OUTPUT, STANDARD, 0, "", 4, 6)};
	static const struct example unheard[] = {
		{"outputTokens=1,audioInputTokens=10", TIER_STANDARD, "", 4, true, true},
		{"inputTokens=10", TIER_STANDARD, "", 40, true, false},
	};
	struct price p = PRICED(own);

	(void)state;
	EXAMPLES(p, examples);
	p = PRICED(mute);
	EXAMPLES(p, unheard);
}

/* In a tier that lists no reasoning, it costs what output costs there; in one that lists neither, the dearest. */
static void test_reasoning_in_tiers(void **state)
{
	static const struct price_line own[] = {
		LINE(INPUT, STANDARD, 0, "", 1, 6),     LINE(OUTPUT, STANDARD, 0, "", 2, 6),
		LINE(OUTPUT, BATCH, 0, "", 1, 6),       LINE(OUTPUT, PRIORITY, 0, "", 4, 6),
		LINE(REASONING, STANDARD, 0, "", 3, 6),
	};
	static const struct example examples[] = {
		{"reasoningTokens=100", TIER_STANDARD, "", 300, false, false},
		{"reasoningTokens=100", TIER_BATCH, "", 100, false, false},
		{"reasoningTokens=100", TIER_PRIORITY, "", 400, false, false},
		{"reasoningTokens=100", TIER_FLEX, "", 300, true, false},
	};
	struct price p = PRICED(own);

	(void)state;
	EXAMPLES(p, examples);
}

static void test_thresholds_in_tiers_and_variants(void **state)
{
	static const struct price_line own[] = {
		LINE(INPUT, STANDARD, 0, "", 2, 6),       LINE(INPUT, STANDARD, 200000, "", 4, 6),
		LINE(INPUT, BATCH, 0, "", 1, 6),          LINE(INPUT, PRIORITY, 0, "", 3, 6),
		LINE(INPUT, PRIORITY, 272000, "", 6, 6),  LINE(OUTPUT, STANDARD, 0, "a", 1, 6),
		LINE(OUTPUT, STANDARD, 1000, "a", 9, 6),  LINE(OUTPUT, STANDARD, 0, "b", 5, 6),
		LINE(CACHE_READ, STANDARD, 0, "b", 7, 6), LINE(CACHE_READ, BATCH, 0, "", 1, 6),
	};
	static const struct example examples[] = {
		/* A tier has the thresholds that it lists. */
		{"inputTokens=200001", TIER_STANDARD, "", 800004, false, false},
		{"inputTokens=200001", TIER_BATCH, "", 200001, false, false},
		{"inputTokens=272000", TIER_PRIORITY, "", 816000, false, false},
		{"inputTokens=272001", TIER_PRIORITY, "", 1632006, false, false},
		/* The tiers that stand in have theirs, and then the dearest is taken. */
		{"inputTokens=10", TIER_FLEX, "", 30, true, false},
		{"inputTokens=200001", TIER_FLEX, "", 800004, true, false},
		{"inputTokens=272001", TIER_FLEX, "", 1632006, true, false},
		/* So do the variants that stand in. */
		{"outputTokens=10", TIER_STANDARD, "a", 10, false, false},
		{"outputTokens=10", TIER_STANDARD, "c", 50, true, false},
		{"inputTokens=1000,outputTokens=10", TIER_STANDARD, "c", 2050, true, false},
		{"inputTokens=1001,outputTokens=10", TIER_STANDARD, "c", 2092, true, false},
		{"inputTokens=1001,outputTokens=10", TIER_STANDARD, "b", 2052, false, false},
		/* A variant counts in another tier too, which stays incomplete. */
		{"outputTokens=10", TIER_PRIORITY, "a", 10, true, false},
		/* The default of the tier comes before the variant of another tier. */
		{"cacheReadTokens=10", TIER_BATCH, "b", 10, false, false},
		{"cacheReadTokens=10", TIER_PRIORITY, "b", 70, true, false},
	};
	struct price p = PRICED(own);

	(void)state;
	EXAMPLES(p, examples);
}

static void test_natural_stand_ins(void **state)
{
	static const struct price_line all[] = {
		LINE(INPUT, STANDARD, 0, "", 1, 6),       LINE(INPUT, PRIORITY, 0, "", 2, 6),
		LINE(CACHE_WRITE, STANDARD, 0, "", 3, 6), LINE(OUTPUT, STANDARD, 0, "", 5, 6),
		LINE(OUTPUT, BATCH, 0, "", 4, 6),         LINE(AUDIO_INPUT, STANDARD, 0, "", 7, 6),
		LINE(CHARACTERS, STANDARD, 0, "", 11, 6), LINE(INPUT_IMAGES, STANDARD, 0, "", 13, 6),
	};
	static const struct example examples[] = {
		{"cacheReadTokens=10", TIER_STANDARD, "", 10, false, false},
		{"cacheReadTokens=10", TIER_PRIORITY, "", 20, false, false},
		{"cacheReadTokens=10", TIER_FLEX, "", 20, true, false},
		{"cacheWriteTokens=10", TIER_STANDARD, "", 30, false, false},
		{"cacheWrite1hTokens=10", TIER_STANDARD, "", 30, false, false},
		/* The stand-in has lines, though not of this tier: input does not stand in for it. */
		{"cacheWrite1hTokens=10", TIER_PRIORITY, "", 30, true, false},
		{"imageInputTokens=10", TIER_PRIORITY, "", 20, false, false},
		{"audioCacheReadTokens=10", TIER_STANDARD, "", 70, false, false},
		{"audioCacheWriteTokens=10", TIER_STANDARD, "", 70, false, false},
		{"reasoningTokens=10", TIER_BATCH, "", 40, false, false},
		{"outputCharacters=10", TIER_STANDARD, "", 110, false, false},
		{"images=10", TIER_STANDARD, "", 130, false, false},
		/* An explicit 0 is a count of nothing, and asks for no price. */
		{"", TIER_STANDARD, "", 0, false, false},
	};
	static const struct price_line images[] = {LINE(IMAGES, STANDARD, 0, "", 17, 6),
	                                           LINE(OUTPUT_CHARACTERS, STANDARD, 0, "", 19, 6)};
	static const struct example other_way[] = {
		{"inputImages=10", TIER_STANDARD, "", 170, false, false},
		{"outputCharacters=10", TIER_STANDARD, "", 190, false, false},
		{"characters=10", TIER_STANDARD, "", 0, true, true},
	};
	struct price p = PRICED(all);

	(void)state;
	EXAMPLES(p, examples);
	p = PRICED(images);
	EXAMPLES(p, other_way);
}

/* Each pair of durations that are listed, and each that is counted: the first listed one stands in. */
static void test_durations_stand_in_for_one_another(void **state)
{
	for (int d = DIMENSION_SECONDS; d <= DIMENSION_OUTPUT_VIDEO_SECONDS; d++) {
		for (int e = d; e <= DIMENSION_OUTPUT_VIDEO_SECONDS; e++) {
			const struct price_line own[] = {{(enum dimension)d, TIER_STANDARD, 0, "", 1, 3},
			                                 {(enum dimension)e, TIER_STANDARD, 0, "", 2, 3}};
			struct price p = priced(own, d == e ? 1 : 2);

			for (int asked = DIMENSION_SECONDS; asked <= DIMENSION_OUTPUT_VIDEO_SECONDS; asked++) {
				struct counts c = {{0}};
				struct price_charge charge;

				c.of[asked] = 2500000;
				assert_true(price_of_use(&p, UNIT_MONEY, &(struct price_use){&c, TIER_STANDARD, ""},
				                         &charge));
				assert_int_equal(charge.cost_micros, d != e && asked == e ? 5000 : 2500);
				assert_false(charge.incomplete);
			}
		}
	}
	(void)state;
}

static void test_the_dearest_of_a_side_stands_in(void **state)
{
	static const struct price_line own[] = {
		LINE(INPUT, STANDARD, 0, "", 1, 6),      LINE(INPUT, STANDARD, 1000, "", 8, 6),
		LINE(INPUT, BATCH, 0, "", 9, 7),         LINE(CACHE_WRITE_1H, STANDARD, 0, "", 6, 6),
		LINE(OUTPUT, STANDARD, 0, "", 4, 6),     LINE(REASONING, STANDARD, 0, "", 9, 6),
		LINE(REASONING, STANDARD, 0, "x", 2, 6),
	};
	static const struct example examples[] = {
		{"audioInputTokens=1000", TIER_STANDARD, "", 6000, true, false},
		{"audioInputTokens=1001", TIER_STANDARD, "", 8008, true, false},
		/* Two steps: audio input stands in for its cache, and the dearest for that. */
		{"audioCacheReadTokens=10", TIER_STANDARD, "", 60, true, false},
		{"audioCacheWriteTokens=10", TIER_STANDARD, "", 60, true, false},
		/* A dimension without lines of the tier takes part with its dearest one. */
		{"audioInputTokens=10", TIER_BATCH, "", 60, true, false},
		{"citationTokens=10", TIER_STANDARD, "", 90, true, false},
		{"audioOutputTokens=10", TIER_STANDARD, "", 90, true, false},
		{"imageOutputTokens=10", TIER_STANDARD, "", 90, true, false},
		{"videoOutputTokens=10", TIER_STANDARD, "", 90, true, false},
		/* The use's own variant is looked for in each of them. */
		{"videoOutputTokens=10", TIER_STANDARD, "x", 40, true, false},
	};
	static const struct price_line caches[] = {
		LINE(CACHE_READ, STANDARD, 0, "", 2, 6),
		LINE(IMAGE_OUTPUT, STANDARD, 0, "", 3, 5),
		LINE(VIDEO_OUTPUT, STANDARD, 0, "", 2, 5),
	};
	static const struct example sides[] = {
		{"inputTokens=10", TIER_STANDARD, "", 20, true, false},
		{"cacheWrite1hTokens=10", TIER_STANDARD, "", 20, true, false},
		{"imageInputTokens=10", TIER_STANDARD, "", 20, true, false},
		{"cacheReadTokens=10", TIER_STANDARD, "", 20, false, false},
		{"outputTokens=10", TIER_STANDARD, "", 300, true, false},
		{"reasoningTokens=10", TIER_STANDARD, "", 300, true, false},
		{"videoOutputTokens=10", TIER_STANDARD, "", 200, false, false},
	};
	struct price p = PRICED(own);

	(void)state;
	EXAMPLES(p, examples);
	p = PRICED(caches);
	EXAMPLES(p, sides);
}

/* A model that lists no output side, as those that embed or rank. */
static void test_models_without_an_output(void **state)
{
	static const struct price_line own[] = {LINE(INPUT, STANDARD, 0, "", 1, 6),
	                                        LINE(CACHE_READ, STANDARD, 0, "", 2, 7),
	                                        LINE(QUERIES, STANDARD, 0, "", 2, 3)};
	static const struct example examples[] = {
		{"inputTokens=10,outputTokens=1000000", TIER_STANDARD, "", 10, false, false},
		{"inputTokens=10,reasoningTokens=1000000", TIER_PRIORITY, "", 10, true, false},
		{"outputTokens=5", TIER_FLEX, "", 0, false, false},
		{"outputTokens=5,queries=2", TIER_STANDARD, "", 4000, false, false},
		{"citationTokens=10", TIER_STANDARD, "", 10, true, false},
		{"imageOutputTokens=10", TIER_STANDARD, "", 10, true, false},
		{"videoOutputTokens=10", TIER_STANDARD, "", 10, true, false},
	};
	struct price p = PRICED(own);

	(void)state;
	EXAMPLES(p, examples);
}

/* Each dimension beyond tokens, on a model of tokens alone, and tokens on a model of pages. */
static void test_what_has_no_price_of_its_kind(void **state)
{
	static const struct price_line tokens[] = {LINE(INPUT, STANDARD, 0, "", 1, 6),
	                                           LINE(OUTPUT, STANDARD, 0, "", 2, 6)};
	static const struct price_line paged[] = {LINE(PAGES, STANDARD, 0, "", 1, 3)};

	(void)state;
	for (int d = 0; d < DIMENSION_COUNT; d++) {
		const bool other = dimension_side((enum dimension)d) == SIDE_OTHER;
		struct counts c = {{[DIMENSION_PAGES] = 3}};
		struct price_charge charge;
		struct price p = PRICED(paged);

		if (d == DIMENSION_PAGES || d == DIMENSION_OUTPUT || d == DIMENSION_REASONING)
			continue;
		c.of[d] = 1;
		assert_true(price_of_use(&p, UNIT_MONEY, &(struct price_use){&c, TIER_STANDARD, ""}, &charge));
		assert_true(charge.cost_micros == 3000 && charge.incomplete && charge.unpriced);
		p = PRICED(tokens);
		c.of[DIMENSION_PAGES] = 0;
		c.of[DIMENSION_OUTPUT] += 10;
		assert_true(price_of_use(&p, UNIT_MONEY, &(struct price_use){&c, TIER_STANDARD, ""}, &charge));
		assert_int_equal(charge.unpriced, other && d != DIMENSION_OUTPUT_CHARACTERS);
		if (other)
			assert_int_equal(charge.cost_micros, 20);
	}
}

static void test_a_request_is_implied(void **state)
{
	static const struct price_line own[] = {LINE(INPUT, STANDARD, 0, "", 1, 6),
	                                        LINE(REQUESTS, STANDARD, 0, "", 5, 3),
	                                        LINE(REQUESTS, BATCH, 0, "", 1, 3)};
	static const struct price_line none[] = {LINE(INPUT, STANDARD, 0, "", 1, 6)};
	static const struct example examples[] = {
		{"", TIER_STANDARD, "", 5000, false, false},
		{"inputTokens=10", TIER_STANDARD, "", 5010, false, false},
		{"inputTokens=10,requests=1", TIER_STANDARD, "", 5010, false, false},
		{"inputTokens=10,requests=3", TIER_STANDARD, "", 15010, false, false},
		{"requests=3", TIER_BATCH, "", 3000, false, false},
		{"", TIER_FLEX, "", 5000, true, false},
	};
	static const struct example without[] = {
		{"inputTokens=10", TIER_STANDARD, "", 10, false, false},
		{"inputTokens=10,requests=3", TIER_STANDARD, "", 10, true, true},
	};
	struct price p = PRICED(own);

	(void)state;
	EXAMPLES(p, examples);
	p = PRICED(none);
	EXAMPLES(p, without);
}

/* Each alternative: 1,000 micros for the covered dimension, 10 for the one that covers it. */
static void test_each_alternative(void **state)
{
	static const struct {
		enum dimension covered, by;
	} pairs[] = {
		{DIMENSION_CHARACTERS, DIMENSION_INPUT},
		{DIMENSION_OUTPUT_CHARACTERS, DIMENSION_OUTPUT},
		{DIMENSION_SECONDS, DIMENSION_AUDIO_INPUT},
		{DIMENSION_SECONDS, DIMENSION_AUDIO_OUTPUT},
		{DIMENSION_SECONDS, DIMENSION_CHARACTERS},
		{DIMENSION_SECONDS, DIMENSION_OUTPUT_CHARACTERS},
		{DIMENSION_OUTPUT_SECONDS, DIMENSION_SECONDS},
		{DIMENSION_OUTPUT_SECONDS, DIMENSION_AUDIO_INPUT},
		{DIMENSION_OUTPUT_SECONDS, DIMENSION_AUDIO_OUTPUT},
		{DIMENSION_OUTPUT_SECONDS, DIMENSION_CHARACTERS},
		{DIMENSION_OUTPUT_SECONDS, DIMENSION_OUTPUT_CHARACTERS},
		{DIMENSION_OUTPUT_VIDEO_SECONDS, DIMENSION_VIDEO_OUTPUT},
		{DIMENSION_INPUT_IMAGES, DIMENSION_IMAGE_INPUT},
		{DIMENSION_IMAGES, DIMENSION_IMAGE_OUTPUT},
		{DIMENSION_PIXELS, DIMENSION_IMAGES},
		{DIMENSION_PIXELS, DIMENSION_IMAGE_OUTPUT},
	};

	(void)state;
	for (int covered = 0; covered < DIMENSION_COUNT; covered++) {
		for (int by = 0; by < DIMENSION_COUNT; by++) {
			const int64_t units[] = {dimension_places((enum dimension)covered) > 0 ? COUNTS_FRACTION : 1,
			                         dimension_places((enum dimension)by) > 0 ? COUNTS_FRACTION : 1};
			const struct price_line own[] = {{(enum dimension)covered, TIER_STANDARD, 0, "", 1, 3},
			                                 {(enum dimension)by, TIER_STANDARD, 0, "", 1, 5}};
			struct counts c = {{0}};
			struct price_charge charge;
			struct price p;
			bool listed = false, alternative = false;

			if (covered == by)
				continue;
			for (int i = 0; i < COUNT_OF(pairs); i++) {
				alternative =
					alternative || ((int)pairs[i].covered == covered && (int)pairs[i].by == by);
				listed = listed || ((int)pairs[i].covered == by && (int)pairs[i].by == covered);
			}
			p = PRICED(own);
			c.of[covered] = units[0];
			c.of[by] = units[1];
			assert_true(price_of_use(&p, UNIT_MONEY, &(struct price_use){&c, TIER_STANDARD, ""}, &charge));
			assert_int_equal(charge.cost_micros, alternative ? 10 : listed ? 1000 : 1010);
			assert_false(charge.incomplete);
		}
	}
}

static void test_what_covers_has_a_price_itself(void **state)
{
	static const struct price_line own[] = {
		LINE(INPUT, STANDARD, 0, "", 1, 6), LINE(SECONDS, STANDARD, 0, "", 1, 3),
		LINE(INPUT_IMAGES, STANDARD, 0, "", 2, 3), LINE(PIXELS, STANDARD, 0, "", 3, 9)};
	static const struct example examples[] = {
		/* The dearest of the side is no price of audio: the seconds are charged too. */
		{"audioInputTokens=10,seconds=2", TIER_STANDARD, "", 2010, true, false},
		{"audioOutputTokens=10,outputSeconds=2", TIER_STANDARD, "", 2010, true, false},
		{"imageOutputTokens=10,pixels=1000000", TIER_STANDARD, "", 3010, true, false},
		{"seconds=2,characters=10", TIER_STANDARD, "", 2000, true, true},
		/* A natural stand-in is one. */
		{"imageInputTokens=10,inputImages=2", TIER_STANDARD, "", 10, false, false},
		{"images=2,pixels=1000000", TIER_STANDARD, "", 4000, false, false},
		{"seconds=2,outputSeconds=3", TIER_STANDARD, "", 2000, false, false},
		/* Text covers no image. */
		{"inputTokens=10,inputImages=2", TIER_STANDARD, "", 4010, false, false},
	};
	static const struct price_line spoken[] = {LINE(CHARACTERS, STANDARD, 0, "", 15, 6),
	                                           LINE(SECONDS, STANDARD, 0, "", 1, 3)};
	static const struct example speaking[] = {
		{"seconds=2,characters=10", TIER_STANDARD, "", 150, false, false},
		{"seconds=2,outputCharacters=10", TIER_STANDARD, "", 150, false, false},
		/* No price of tokens: the characters are charged, and the tokens are flagged. */
		{"inputTokens=3,characters=10", TIER_STANDARD, "", 150, true, true},
	};
	/* A listed 0 does not stand for a price: one token would make any text free. */
	static const struct price_line unpaid[] = {
		LINE(INPUT, STANDARD, 0, "", 0, 0), LINE(OUTPUT, STANDARD, 0, "", 0, 0),
		LINE(SECONDS, STANDARD, 0, "", 1, 3), LINE(CHARACTERS, STANDARD, 0, "", 15, 6)};
	static const struct example paid[] = {
		{"inputTokens=1,characters=10", TIER_STANDARD, "", 150, false, false},
		{"outputTokens=1,outputCharacters=10", TIER_STANDARD, "", 150, false, false},
		{"seconds=2,characters=10", TIER_STANDARD, "", 150, false, false},
	};
	struct price p = PRICED(own);

	(void)state;
	EXAMPLES(p, examples);
	p = PRICED(spoken);
	EXAMPLES(p, speaking);
	p = PRICED(unpaid);
	EXAMPLES(p, paid);
}

static void test_fractions_of_seconds_and_of_micros(void **state)
{
	static const struct price_line own[] = {LINE(SECONDS, STANDARD, 0, "", 1, 4),
	                                        LINE(PROVIDER_CREDITS, STANDARD, 0, "", 1, 2),
	                                        LINE(PIXELS, STANDARD, 0, "", 1, 18)};
	static const struct example examples[] = {
		{"seconds=37.5", TIER_STANDARD, "", 3750, false, false},
		{"seconds=0.000001", TIER_STANDARD, "", 1, false, false},
		{"seconds=0.01", TIER_STANDARD, "", 1, false, false},
		{"seconds=0.010001", TIER_STANDARD, "", 2, false, false},
		{"providerCredits=1.25", TIER_STANDARD, "", 12500, false, false},
		{"pixels=1", TIER_STANDARD, "", 1, false, false},
		{"pixels=1000000000", TIER_STANDARD, "", 1, false, false},
		/* Two halves of a micro, and then a little more: one rounding. */
		{"seconds=0.005,providerCredits=0.00005", TIER_STANDARD, "", 1, false, false},
		{"seconds=0.005,pixels=1,providerCredits=0.00005", TIER_STANDARD, "", 2, false, false},
	};
	struct price p = PRICED(own);

	(void)state;
	EXAMPLES(p, examples);
}

static void test_folding_keeps_the_charge(void **state)
{
	static const struct price_line plain[] = {
		LINE(INPUT, STANDARD, 0, "", 1, 6),
		LINE(OUTPUT, STANDARD, 0, "", 4, 6),
	};
	static const struct price_line thinks[] = {
		LINE(INPUT, STANDARD, 0, "", 1, 6),
		LINE(OUTPUT, STANDARD, 0, "", 4, 6),
		LINE(REASONING, STANDARD, 0, "", 9, 6),
	};
	const struct counts said = {{[DIMENSION_INPUT] = 1,
	                             [DIMENSION_OUTPUT] = 2,
	                             [DIMENSION_REASONING] = 30,
	                             [DIMENSION_IMAGE_INPUT] = 5,
	                             [DIMENSION_AUDIO_INPUT] = 7}};
	struct counts folded = said;
	struct price p = priced(plain, 2);

	(void)state;
	price_fold(&p, &folded);
	assert_int_equal(folded.of[DIMENSION_INPUT], 6);
	assert_int_equal(folded.of[DIMENSION_OUTPUT], 32);
	assert_int_equal(folded.of[DIMENSION_AUDIO_INPUT], 7);
	assert_int_equal(cost_of(&p, UNIT_MONEY, folded), cost_of(&p, UNIT_MONEY, said));
	p = priced(thinks, 3);
	folded = said;
	price_fold(&p, &folded);
	assert_int_equal(folded.of[DIMENSION_REASONING], 30);
	folded = said;
	price_fold(NULL, &folded);
	assert_int_equal(folded.of[DIMENSION_REASONING], 0);
}

/* The charge of the counts as they are and folded, in each tier. */
static void check_folding(const struct price *p, const char *text, const char *wanted)
{
	char folded_text[COUNTS_TEXT_MAX];
	struct counts said = {{0}}, folded;

	assert_int_equal(counts_read(&said, text, strlen(text)), 0);
	folded = said;
	price_fold(p, &folded);
	counts_format(&folded, (enum dimension)0, folded_text);
	assert_string_equal(folded_text, wanted);
	for (int tier = 0; tier < TIER_COUNT; tier++) {
		const struct price_use before = {&said, (enum service_tier)tier, ""};
		const struct price_use after = {&folded, (enum service_tier)tier, ""};
		struct price_charge a, b;

		assert_true(price_of_use(p, UNIT_CREDIT, &before, &a) && price_of_use(p, UNIT_CREDIT, &after, &b));
		assert_true(a.cost_micros == b.cost_micros && a.incomplete == b.incomplete && a.unpriced == b.unpriced);
	}
	price_fold(p, &folded);
	counts_format(&folded, (enum dimension)0, folded_text);
	assert_string_equal(folded_text, wanted);
}

static void test_folding_leaves_what_is_priced(void **state)
{
	static const struct price_line plain[] = {LINE(INPUT, STANDARD, 0, "", 1, 6),
	                                          LINE(INPUT, STANDARD, 10, "", 2, 6),
	                                          LINE(OUTPUT, BATCH, 0, "", 4, 6)};
	static const struct price_line many[] = {
		LINE(INPUT, STANDARD, 0, "", 1, 6), LINE(OUTPUT, STANDARD, 0, "", 4, 6),
		LINE(IMAGE_INPUT, BATCH, 0, "", 5, 6), LINE(REASONING, STANDARD, 0, "", 9, 6)};
	static const struct price_line paged[] = {LINE(PAGES, STANDARD, 0, "", 1, 3)};
	struct price p = PRICED(plain);

	(void)state;
	check_folding(&p, "imageInputTokens=11,reasoningTokens=3", "inputTokens=11,outputTokens=3");
	check_folding(&p, "inputTokens=1,outputTokens=2,imageInputTokens=11,reasoningTokens=3",
	              "inputTokens=12,outputTokens=5");
	/* Audio is dearer than text nearly always: nothing stands in for it quietly. */
	check_folding(&p, "audioInputTokens=1,audioCacheReadTokens=2,audioCacheWriteTokens=3,audioOutputTokens=4",
	              "audioInputTokens=1,audioCacheReadTokens=2,audioCacheWriteTokens=3,audioOutputTokens=4");
	check_folding(&p, "citationTokens=1,imageOutputTokens=2,videoOutputTokens=3,seconds=4.5,pages=5",
	              "citationTokens=1,imageOutputTokens=2,videoOutputTokens=3,seconds=4.5,pages=5");
	/* The caches are columns themselves. */
	check_folding(&p, "cacheReadTokens=1,cacheWriteTokens=2,cacheWrite1hTokens=3",
	              "cacheReadTokens=1,cacheWriteTokens=2,cacheWrite1hTokens=3");
	p = PRICED(many);
	check_folding(&p, "imageInputTokens=11,reasoningTokens=3", "imageInputTokens=11,reasoningTokens=3");
	p = PRICED(paged);
	check_folding(&p, "imageInputTokens=11,outputCharacters=4,inputImages=2",
	              "inputTokens=11,outputCharacters=4,inputImages=2");
}

static void test_parts(void **state)
{
	static const struct price_line own[] = {
		LINE(INPUT, STANDARD, 0, "", 15, 7),    LINE(OUTPUT, STANDARD, 0, "", 4, 6),
		LINE(OUTPUT, STANDARD, 100, "", 5, 6),  LINE(SECONDS, STANDARD, 0, "", 1, 4),
		LINE(REQUESTS, STANDARD, 0, "", 25, 7),
	};
	static const struct {
		enum dimension dimension;
		int64_t count;
		int line;
		bool incomplete;
		micros cost;
	} wanted[] = {
		{DIMENSION_INPUT, 101, 0, false, 151},          {DIMENSION_OUTPUT, 3, 2, false, 15},
		{DIMENSION_REASONING, 7, 2, false, 35},         {DIMENSION_CITATION, 1, 2, true, 5},
		{DIMENSION_OUTPUT_SECONDS, 33333, 3, false, 3}, {DIMENSION_PAGES, 2, -1, true, 0},
		{DIMENSION_REQUESTS, 1, 4, false, 2},
	};
	const struct counts c = {{[DIMENSION_INPUT] = 101,
	                          [DIMENSION_OUTPUT] = 3,
	                          [DIMENSION_REASONING] = 7,
	                          [DIMENSION_CITATION] = 1,
	                          [DIMENSION_OUTPUT_SECONDS] = 33333,
	                          [DIMENSION_PAGES] = 2,
	                          [DIMENSION_CHARACTERS] = 400}};
	const struct price_use use = {&c, TIER_STANDARD, ""};
	struct price p = PRICED(own);
	struct price_part parts[DIMENSION_COUNT];
	struct price_charge charge;
	micros sum = 0;

	(void)state;
	assert_true(price_of_use(&p, UNIT_MONEY, &use, &charge));
	assert_true(charge.incomplete && charge.unpriced);
	assert_int_equal(price_parts(&p, UNIT_MONEY, &use, parts), COUNT_OF(wanted));
	for (int i = 0; i < COUNT_OF(wanted); i++) {
		assert_int_equal(parts[i].dimension, wanted[i].dimension);
		assert_int_equal(parts[i].count, wanted[i].count);
		assert_ptr_equal(parts[i].line, wanted[i].line < 0 ? NULL : &lines[wanted[i].line]);
		assert_int_equal(parts[i].incomplete, wanted[i].incomplete);
		assert_int_equal(parts[i].cost_micros, wanted[i].cost);
		sum += parts[i].cost_micros;
	}
	/* 151.5 + 15 + 35 + 5 + 3.3333 + 2.5, rounded up. */
	assert_int_equal(sum, 211);
	assert_int_equal(charge.cost_micros, 213);
}

static void test_parts_that_are_left_out_or_free(void **state)
{
	static const struct price_line own[] = {LINE(INPUT, STANDARD, 0, "", 1, 6),
	                                        LINE(CHARACTERS, STANDARD, 0, "", 1, 6)};
	const struct counts c = {{[DIMENSION_INPUT] = 10, [DIMENSION_OUTPUT] = 3, [DIMENSION_CHARACTERS] = 40}};
	const struct counts nothing = {{0}};
	struct price p = PRICED(own);
	struct price_part parts[DIMENSION_COUNT];

	(void)state;
	assert_int_equal(price_parts(&p, UNIT_MONEY, &(struct price_use){&c, TIER_STANDARD, ""}, parts), 1);
	assert_int_equal(parts[0].dimension, DIMENSION_INPUT);
	assert_int_equal(price_parts(&p, UNIT_MONEY, &(struct price_use){&nothing, TIER_STANDARD, ""}, parts), 0);
}

static void test_what_a_price_lists(void **state)
{
	static const struct price_line painted[] = {LINE(IMAGES, STANDARD, 0, "", 4, 2),
	                                            LINE(PIXELS, FLEX, 0, "", 0, 0)};
	static const struct price_line free_of_charge[] = {LINE(INPUT, STANDARD, 0, "", 0, 0),
	                                                   LINE(SECONDS, BATCH, 0, "x", 0, 0)};
	static const struct price_line dear[] = {LINE(INPUT, STANDARD, 0, "", 3, 6), LINE(INPUT, STANDARD, 1, "", 1, 9),
	                                         LINE(OUTPUT, STANDARD, 0, "", 29, 7),
	                                         LINE(OUTPUT, BATCH, 0, "", 1, 0)};
	static const struct price_line equal[] = {LINE(INPUT, STANDARD, 0, "", 30, 7),
	                                          LINE(OUTPUT, STANDARD, 0, "", 3, 6)};
	static const struct price_line embeds[] = {LINE(INPUT, STANDARD, 0, "", 1, 6)};
	struct price p = PRICED(painted);

	(void)state;
	assert_true(price_lists(&p, DIMENSION_IMAGES) && price_lists(&p, DIMENSION_PIXELS));
	assert_false(price_lists(&p, DIMENSION_INPUT_IMAGES) || price_lists(&p, DIMENSION_SESSIONS));
	assert_false(price_has_tokens(&p) || price_is_free(&p) || price_input_is_dearer(&p));
	p = PRICED(free_of_charge);
	assert_true(!price_has_tokens(&p) && price_is_free(&p));
	p = PRICED(dear);
	assert_true(price_has_tokens(&p) && price_input_is_dearer(&p) && !price_is_free(&p));
	p = PRICED(equal);
	assert_false(price_input_is_dearer(&p));
	p = PRICED(embeds);
	assert_true(price_input_is_dearer(&p));
	p = gpt_4o();
	assert_false(price_input_is_dearer(&p));
}

/* Terms of 5 % on 1.08 dollars to the euro, and a cent to the credit. */
static void test_dollars_and_unit_prices_at_the_terms(void **state)
{
	struct price p = gpt_4o();
	micros cost = UNTOUCHED;
	int64_t pico = UNTOUCHED;
	const struct price_line finest = LINE(PIXELS, STANDARD, 0, "", 1, 18);
	const struct price_line most = LINE(PAGES, STANDARD, 0, "", 1000, 0);

	(void)state;
	assert_true(price_of_dollars(&p, UNIT_MONEY, INT64_C(1080000000000), &cost));
	assert_int_equal(cost, 1050000);
	assert_true(price_of_dollars(&p, UNIT_CREDIT, INT64_C(1080000000000), &cost));
	assert_int_equal(cost, 105000000);
	assert_true(price_of_dollars(&p, UNIT_MONEY, 1, &cost) && cost == 1);
	assert_true(price_of_dollars(&p, UNIT_MONEY, 0, &cost) && cost == 0);
	assert_true(price_of_dollars(&p, UNIT_MONEY, INT64_MAX, &cost));
	p.terms = (struct price_terms){PRICE_MARGIN_MAX_PPM, 1, 1};
	assert_false(price_of_dollars(&p, UNIT_CREDIT, INT64_MAX, &cost));
	p = gpt_4o();
	/* 2.5e-6 dollars x 1.05 / 1.08 = 2430555.56 pico-euros. */
	assert_true(price_unit_pico(&p, UNIT_MONEY, &lines[0], &pico));
	assert_int_equal(pico, 2430556);
	assert_true(price_unit_pico(&p, UNIT_CREDIT, &lines[0], &pico));
	assert_int_equal(pico, 243055556);
	assert_true(price_unit_pico(&p, UNIT_MONEY, &finest, &pico) && pico == 0);
	p.terms = (struct price_terms){1000000, 1000000, 1000000};
	assert_true(price_unit_pico(&p, UNIT_CREDIT, &most, &pico));
	assert_int_equal(pico, INT64_C(1000000000000000));
	/* A millionth of a pico-dollar, 500,000 times. */
	p.terms = (struct price_terms){500000000, 1000, 1000000};
	assert_true(price_unit_pico(&p, UNIT_MONEY, &finest, &pico) && pico == 1);
	p.terms.margin_ppm = 499999999;
	assert_true(price_unit_pico(&p, UNIT_MONEY, &finest, &pico) && pico == 0);
	p.terms = (struct price_terms){PRICE_MARGIN_MAX_PPM, 1, 1};
	assert_false(price_unit_pico(&p, UNIT_CREDIT, &most, &pico));
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
	assert_int_equal(fit(&p, UNIT_MONEY, 500, 2000, 20660), 2000);
	assert_int_equal(fit(&p, UNIT_MONEY, 500, 2000, 20659), 1999);
	assert_int_equal(fit(&p, UNIT_MONEY, 500, 2000, 1216), 0);
	assert_int_equal(fit(&p, UNIT_MONEY, 500, 2000, 1215), -1);
	assert_int_equal(fit(&p, UNIT_MONEY, 0, 2000, -1), -1);
	assert_int_equal(fit(&p, UNIT_MONEY, 0, INT64_MAX, INT64_MAX), COUNTS_MAX);
	assert_int_equal(fit(&p, UNIT_MONEY, COUNTS_MAX + 1, 1, INT64_MAX), -1);
	lines[4].mantissa = 0;
	assert_int_equal(fit(&p, UNIT_MONEY, 0, 2000, 0), 2000);
}

/* The fit of text, tier and variant, and the one found by trying each number. */
static void check_fit(const struct price *p, const char *text, enum service_tier tier, const char *variant,
                      micros available, int64_t wanted)
{
	struct counts c = {{0}};
	const struct price_use use = {&c, tier, variant};
	struct price_charge charge;
	int64_t best = -1;

	assert_int_equal(counts_read(&c, text, strlen(text)), 0);
	for (int64_t output = 0; output <= 300; output++) {
		c.of[DIMENSION_OUTPUT] = output;
		assert_true(price_of_use(p, UNIT_MONEY, &use, &charge));
		if (charge.cost_micros <= available)
			best = output;
		else if (output == 0)
			break;
	}
	assert_int_equal(best, wanted);
	for (int64_t own = 0; own <= 200; own += 100) {
		c.of[DIMENSION_OUTPUT] = own; /* not looked at */
		assert_int_equal(price_fit_output(p, UNIT_MONEY, &use, 300, available), wanted);
	}
}

static void test_fit_beside_other_counts(void **state)
{
	static const struct price_line own[] = {
		LINE(INPUT, STANDARD, 0, "", 1, 6),     LINE(OUTPUT, STANDARD, 0, "", 4, 6),
		LINE(OUTPUT, STANDARD, 1000, "", 8, 6), LINE(OUTPUT, BATCH, 0, "", 2, 6),
		LINE(OUTPUT, STANDARD, 0, "x", 10, 6),  LINE(REASONING, STANDARD, 0, "", 9, 6),
		LINE(REQUESTS, STANDARD, 0, "", 1, 4),
	};
	static const struct price_line embeds[] = {LINE(INPUT, STANDARD, 0, "", 1, 6)};
	struct price p = PRICED(own);

	(void)state;
	/* A request of 100 micros, and 4 for each token. */
	check_fit(&p, "", TIER_STANDARD, "", 500, 100);
	check_fit(&p, "", TIER_STANDARD, "", 503, 100);
	check_fit(&p, "", TIER_STANDARD, "", 100, 0);
	check_fit(&p, "", TIER_STANDARD, "", 99, -1);
	check_fit(&p, "", TIER_STANDARD, "x", 500, 40);
	check_fit(&p, "", TIER_BATCH, "", 500, 200);
	check_fit(&p, "", TIER_FLEX, "", 500, 100);
	check_fit(&p, "requests=3", TIER_STANDARD, "", 500, 50);
	check_fit(&p, "inputTokens=1000", TIER_STANDARD, "", 1500, 100);
	check_fit(&p, "inputTokens=1001", TIER_STANDARD, "", 1501, 50);
	check_fit(&p, "reasoningTokens=10", TIER_STANDARD, "", 500, 77);
	check_fit(&p, "pages=7", TIER_STANDARD, "", 500, 100);
	check_fit(&p, "outputTokens=250", TIER_STANDARD, "", 500, 100);
	/* Output of a model that has none costs nothing. */
	p = PRICED(embeds);
	check_fit(&p, "inputTokens=5", TIER_STANDARD, "", 5, 300);
	check_fit(&p, "inputTokens=6", TIER_STANDARD, "", 5, -1);
}

static void test_fit_where_128_bits_end(void **state)
{
	struct price p = gpt_4o();

	(void)state;
	p.terms = (struct price_terms){1, PRICE_RATE_MAX_PPM, PRICE_RATE_MAX_PPM};
	assert_int_equal(fit(&p, UNIT_CREDIT, 1, 5, MONEY_AMOUNT_MAX_MICROS), 5);
	p.terms = (struct price_terms){PRICE_MARGIN_MAX_PPM, PRICE_RATE_MAX_PPM, PRICE_RATE_MAX_PPM};
	assert_int_equal(fit(&p, UNIT_CREDIT, COUNTS_MAX, COUNTS_MAX, INT64_MAX), COUNTS_MAX);
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
	bad = good, bad.line_count = 0;
	assert_false(price_valid(&bad));
	bad = good, bad.line_count = 6; /* the sixth is not behind the fifth */
	assert_false(price_valid(&bad));
	lines[4].mantissa = -1;
	assert_false(price_valid(&good));
	lines[4].mantissa = INT64_C(1000000000000001);
	assert_false(price_valid(&good));
	lines[4].mantissa = INT64_C(1000000000000000);
	assert_true(price_valid(&good));
	lines[4].variant[0] = ' ';
	assert_false(price_valid(&good));
	lines[4].variant[0] = '"';
	assert_false(price_valid(&good));
	lines[4].variant[0] = 'x';
	assert_true(price_valid(&good));
	bad = good, bad.kind = PRICE_ACTION;
	assert_false(price_valid(&bad));
	good = action(0);
	assert_true(price_valid(&good));
	good.credits_micros = -1;
	assert_false(price_valid(&good));
}

static void test_lines_are_read_as_they_were_written(void **state)
{
	struct price_line back[PRICE_LINES_MAX];
	struct price p = gpt_4o();
	struct buf text;

	(void)state;
	for (int i = 5; i < 40; i++)
		lines[i] = (struct price_line){DIMENSION_IMAGES, TIER_FLEX,      i * 1000,
		                               "1024x1024/high", INT64_MAX / 10, 18};
	p.line_count = 40;
	assert_true(price_valid(&p));
	buf_init(&text, 16384);
	price_write_lines(&p, &text);
	assert_true(buf_ok(&text));
	assert_int_equal(price_read_lines(buf_text(&text), text.length, back), 40);
	assert_memory_equal(back, lines, 40 * sizeof(lines[0]));
	for (size_t cut = 0; cut < text.length; cut++)
		assert_int_equal(price_read_lines(buf_text(&text), cut, back), -1);
	buf_free(&text);
}

/* Each dimension in each tier: as many lines as there may be, and one more. */
static void test_as_many_lines_as_are_kept(void **state)
{
	struct price_line back[PRICE_LINES_MAX];
	struct price p = gpt_4o();
	struct buf text;

	(void)state;
	_Static_assert(DIMENSION_COUNT * TIER_OTHER <= PRICE_LINES_MAX, "a model may list all dimensions in all tiers");
	for (int i = 0; i < PRICE_LINES_MAX; i++)
		lines[i] = (struct price_line){(enum dimension)(i / TIER_OTHER % DIMENSION_COUNT),
		                               (enum service_tier)(i % TIER_OTHER),
		                               i,
		                               "",
		                               i,
		                               i % (PRICE_SCALE_MAX + 1)};
	price_sort(lines, PRICE_LINES_MAX);
	p.line_count = PRICE_LINES_MAX;
	assert_true(price_valid(&p));
	buf_init(&text, 16384);
	price_write_lines(&p, &text);
	assert_int_equal(price_read_lines(buf_text(&text), text.length, back), PRICE_LINES_MAX);
	assert_memory_equal(back, lines, sizeof(back));
	text.length--; /* the bracket */
	buf_add_text(&text, ",[\"sessions\",\"priority\",1000000000,\"z\",1,6]]");
	assert_true(buf_ok(&text));
	assert_int_equal(price_read_lines(buf_text(&text), text.length, back), -1);
	p.line_count = PRICE_LINES_MAX + 1;
	assert_false(price_valid(&p));
	buf_free(&text);
}

static void test_order_of_lines(void **state)
{
	static const struct price_line sorted[] = {
		LINE(INPUT, STANDARD, 0, "", 9, 6),  LINE(INPUT, STANDARD, 5, "", 8, 6),
		LINE(INPUT, STANDARD, 0, "a", 7, 6), LINE(INPUT, STANDARD, 1, "b", 6, 6),
		LINE(INPUT, BATCH, 0, "", 5, 6),     LINE(OUTPUT, STANDARD, 0, "", 4, 6),
		LINE(OUTPUT, PRIORITY, 0, "", 3, 6), LINE(SESSIONS, STANDARD, 0, "", 2, 6),
	};
	struct price p = gpt_4o();

	(void)state;
	for (int i = 0; i < COUNT_OF(sorted); i++)
		lines[i] = sorted[i * 3 % 8];
	p.line_count = COUNT_OF(sorted);
	assert_false(price_valid(&p));
	price_sort(lines, COUNT_OF(sorted));
	assert_memory_equal(lines, sorted, sizeof(sorted));
	assert_true(price_valid(&p));
	/* Two of one place are no price. */
	lines[1] = lines[0];
	lines[1].mantissa = 1;
	assert_false(price_valid(&p));
	lines[1].above_tokens = 1;
	assert_true(price_valid(&p));
}

static void test_what_a_line_may_not_be(void **state)
{
	static const struct price_line bad[] = {
		{DIMENSION_COUNT, TIER_STANDARD, 0, "", 1, 6}, {DIMENSION_INPUT, TIER_COUNT, 0, "", 1, 6},
		{DIMENSION_INPUT, TIER_OTHER, 0, "", 1, 6},    LINE(INPUT, STANDARD, -1, "", 1, 6),
		LINE(INPUT, STANDARD, 0, "a\tb", 1, 6),        LINE(INPUT, STANDARD, 0, "a\\b", 1, 6),
		LINE(INPUT, STANDARD, 0, "\xc3\xa9", 1, 6),    LINE(INPUT, STANDARD, 0, "", -1, 6),
		LINE(INPUT, STANDARD, 0, "", 1, -1),           LINE(INPUT, STANDARD, 0, "", 1, 19),
		LINE(INPUT, STANDARD, 0, "", 1001, 0),         LINE(INPUT, STANDARD, 0, "", 1000001, 3),
	};
	struct price p = gpt_4o();

	(void)state;
	for (int i = 0; i < COUNT_OF(bad); i++) {
		p.lines = &bad[i];
		p.line_count = 1;
		assert_false(price_valid(&p));
	}
	p = gpt_4o();
	p.line_count = 1;
	memset(lines[0].variant, 'v', sizeof(lines[0].variant));
	assert_false(price_valid(&p));
	lines[0].variant[PRICE_VARIANT_MAX - 1] = '\0';
	assert_true(price_valid(&p));
	p.lines = NULL;
	assert_false(price_valid(&p));
}

static void test_other_lines_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"[]",
		"[[]]",
		"[[\"inputTokens\",\"standard\",0,\"\",1]]",
		"[[\"beads\",\"standard\",0,\"\",1,6]]",
		"[[\"inputTokens\",\"soon\",0,\"\",1,6]]",
		"[[\"inputTokens\",\"standard\",-1,\"\",1,6]]",
		"[[\"inputTokens\",\"standard\",0,\"\",1,19]]",
		"[[\"inputTokens\",\"standard\",0,\"a b\",1,6]]",
		"[[\"inputTokens\",\"standard\",0,\"\",1001,0]]",
		"[[\"inputTokens\",\"standard\",0,\"\",1,6]] ",
		"[[\"inputTokens\",\"standard\",0,\"\",01,6]]",
		"[[\"inputTokens\",\"standard\",0,\"\",1,6],]",
		"[[\"inputTokens\",\"standard\",0,\"\",-1,6]]",
		"[[\"inputTokens\",\"standard\",0,\"\",1,-6]]",
		"[[\"inputTokens\",\"standard\",0,\"\",1.0,6]]",
		"[[\"inputTokens\",\"standard\",0,\"\",\"1\",6]]",
		"[[\"inputTokens\",\"standard\",0,\"\",1,6,7]]",
		"[ [\"inputTokens\",\"standard\",0,\"\",1,6]]",
		"[[\"inputTokens\",\"standard\",0, \"\",1,6]]",
		"[[\"InputTokens\",\"standard\",0,\"\",1,6]]",
		"[[\"inputTokens\",\"\",0,\"\",1,6]]",
		"[[\"\",\"standard\",0,\"\",1,6]]",
		"[[inputTokens,\"standard\",0,\"\",1,6]]",
		"[[\"inputTokens\",\"standard\",0,\"\",,6]]",
		"[[\"inputTokens\",\"standard\",0,\"a\\\"b\",1,6]]",
		"[[\"inputTokens\",\"standard\",0,\"a,1,6]]",
		"[[\"inputTokens\",\"standard\",9223372036854775808,\"\",1,6]]",
		"[[\"inputTokens\",\"standard\",0,\"\",9223372036854775808,18]]",
		"[[\"inputTokens\",\"standard\",0,\"\",1000000000000000001,15]]",
		"[[\"inputTokens\",\"standard\",0,\"012345678901234567890123456789012345678901234567\",1,6]]",
		"[[0,2500000,1250000,2500000,2500000,10000000]]",
	};
	struct price_line back[PRICE_LINES_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(price_read_lines(texts[i], strlen(texts[i]), back), -1);
}

static void test_tiers_of_before_are_read(void **state)
{
	static const char *const wrong[] = {
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
		"[[0,1,2,3,4,5],]",
		"[[0,1,2,3,4,\"5\"]]",
		"[[0,1,2,3,4,18446744073709551617]]",
		"[[0,1,2,3,4,5]]]",
	};
	static const char text[] = "[[0,2500000,1250000,2500000,2500000,10000000],[200000,5,6,7,8,9]]";
	struct price_line back[PRICE_LINES_MAX];

	(void)state;
	assert_int_equal(price_read_tiers(text, strlen(text), back), 10);
	assert_int_equal(back[0].dimension, DIMENSION_INPUT);
	assert_true(back[0].mantissa == 25 && back[0].scale == 7 && back[0].above_tokens == 0);
	assert_true(back[1].mantissa == 5 && back[1].scale == 12 && back[1].above_tokens == 200000);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(price_read_tiers(wrong[i], strlen(wrong[i]), back), -1);
}

/* The lines mean what the tiers meant: the same tokens cost the same. */
static void test_tiers_of_before_cost_as_before(void **state)
{
	static const char text[] = "[[0,2500000,1250000,2500001,2500002,10000000],[200000,5000000,0,7,8,15000000],"
				   "[2000000000,1,2,3,4,5]]";
	struct price p = gpt_4o();

	(void)state;
	p.line_count = price_read_tiers(text, strlen(text), lines);
	assert_int_equal(p.line_count, 15);
	assert_true(price_valid(&p));
	p.terms = (struct price_terms){1000000, 1000000, 1000000};
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct counts){{100000, 50000, 49999, 1, 1000}}),
	                 250000 + 62500 + 124998 + 3 + 10000);
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct counts){{100001, 50000, 49999, 1, 1000}}), 500005 + 1 + 15000);
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct counts){{COUNTS_MAX, 0, COUNTS_MAX, 0, 0}}), 5000007000);
	assert_int_equal(cost_of(&p, UNIT_MONEY, (struct counts){{COUNTS_MAX, 0, COUNTS_MAX, 1, 0}}), 4001);
}

static void test_as_many_tiers_as_were_kept(void **state)
{
	struct price_line back[PRICE_LINES_MAX];
	const int most = PRICE_LINES_MAX / DIMENSION_COLUMNS;
	struct buf text;

	(void)state;
	buf_init(&text, 16384);
	for (int count = most; count <= most + 1; count++) {
		buf_reset(&text);
		for (int i = 0; i < count; i++)
			buf_printf(&text, "%c[%d,1,2,3,4,1000000000000000]", i == 0 ? '[' : ',', i * 1000);
		buf_add_char(&text, ']');
		assert_int_equal(price_read_tiers(buf_text(&text), text.length, back),
		                 count == most ? most * DIMENSION_COLUMNS : -1);
	}
	for (size_t cut = 0; cut < 40; cut++)
		assert_int_equal(price_read_tiers(buf_text(&text), cut, back), -1);
	buf_free(&text);
	assert_int_equal(price_read_tiers("[[0,1,2,3,4,1000000000000001]]", 30, back), -1);
	assert_int_equal(price_read_tiers("[[-1,1,2,3,4,5]]", 16, back), -1);
}

static void test_dollars(void **state)
{
	static const struct {
		const char *text;
		int shift;
		bool round;
		int64_t mantissa;
		int scale;
	} good[] = {
		{"1.59263611e-07", 0, false, 159263611, 15},
		{"0.04", 0, false, 4, 2},
		{"1000", 0, false, 1000, 0},
		{"2.50", 6, false, 25, 7},
		{"0", 0, false, 0, 0},
		{"1000000000", 6, false, 1000, 0},
		{"0.0000000000000000005", 0, true, 1, 18},
		{"5e-18", 0, false, 5, 18},
		{"1e3", 0, false, 1000, 0},
		/* 18 digits, and more of them. */
		{"0.123456789012345678", 0, false, 123456789012345678, 18},
		{"0.1234567890123456785", 0, true, 123456789012345679, 18},
		{"0.12345678901234567849999", 0, true, 123456789012345678, 18},
		{"4.9e-19", 0, true, 0, 0},
		{"9.99999999999999999e-1", 0, false, 999999999999999999, 18},
		{"0.9999999999999999995", 0, true, 1, 0},
		{"0.000000000000000000", 0, false, 0, 0},
		/* As many digits as fit: 10 dollars have 17 decimals, 1,000 have 15. */
		{"9.223372036854775807", 0, false, INT64_MAX, 18},
		{"12.34567890123456789", 0, false, 1234567890123456789, 17},
		{"12.345678901234567894", 0, true, 1234567890123456789, 17},
		{"999.9999999999999999", 0, true, 1000, 0},
		{"999.999999999999999", 0, false, 999999999999999999, 15},
		{"1000.000", 0, false, 1000, 0},
		{"-0", 0, false, 0, 0},
		/* Dollars for a million. */
		{"0.000000000001", 6, false, 1, 18},
		{"0.0000000000005", 6, true, 1, 18},
		{"1e9", 6, false, 1000, 0},
		{"0.1", 6, false, 1, 7},
	};
	static const struct {
		const char *text;
		int shift;
		bool round;
	} bad[] = {
		{"0.0000000000000000005", 0, false},
		{"-1", 0, true},
		{"1001", 0, true},
		{"x", 0, true},
		{"", 0, true},
		{"1e9", 0, true},
		{"1.0000000000001", 6, false},
		{"1000.1", 0, true},
		{"1000.000000000001", 0, true},
		{"-0.1", 0, true},
		{"-5e-19", 0, true},
		{"1000000000.1", 6, true},
		{"1e19", 6, true},
		{".5", 0, true},
		{"5.", 0, true},
		{" 1", 0, true},
		{"1 ", 0, true},
		{"0x10", 0, true},
		{"nan", 0, true},
		{"1,5", 0, true},
		{"99999999999999999999", 0, true},
		{"9.2233720368547758071", 0, false},
	};
	struct price_line line;

	(void)state;
	for (int i = 0; i < COUNT_OF(good); i++) {
		if (price_read_dollars(good[i].text, strlen(good[i].text), good[i].shift, good[i].round, &line) != 0)
			fail_msg("%s: refused", good[i].text);
		if (line.mantissa != good[i].mantissa || line.scale != good[i].scale)
			fail_msg("%s: %lld, %d", good[i].text, (long long)line.mantissa, line.scale);
	}
	for (int i = 0; i < COUNT_OF(bad); i++)
		if (price_read_dollars(bad[i].text, strlen(bad[i].text), bad[i].shift, bad[i].round, &line) != -1)
			fail_msg("%s: read", bad[i].text);
}

static void test_dollars_are_written_as_they_are_read(void **state)
{
	static const struct {
		struct price_line line;
		int shift;
		const char *text;
	} cases[] = {
		{LINE(INPUT, STANDARD, 0, "", 25, 7), 6, "2.5"},
		{LINE(INPUT, STANDARD, 0, "", 25, 7), 0, "0.0000025"},
		{LINE(INPUT, STANDARD, 0, "", 0, 0), 6, "0"},
		{LINE(INPUT, STANDARD, 0, "", 1000, 0), 6, "1000000000"},
		{LINE(INPUT, STANDARD, 0, "", 1, 18), 0, "0.000000000000000001"},
		{LINE(INPUT, STANDARD, 0, "", 1, 18), 6, "0.000000000001"},
		{LINE(IMAGES, STANDARD, 0, "", 4, 2), 0, "0.04"},
		{LINE(PAGES, STANDARD, 0, "", 15, 1), 6, "1500000"},
		{LINE(INPUT, STANDARD, 0, "", INT64_MAX, 18), 0, "9.223372036854775807"},
	};

	(void)state;
	for (int i = 0; i < COUNT_OF(cases); i++) {
		struct price_line back = cases[i].line;
		struct buf text;

		buf_init(&text, 64);
		price_put_dollars(&text, &cases[i].line, cases[i].shift);
		assert_string_equal(buf_text(&text), cases[i].text);
		assert_int_equal(price_read_dollars(buf_text(&text), text.length, cases[i].shift, false, &back), 0);
		assert_true(back.mantissa == cases[i].line.mantissa && back.scale == cases[i].line.scale);
		buf_free(&text);
	}
}

static void price_an_action_as_tokens(void)
{
	struct price p = action(1);

	(void)!is_counted(&p, UNIT_MONEY, 1);
}

static void price_without_terms(void)
{
	struct price p = gpt_4o();

	p.terms.rate_ppm = 0;
	(void)!is_counted(&p, UNIT_MONEY, 1);
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
		cmocka_unit_test(test_tiers_and_stand_ins),
		cmocka_unit_test(test_sides_without_a_price),
		cmocka_unit_test(test_variants),
		cmocka_unit_test(test_alternatives_are_not_added),
		cmocka_unit_test(test_thresholds_are_of_each_line),
		cmocka_unit_test(test_thresholds_without_a_base),
		cmocka_unit_test(test_reasoning_in_tiers),
		cmocka_unit_test(test_thresholds_in_tiers_and_variants),
		cmocka_unit_test(test_natural_stand_ins),
		cmocka_unit_test(test_durations_stand_in_for_one_another),
		cmocka_unit_test(test_the_dearest_of_a_side_stands_in),
		cmocka_unit_test(test_models_without_an_output),
		cmocka_unit_test(test_what_has_no_price_of_its_kind),
		cmocka_unit_test(test_a_request_is_implied),
		cmocka_unit_test(test_each_alternative),
		cmocka_unit_test(test_what_covers_has_a_price_itself),
		cmocka_unit_test(test_fractions_of_seconds_and_of_micros),
		cmocka_unit_test(test_folding_keeps_the_charge),
		cmocka_unit_test(test_folding_leaves_what_is_priced),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_parts_that_are_left_out_or_free),
		cmocka_unit_test(test_what_a_price_lists),
		cmocka_unit_test(test_dollars_and_unit_prices_at_the_terms),
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_fit),
		cmocka_unit_test(test_fit_beside_other_counts),
		cmocka_unit_test(test_fit_where_128_bits_end),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_what_is_valid),
		cmocka_unit_test(test_lines_are_read_as_they_were_written),
		cmocka_unit_test(test_as_many_lines_as_are_kept),
		cmocka_unit_test(test_order_of_lines),
		cmocka_unit_test(test_what_a_line_may_not_be),
		cmocka_unit_test(test_other_lines_are_refused),
		cmocka_unit_test(test_tiers_of_before_are_read),
		cmocka_unit_test(test_tiers_of_before_cost_as_before),
		cmocka_unit_test(test_as_many_tiers_as_were_kept),
		cmocka_unit_test(test_dollars),
		cmocka_unit_test(test_dollars_are_written_as_they_are_read),
		cmocka_unit_test(test_bugs_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
