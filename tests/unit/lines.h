/*
 * lines: prices of tests, whose tokens cost so many pico-dollars each.
 */
#ifndef OCTROI_TESTS_UNIT_LINES_H
#define OCTROI_TESTS_UNIT_LINES_H

#include "prices/price.h"

#define LINE_OF(NAME, pico) \
	{ \
		.dimension = DIMENSION_##NAME, .mantissa = (pico), .scale = 12 \
	}

/* The members lines and line_count of a struct price, for static initialisers too. */
#define LINES(input, cache_read, cache_write, cache_write_1h, output) \
	.lines = (const struct price_line[]){LINE_OF(INPUT, input), LINE_OF(CACHE_READ, cache_read), \
	                                     LINE_OF(CACHE_WRITE, cache_write), \
	                                     LINE_OF(CACHE_WRITE_1H, cache_write_1h), LINE_OF(OUTPUT, output)}, \
	.line_count = 5

#endif
