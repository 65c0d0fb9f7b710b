/* A document: what was read can be written and read again, and says the same; a provider's usage object in it. */
#include "fuzz.h"

#include "base/json.h"
#include "prices/usage.h"

static void check_usage(const struct json *j)
{
	bool counted;
	struct usage u;

	if (usage_read(j, &u) != 0) {
		MUST(u.field[0] != '\0');
		return;
	}
	MUST(counts_valid(&u.counts) && u.tier < TIER_COUNT && price_variant_valid(u.variant) && u.cost_pico >= 0);
	counted = counts_any(&u.counts);
	MUST(counted == u.counted && u.rest >= 0 && (counted || (u.rest == 0 && !u.no_input)));
	MUST(!u.no_input || u.counts.of[DIMENSION_INPUT] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	char error[JSON_ERROR_MAX];
	char *text = fuzz_text(bytes, length);
	struct json *j = json_parse(text, length, length % 2 == 1, error), *again;
	struct buf once, twice;

	if (j != NULL) {
		buf_init(&once, 1 << 20);
		buf_init(&twice, 1 << 20);
		json_dump(j, &once);
		again = json_parse(buf_text(&once), once.length, length % 2 == 1, error);
		MUST(again != NULL);
		json_dump(again, &twice);
		MUST(strcmp(buf_text(&once), buf_text(&twice)) == 0);
		if (length % 2 == 0)
			check_usage(j);
		json_free(again);
		buf_free(&once);
		buf_free(&twice);
	}
	json_free(j);
	free(text);
	return 0;
}
