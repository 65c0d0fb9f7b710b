#include "base/nearest.h"

#include <string.h>

#define WORDS_MAX 64

static size_t count_edits(const char *one, const char *other)
{
	size_t row[WORDS_MAX + 1];
	const size_t length = strnlen(other, WORDS_MAX);

	for (size_t j = 0; j <= length; j++)
		row[j] = j;
	for (size_t i = 1; one[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= length; j++) {
			size_t best = diagonal + (one[i - 1] != other[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[length];
}

void nearest_offer(struct nearest *n, const char *words, const char *name)
{
	const size_t edits = count_edits(n->said, words);

	if (n->name != NULL && edits >= n->distance)
		return;
	n->name = name;
	n->distance = edits;
}
