#include "ledger/decide/use.h"

#include <string.h>

#include "base/check.h"

struct counts use_bounds(const struct counts *estimate, const struct price *p, int64_t input_tokens,
                         int64_t output_tokens, const struct counts *given)
{
	struct counts c = *given;

	CHECK(input_tokens >= 0 && output_tokens >= 0);
	if (price_has_tokens(p)) {
		c.of[DIMENSION_INPUT] = input_tokens;
		c.of[DIMENSION_OUTPUT] = output_tokens;
	} else if (!counts_any(given)) {
		for (int i = DIMENSION_COLUMNS; i < DIMENSION_COUNT; i++)
			if (price_lists(p, (enum dimension)i))
				c.of[i] = estimate->of[i];
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
