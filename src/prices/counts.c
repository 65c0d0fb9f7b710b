#include "prices/counts.h"

#include <string.h>

#include "base/check.h"
#include "base/money.h"

#define FRACTION_PLACES 6

static const struct {
	const char *name;
	enum dimension_side side;
	int places;
	int64_t max;
	enum dimension stand_in;
} dimensions[DIMENSION_COUNT] = {
#define DIMENSION(NAME, name, side, places, stand_in) \
	{name, SIDE_##side, places, (places) == 0 ? COUNTS_MAX : COUNTS_MAX * COUNTS_FRACTION, DIMENSION_##stand_in},
#include "prices/dimensions.def"
#undef DIMENSION
};

static const char *const tiers[TIER_COUNT] = {
#define TIER(NAME, name) name,
#include "prices/service_tiers.def"
#undef TIER
};

const char *dimension_name(enum dimension d)
{
	CHECK(d >= 0 && d < DIMENSION_COUNT);
	return dimensions[d].name;
}

int dimension_named(const char *name, size_t length)
{
	for (int d = 0; d < DIMENSION_COUNT; d++)
		if (strlen(dimensions[d].name) == length && memcmp(dimensions[d].name, name, length) == 0)
			return d;
	return -1;
}

enum dimension_side dimension_side(enum dimension d)
{
	CHECK(d >= 0 && d < DIMENSION_COUNT);
	return dimensions[d].side;
}

int dimension_places(enum dimension d)
{
	CHECK(d >= 0 && d < DIMENSION_COUNT);
	return dimensions[d].places;
}

enum dimension dimension_stand_in(enum dimension d)
{
	CHECK(d >= 0 && d < DIMENSION_COUNT);
	return dimensions[d].stand_in;
}

const char *service_tier_name(int64_t tier)
{
	return tier >= 0 && tier < TIER_COUNT ? tiers[tier] : "";
}

int service_tier_named(const char *name)
{
	for (int tier = 0; tier < TIER_COUNT; tier++)
		if (strcmp(tiers[tier], name) == 0)
			return tier;
	return -1;
}

bool counts_valid(const struct counts *c)
{
	for (int d = 0; d < DIMENSION_COUNT; d++)
		if (c->of[d] < 0 || c->of[d] > dimensions[d].max)
			return false;
	return true;
}

bool counts_any(const struct counts *c)
{
	for (int d = 0; d < DIMENSION_COUNT; d++)
		if (c->of[d] != 0)
			return true;
	return false;
}

int64_t counts_input(const struct counts *c)
{
	int64_t sum = 0;

	for (int d = 0; d < DIMENSION_COUNT; d++)
		if (dimensions[d].side == SIDE_INPUT)
			sum += c->of[d];
	CHECK(sum >= 0 && sum <= COUNTS_MAX * DIMENSION_COUNT);
	return sum;
}

void counts_put(struct buf *out, enum dimension d, int64_t count)
{
	char text[MONEY_TEXT_MAX];

	CHECK(decimal_format(count, dimension_places(d), 0, text) > 0);
	buf_add_text(out, text);
}

int counts_read_one(enum dimension d, const char *text, size_t length, int64_t *count)
{
	if (decimal_parse(text, length, dimension_places(d), false, count) != 0)
		return -1;
	return *count >= 0 && *count <= dimensions[d].max ? 0 : -1;
}

void counts_format(const struct counts *c, enum dimension first, char out[COUNTS_TEXT_MAX])
{
	char *at = out;

	for (int d = (int)first; d < DIMENSION_COUNT; d++) {
		const size_t name = strlen(dimensions[d].name);

		if (c->of[d] == 0)
			continue;
		CHECK((size_t)(at - out) + name + MONEY_TEXT_MAX + 2 <= COUNTS_TEXT_MAX);
		if (at > out)
			*at++ = ',';
		memcpy(at, dimensions[d].name, name);
		at += name;
		*at++ = '=';
		at += decimal_format(c->of[d], dimensions[d].places, 0, at);
	}
	*at = '\0';
}

/* One "name=count"; its dimension must come after *last. */
static bool take_count(struct counts *c, const char *text, size_t length, int *last)
{
	const char *equals = memchr(text, '=', length);
	int64_t count;
	size_t name;
	int d;

	if (equals == NULL)
		return false;
	name = (size_t)(equals - text);
	d = dimension_named(text, name);
	if (d <= *last || counts_read_one((enum dimension)d, equals + 1, length - name - 1, &count) != 0 || count == 0)
		return false;
	*last = d;
	c->of[d] = count;
	return true;
}

int counts_read(struct counts *c, const char *text, size_t length)
{
	const char *end = text + length;
	int last = -1;

	while (text < end) {
		const char *comma = memchr(text, ',', (size_t)(end - text));
		const char *stop = comma != NULL ? comma : end;

		if (!take_count(c, text, (size_t)(stop - text), &last) || stop + 1 == end)
			return -1;
		text = stop + 1;
	}
	return 0;
}
