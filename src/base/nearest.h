/*
 * nearest: the known name that is nearest to a mistyped one, by the number of characters to add, remove or replace
 * (Levenshtein).  Pure.
 */
#ifndef OCTROI_BASE_NEAREST_H
#define OCTROI_BASE_NEAREST_H

#include <stddef.h>

/* A search.  Set said before the first offer, the others to 0; afterwards name is the nearest one, the first of
 * several, NULL without an offer. */
struct nearest {
	const char *said;
	const char *name;
	size_t distance;
};

/* Offers a known name: words is the text that is compared, of at most 64 bytes (the rest is ignored). */
void nearest_offer(struct nearest *n, const char *words, const char *name);

#endif
