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

void sentence_fill(enum sentence s, bool french, const char *value, char *out, size_t size)
{
	const char *const values[] = {value, NULL};
	struct buf text;

	buf_init(&text, size);
	sentence_put(&text, s, french, values);
	CHECK(buf_ok(&text) && text.length < size);
	memcpy(out, buf_text(&text), text.length + 1);
	buf_free(&text);
}
