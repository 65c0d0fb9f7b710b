/* A price list: every price that is taken is one that may be used; and prices.tiers as the database may hold them. */
#include "fuzz.h"

#include "prices/pricelist.h"

/* Nothing costs nothing, more never costs less, and what a cost comes to is an amount. */
static void check_cost(const struct price *p)
{
	static const int64_t counts[] = {0, 1, 999, 128000, 200001, 5000000};
	const int64_t none = 0;

	for (int unit = UNIT_MONEY; unit <= UNIT_CREDIT; unit++)
		for (int c = 0; c < PRICE_CLASSES; c++) {
			micros before = none;

			for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
				struct tokens t = {{0}};
				micros cost = -1;

				t.count[c] = counts[i];
				if (!price_of_tokens(p, (enum account_unit)unit, &t, &cost))
					break;
				MUST(cost >= 0 && cost <= MONEY_AMOUNT_MAX_MICROS && (i > 0 || cost == 0));
				/* A tier above may be cheaper, and then all tokens are. */
				MUST(p->tier_count > 1 || cost >= before);
				before = cost;
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

static void read_tiers(const char *text, size_t length)
{
	struct price p = {.kind = PRICE_MODEL};
	struct buf out;

	if (price_read_tiers(&p, text, length) != 0)
		return;
	buf_init(&out, 1 << 16);
	price_write_tiers(&p, &out);
	MUST(out.length == length && memcmp(buf_text(&out), text, length) == 0);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	char error[JSON_ERROR_MAX];
	struct pricelist_counts counts = {0};
	char *text = fuzz_text(bytes, length);

	(void)pricelist_read(text, length, visit, NULL, &counts, error);
	read_tiers(text, length);
	free(text);
	return 0;
}
