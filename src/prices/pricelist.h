/*
 * pricelist: reads LiteLLM's model_prices_and_context_window.json.  Each entry becomes a price
 * exactly as listed, or is refused with a reason; none is guessed.  Prices are read from their
 * decimal text, to 10^-12 dollars; digits beyond that are float noise, and are rounded.  Pure.
 *
 * How an entry is read (LiteLLM, litellm_core_utils/llm_cost_calc/utils.py and tiered_pricing.py):
 *   - tiers are `<field>_above_<N>k_tokens`, N of any size; the whole request is priced by the
 *     highest one below its input.  A price that a tier does not list is the base's.  xAI's
 *     thresholds are inclusive.
 *   - `tiered_pricing` wins over all of them; it may leave the output price to the entry.
 *   - a missing price for cache reads or writes is the tier's input price; a missing price for
 *     writes of an hour is the tier's price for writes.  A cache price listed as 0 is 0.
 *   - an embedding has no output; a missing output price is 0 there.
 *   - `_batches`, `_flex`, `_priority` and off-peak prices are other services and are not read;
 *     prices per image, second, search or audio token are not kept: such tokens count as text
 *     (other_prices).
 */
#ifndef OCTROI_PRICES_PRICELIST_H
#define OCTROI_PRICES_PRICELIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "prices/price.h"

enum pricelist_reason {
	PRICELIST_ACCEPTED,
#define REASON(NAME, name, sentence) PRICELIST_##NAME,
#include "prices/pricelist_reasons.def"
#undef REASON
	PRICELIST_REASON_COUNT
};

struct pricelist_entry {
	const char *item;
	enum pricelist_reason reason;
	const char *field;         /* the list's field that the reason is about; "" when there is none */
	const struct price *price; /* without version, start and terms; NULL when refused */
	bool other_prices;         /* the entry lists prices that are not kept */
};

struct pricelist_counts {
	int64_t entries;                        /* the sum of reason[] */
	int64_t reason[PRICELIST_REASON_COUNT]; /* [PRICELIST_ACCEPTED]: accepted entries */
	int64_t other_prices;                   /* accepted entries with other_prices */
};

/* Visits every entry in order until visit returns a number over 0, and returns that number; otherwise
 * 0.  Returns -1, with a sentence in error, when the bytes are no such list.  An entry lives until
 * visit returns.  Skipped: sample_spec, fallback_generalizations and top-level values that are no
 * record. */
int pricelist_read(const char *bytes, size_t length,
                   int (*visit)(void *context, const struct pricelist_entry *entry), void *context,
                   struct pricelist_counts *counts, char error[JSON_ERROR_MAX]);

const char *pricelist_reason_name(enum pricelist_reason reason);     /* "accepted", "mode", … */
const char *pricelist_reason_sentence(enum pricelist_reason reason); /* "" when accepted */

#endif
