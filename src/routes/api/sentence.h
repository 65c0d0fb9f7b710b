/*
 * sentence: the handlers' sentences for people, in English and French: sentences.def.
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

/* The text of a sentence that has no values. */
const char *sentence_text(enum sentence s, bool french);
/* Appends the sentence, each % replaced by the next of as many values, which end with NULL. */
void sentence_put(struct buf *out, enum sentence s, bool french, const char *const *values);
/* Does as sentence_put with one value, into out, whose size is enough for the sentence with it. */
void sentence_fill(enum sentence s, bool french, const char *value, char *out, size_t size);

#endif
