/*
 * sentence: what handlers say to people, in English and French: sentences.def.
 */
#ifndef OCTROI_ROUTES_API_SENTENCE_H
#define OCTROI_ROUTES_API_SENTENCE_H

#include <stdbool.h>

#include "base/buf.h"

enum sentence {
#define SENTENCE(NAME, english, french) SENTENCE_##NAME,
#include "routes/api/sentences.def"
#undef SENTENCE
	SENTENCE_COUNT
};

/* Of a sentence that has no values. */
const char *sentence_text(enum sentence s, bool french);
/* Each % of the sentence is the next of as many values, which end with NULL. */
void sentence_put(struct buf *out, enum sentence s, bool french, const char *const *values);
/* The same for one value, into out, whose size is enough for both. */
void sentence_fill(enum sentence s, bool french, const char *value, char *out, size_t size);

#endif
