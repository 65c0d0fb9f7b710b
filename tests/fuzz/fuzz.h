/*
 * fuzz: what the fuzz targets share.  Each defines LLVMFuzzerTestOneInput (libFuzzer's interface), takes any
 * bytes, and aborts when a promise of the module is broken; the sanitizers watch the rest.
 */
#ifndef OCTROI_TESTS_FUZZ_FUZZ_H
#define OCTROI_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

#define MUST(condition) \
	do { \
		if (!(condition)) \
			abort(); \
	} while (0)

/* A copy of exactly its size with a NUL behind, so that reading past it is seen. */
static inline char *fuzz_text(const uint8_t *bytes, size_t length)
{
	char *text = malloc(length + 1);

	MUST(text != NULL);
	memcpy(text, bytes, length);
	text[length] = '\0';
	return text;
}

/* The bytes up to the next line end, which becomes the text's end; *rest is what follows, NULL after the last. */
static inline char *fuzz_line(char **rest)
{
	char *line = *rest;
	char *end = line != NULL ? strchr(line, '\n') : NULL;

	if (end != NULL)
		*end++ = '\0';
	*rest = end;
	return line;
}

/* The length before a name or a value of FastCGI's pairs, of one byte or of four. */
static inline size_t fuzz_length(const uint8_t *pairs, size_t *at)
{
	size_t value = pairs[(*at)++];

	if (value < 128)
		return value;
	value &= 127;
	for (int i = 0; i < 3; i++)
		value = value << 8 | pairs[(*at)++];
	return value;
}

#endif
