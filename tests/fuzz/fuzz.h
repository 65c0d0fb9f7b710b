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

#endif
