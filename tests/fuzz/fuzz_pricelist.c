/* A price list: every price that is taken is one that may be used; and lines and tiers as the database may hold them. */
#include "fuzz.h"

#include "prices/pricelist.h"

/* Nothing costs nothing but the price of a request, more never costs less but for a threshold, and a cost is an amount. */
static void check_cost(const struct price *p)
{
	static const int64_t counts[] = {0, 1, 999, 128000, 200001, 5000000};
	bool thresholds = false;

	for (int i = 0; i < p->line_count; i++)
		thresholds = thresholds || p->lines[i].above_tokens > 0;
	for (int at = 0; at < DIMENSION_COUNT * TIER_COUNT; at++) {
		micros before = 0;

		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			struct counts c = {{0}};
			const struct price_use use = {&c, (enum service_tier)(at % TIER_COUNT),
			                              at % 3 == 0 ? "1080p" : ""};
			struct price_part parts[DIMENSION_COUNT];
			struct price_charge charge;
			micros sum = 0;
			int count;

			c.of[at / TIER_COUNT] = counts[i];
			if (!price_of_use(p, at % 2 == 0 ? UNIT_MONEY : UNIT_CREDIT, &use, &charge))
				break;
			MUST(charge.cost_micros >= 0 && charge.cost_micros <= MONEY_AMOUNT_MAX_MICROS);
			MUST(i > 0 || charge.cost_micros == 0 || price_lists(p, DIMENSION_REQUESTS));
			/* A threshold may be cheaper, and then all tokens are; a counted request replaces the one that is implied. */
			MUST(thresholds || at / TIER_COUNT == DIMENSION_REQUESTS || charge.cost_micros >= before);
			count = price_parts(p, at % 2 == 0 ? UNIT_MONEY : UNIT_CREDIT, &use, parts);
			for (int k = 0; k < count; k++)
				sum += parts[k].cost_micros;
			MUST(sum <= charge.cost_micros && charge.cost_micros - sum <= count);
			before = charge.cost_micros;
		}
	}
}

static int visit(void *context, const struct pricelist_entry *e)
{
	(void)context;
	MUST((e->price != NULL) == (e->reason == PRICELIST_ACCEPTED));
	if (e->price != NULL) {
		struct price p = *e->price;

		p.terms = (struct price_terms){1050000, 1080000, 10000};
		MUST(price_valid(&p));
		check_cost(&p);
	}
	return 0;
}

/* The two forms of the database. */
static void read_stored(const char *text, size_t length)
{
	static struct price_line lines[PRICE_LINES_MAX];
	struct price p = {
		.kind = PRICE_MODEL, .item = "m", .provider = "p", .terms = {1050000, 1080000, 10000}, .lines = lines};
	struct buf out;

	(void)price_read_tiers(text, length, lines);
	p.line_count = price_read_lines(text, length, lines);
	if (p.line_count < 0)
		return;
	buf_init(&out, 1 << 16);
	price_write_lines(&p, &out);
	MUST(out.length == length && memcmp(buf_text(&out), text, length) == 0);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	char error[JSON_ERROR_MAX];
	struct pricelist_counts counts = {0};
	char *text = fuzz_text(bytes, length);

	(void)pricelist_read(text, length, visit, NULL, &counts, error);
	read_stored(text, length);
	free(text);
	return 0;
}
