#include "ledger/decide/use.h"

#include <string.h>

#include "base/check.h"

#define TOKENS_LEAST 1000

/* The number of the dimension that a request uses at least, where nobody says. */
static int64_t least(enum dimension d)
{
	if (dimension_side(d) != SIDE_OTHER)
		return TOKENS_LEAST;
	return dimension_places(d) > 0 ? COUNTS_FRACTION : 1;
}

/* Raises the counts to the estimate of each listed dimension but tokens, or to the least of it. */
static void raise_to_estimate(const struct counts *estimate, const struct price *p, struct counts *c)
{
	for (enum dimension d = DIMENSION_COLUMNS; d < DIMENSION_COUNT; d++) {
		const int64_t usual = estimate->of[d] > 0 ? estimate->of[d] : least(d);

		if (dimension_side(d) == SIDE_OTHER && price_lists(p, d) && c->of[d] < usual)
			c->of[d] = usual;
	}
}

/* True if the price knows what the counts cost, and it is more than nothing. */
static bool costs(const struct price *p, const struct counts *c)
{
	struct price_charge charge;

	return price_of_use(p, UNIT_MONEY, &(struct price_use){c, TIER_STANDARD, ""}, &charge) && !charge.unpriced &&
	       charge.cost_micros > 0;
}

/* The cost of the least of each listed dimension from first to last; 0 if it is out of range. */
static micros cost_of_least(const struct price *p, enum account_unit unit, enum dimension first, enum dimension last)
{
	struct counts c = {{0}};
	struct price_charge charge;

	for (enum dimension d = first; d <= last; d++)
		if (price_lists(p, d))
			c.of[d] = least(d);
	return price_of_use(p, unit, &(struct price_use){&c, TIER_STANDARD, ""}, &charge) ? charge.cost_micros : 0;
}

/* The cost of the least by the dearest line, whatever its tier, variant and threshold. */
static micros cost_of_dearest(const struct price *p, enum account_unit unit)
{
	micros dearest = 0;

	for (int i = 0; i < p->line_count; i++) {
		const struct price_line *l = &p->lines[i];
		const struct price_line line = {.dimension = l->dimension, .mantissa = l->mantissa, .scale = l->scale};
		struct price alone = *p;
		micros cost;

		alone.lines = &line;
		alone.line_count = 1;
		cost = cost_of_least(&alone, unit, line.dimension, line.dimension);
		if (cost > dearest)
			dearest = cost;
	}
	return dearest;
}

/* The cost of the least that a request uses: of each listed column of tokens, or of all other dimensions where these
 * cost nothing.  A price that has lines above thresholds alone, so none for the least, is taken at its dearest line. */
static micros least_cost(const struct price *p, enum account_unit unit)
{
	micros cost = cost_of_least(p, unit, DIMENSION_INPUT, DIMENSION_OUTPUT);

	if (cost == 0)
		cost = cost_of_least(p, unit, DIMENSION_COLUMNS, DIMENSION_COUNT - 1);
	return cost > 0 ? cost : cost_of_dearest(p, unit);
}

struct counts use_bounds(const struct counts *estimate, const struct price *p, int64_t input_tokens,
                         int64_t output_tokens, const struct counts *given)
{
	struct counts c = *given;

	CHECK(input_tokens >= 0 && output_tokens >= 0);
	if (price_has_tokens(p)) {
		c.of[DIMENSION_INPUT] = input_tokens;
		c.of[DIMENSION_OUTPUT] = output_tokens;
	} else if (!costs(p, &c)) {
		raise_to_estimate(estimate, p, &c);
	}
	return c;
}

static void read_text(const char *text, struct counts *c)
{
	/* A text that is none of counts is found by the audit; its counts are left out here. */
	if (counts_read(c, text, strlen(text)) != 0)
		memset(c, 0, sizeof(*c));
}

struct counts use_of_hold(const struct price *p, const struct holds_row *h, int64_t output_tokens)
{
	struct counts c = {{0}};

	read_text(h->counts, &c);
	if (price_has_tokens(p)) {
		c.of[DIMENSION_INPUT] = h->input_tokens;
		c.of[DIMENSION_OUTPUT] = output_tokens;
	}
	return c;
}

struct counts use_of_usage(const struct usages_row *u)
{
	struct counts c = {{0}};

	read_text(u->counts, &c);
	c.of[DIMENSION_INPUT] = u->input_tokens;
	c.of[DIMENSION_CACHE_READ] = u->cache_read_tokens;
	c.of[DIMENSION_CACHE_WRITE] = u->cache_write_tokens;
	c.of[DIMENSION_CACHE_WRITE_1H] = u->cache_write_1h_tokens;
	c.of[DIMENSION_OUTPUT] = u->output_tokens;
	return c;
}

const char *use_text(struct decide *d, const struct counts *c)
{
	char *text;
	int i = DIMENSION_COLUMNS;

	while (i < DIMENSION_COUNT && c->of[i] == 0)
		i++;
	if (i == DIMENSION_COUNT)
		return "";
	text = rows_text(d->rows, COUNTS_TEXT_MAX);
	counts_format(c, (enum dimension)DIMENSION_COLUMNS, text);
	return text;
}

bool use_cost(const struct price *p, enum account_unit unit, const struct price_use *use, micros reserved_micros,
              struct use_cost *cost)
{
	struct price_charge charge;

	if (!price_of_use(p, unit, use, &charge))
		return false;
	*cost = (struct use_cost){.cost_micros = charge.cost_micros, .incomplete = charge.incomplete};
	cost->bound = charge.unpriced || (charge.cost_micros == 0 && counts_any(use->counts) && !price_is_free(p));
	if (cost->bound) {
		cost->incomplete = true;
		if (cost->cost_micros < reserved_micros)
			cost->cost_micros = reserved_micros;
		if (cost->cost_micros == 0)
			cost->cost_micros = least_cost(p, unit);
	}
	return true;
}

enum use_policy use_policy(const struct decide *d, const char *provider)
{
	const char *at = d->use.provider_cost != NULL ? d->use.provider_cost : "";
	const size_t length = strlen(provider);

	for (; *at != '\0'; at += *at == ',') {
		const size_t entry = strcspn(at, ",");

		if (entry > length + 1 && strncmp(at, provider, length) == 0 && at[length] == ':')
			return strncmp(at + length + 1, "prefer", 6) == 0 ? USE_PREFER
			       : strncmp(at + length + 1, "max", 3) == 0  ? USE_MAX
			                                                  : USE_IGNORE;
		at += entry;
	}
	return USE_IGNORE;
}
