/*
 * counts: how much of each dimension a request used, or may use.  Pure.
 */
#ifndef OCTROI_PRICES_COUNTS_H
#define OCTROI_PRICES_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum dimension {
#define DIMENSION(NAME, name, side, places, stand_in) DIMENSION_##NAME,
#include "prices/dimensions.def"
#undef DIMENSION
	DIMENSION_COUNT,
	DIMENSION_NONE = DIMENSION_COUNT
};

/* The dimensions up to this one are columns of a usage. */
#define DIMENSION_COLUMNS (DIMENSION_OUTPUT + 1)

enum dimension_side { SIDE_INPUT, SIDE_OUTPUT, SIDE_OTHER };

enum service_tier {
#define TIER(NAME, name) TIER_##NAME,
#include "prices/service_tiers.def"
#undef TIER
	TIER_COUNT
};

#define COUNTS_MAX INT64_C(1000000000) /* of one dimension in one request */
#define COUNTS_FRACTION INT64_C(1000000)
#define COUNTS_TEXT_MAX 2048 /* the text of any counts, with a NUL */

/* A count of a dimension with places is times 10^6. */
struct counts {
	int64_t of[DIMENSION_COUNT];
};

const char *dimension_name(enum dimension d);
/* -1: no dimension has that name. */
int dimension_named(const char *name, size_t length);
enum dimension_side dimension_side(enum dimension d);
int dimension_places(enum dimension d);
/* DIMENSION_NONE: there is none. */
enum dimension dimension_stand_in(enum dimension d);

const char *service_tier_name(int64_t tier); /* "": there is no such tier */
int service_tier_named(const char *name);    /* -1: no tier has that name */

/* True if each count is between 0 and COUNTS_MAX. */
bool counts_valid(const struct counts *c);
/* True if something was counted. */
bool counts_any(const struct counts *c);
/* The tokens of the input side, which choose a price's threshold.  c is valid. */
int64_t counts_input(const struct counts *c);
/* Adds the count as decimal text, "37.5". */
void counts_put(struct buf *out, enum dimension d, int64_t count);
/* Reads a count from decimal text.  0, or -1 if it is none, or out of range. */
int counts_read_one(enum dimension d, const char *text, size_t length, int64_t *count);

/* The counts from dimension first on that are not 0, as "name=count,name=count", in the order of the dimensions; "" if
 * all are 0. */
void counts_format(const struct counts *c, enum dimension first, char out[COUNTS_TEXT_MAX]);
/* Reads the text that counts_format made into c, and leaves the other counts.  0, or -1 if it is not exactly in that
 * form. */
int counts_read(struct counts *c, const char *text, size_t length);

#endif
