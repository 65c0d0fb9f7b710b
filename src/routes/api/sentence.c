#include "routes/api/sentence.h"

#include <string.h>

#include "base/check.h"

static const struct {
	const char *english, *french;
} sentences[SENTENCE_COUNT] = {
#define SENTENCE(NAME, english, french) [SENTENCE_##NAME] = {english, french},
#include "routes/api/sentences.def"
#undef SENTENCE
};

static const char *words_of(enum sentence s, bool french)
{
	CHECK(s < SENTENCE_COUNT);
	return french ? sentences[s].french : sentences[s].english;
}

const char *sentence_text(enum sentence s, bool french)
{
	const char *words = words_of(s, french);

	CHECK(strchr(words, '%') == NULL);
	return words;
}

void sentence_put(struct buf *out, enum sentence s, bool french, const char *const *values)
{
	for (const char *at = words_of(s, french); *at != '\0'; at++) {
		if (*at != '%') {
			buf_add_char(out, *at);
			continue;
		}
		CHECK(*values != NULL);
		buf_add_text(out, *values++);
	}
	CHECK(*values == NULL);
}

/* Without memory of its own: there may be none. */
void sentence_fill(enum sentence s, bool french, const char *value, char *out, size_t size)
{
	const char *words = words_of(s, french);
	const size_t before = strcspn(words, "%"), length = strlen(value);
	const char *after = words + before + 1;

	CHECK(words[before] == '%' && strchr(after, '%') == NULL && before + length + strlen(after) < size);
	memcpy(out, words, before);
	memcpy(out + before, value, length);
	memcpy(out + before + length, after, strlen(after) + 1);
}
