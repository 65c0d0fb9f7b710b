/*
 * pricelist: reads LiteLLM's model_prices_and_context_window.json.  Each entry becomes a price exactly as listed, or is
 * refused with a reason; none is guessed.  Prices are read from their decimal text, to 10^-18 dollars.  Pure.
 *
 * How an entry is read (LiteLLM, litellm_core_utils/llm_cost_calc/utils.py and tiered_pricing.py):
 *   - pricelist_fields.def maps each field to a dimension.  Endings name a threshold (`_above_<N>k_tokens`), a service
 *     tier (`_batches`, `_flex`, `_priority`) or a variant (`_1080p`, `_above_8s_interval`).  xAI's thresholds are
 *     inclusive.
 *   - `tiered_pricing` replaces the prices of the same fields; it may leave the output price to the entry.
 *   - `search_context_cost_per_query` prices searches by context; medium is the default.
 *   - a listed 0 is a price where it is of tokens.  Elsewhere it says that the list does not know one.
 *   - image models have their sizes and qualities in the names of entries ("high/1024-x-1024/gpt-image-1"); these are
 *     variants of the model, and models as well.
 * A field that prices something and is not read is named in the entry's unused fields.
 */
#ifndef OCTROI_PRICES_PRICELIST_H
#define OCTROI_PRICES_PRICELIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "prices/price.h"

#define PRICELIST_UNUSED_MAX 8 /* of one entry; further ones are not named */

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
	const char *field;                        /* the list's field that the reason is about; "" when there is none */
	const struct price *price;                /* without version, start and terms; NULL when refused */
	const char *unused[PRICELIST_UNUSED_MAX]; /* fields with a price that is not read */
	int unused_count;
	bool made; /* the list has variants of this model alone, and no entry of its own */
};

struct pricelist_counts {
	int64_t entries;                        /* the sum of reason[] */
	int64_t reason[PRICELIST_REASON_COUNT]; /* [PRICELIST_ACCEPTED]: accepted entries */
	int64_t made;                           /* models that are made of variants; not among the entries */
};

/* Visits every entry in order until visit returns a number over 0, and returns that number; otherwise
 * 0.  Returns -1, with a sentence in error, when the bytes are no such list.  An entry lives until
 * visit returns.  Skipped: sample_spec, fallback_generalizations and top-level values that are no
 * record. */
int pricelist_read(const char *bytes, size_t length, int (*visit)(void *context, const struct pricelist_entry *entry),
                   void *context, struct pricelist_counts *counts, char error[JSON_ERROR_MAX]);

const char *pricelist_reason_name(enum pricelist_reason reason);     /* "accepted", "mode", … */
const char *pricelist_reason_sentence(enum pricelist_reason reason); /* "" when accepted */

#endif
