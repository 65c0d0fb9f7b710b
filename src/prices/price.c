#include "prices/price.h"

#include <string.h>

#include "base/check.h"

/* 5 * 10^9 tokens at a dollar each, times the largest margin, are 5 * 10^30: far from the
 * 3.4 * 10^38 of 128 bits.  Every multiplication is checked all the same. */
typedef unsigned __int128 wide;

#define PPM INT64_C(1000000)
#define PICO_PER_MICRO INT64_C(1000000)

/* micros = pico-dollars * numerator / denominator. */
struct ratio {
	wide numerator, denominator;
};

static bool multiply(wide a, wide b, wide *product)
{
	return !__builtin_mul_overflow(a, b, product);
}

bool price_name_valid(const char *name, size_t max)
{
	size_t length = strnlen(name, max);

	if (length == 0 || length == max || name[0] == ' ' || name[length - 1] == ' ')
		return false;
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	}
	return true;
}

static bool terms_valid(const struct price_terms *t)
{
	return t->margin_ppm > 0 && t->margin_ppm <= PRICE_MARGIN_MAX_PPM && t->rate_ppm > 0 &&
	       t->rate_ppm <= PRICE_RATE_MAX_PPM && t->credit_value_ppm > 0 &&
	       t->credit_value_ppm <= PRICE_RATE_MAX_PPM;
}

static bool tiers_valid(const struct price *p)
{
	if (p->tier_count < 1 || p->tier_count > PRICE_TIERS_MAX || p->tier[0].above_tokens != 0)
		return false;
	for (int i = 0; i < p->tier_count; i++) {
		if (i > 0 && p->tier[i].above_tokens <= p->tier[i - 1].above_tokens)
			return false;
		for (int c = 0; c < PRICE_CLASSES; c++) {
			if (p->tier[i].pico[c] < 0 || p->tier[i].pico[c] > PRICE_PICO_MAX)
				return false;
		}
	}
	return true;
}

bool price_valid(const struct price *p)
{
	if (!price_name_valid(p->item, sizeof(p->item)) || !terms_valid(&p->terms))
		return false;
	switch (p->kind) {
	case PRICE_MODEL:
		return price_name_valid(p->provider, sizeof(p->provider)) && tiers_valid(p) &&
		       p->credits_micros == 0;
	case PRICE_ACTION:
		return p->provider[0] == '\0' && p->tier_count == 0 && p->credits_micros >= 0 &&
		       p->credits_micros <= MONEY_AMOUNT_MAX_MICROS;
	}
	return false;
}

static const char *const units[] = {[UNIT_MONEY] = "money", [UNIT_CREDIT] = "credit"};
#define UNITS ((int)(sizeof(units) / sizeof(units[0])))

const char *price_unit_name(int64_t unit)
{
	return unit >= 0 && unit < UNITS ? units[unit] : "";
}

int price_unit_named(const char *name)
{
	for (int unit = 0; unit < UNITS; unit++)
		if (strcmp(name, units[unit]) == 0)
			return unit;
	return -1;
}

/*
 * One micro-dollar is 10^6 pico-dollars; margin and rate are both parts per million, so their
 * scales cancel out: micros of currency = pico * margin_ppm / (rate_ppm * 10^6).  One credit is
 * credit_value_ppm / 10^6 of the currency, which takes the 10^6 away again.
 */
static bool price_ratio(const struct price_terms *t, enum account_unit unit, struct ratio *r)
{
	CHECK(terms_valid(t));
	r->numerator = (wide)t->margin_ppm;
	return multiply((wide)t->rate_ppm,
	                unit == UNIT_CREDIT ? (wide)t->credit_value_ppm : (wide)PICO_PER_MICRO,
	                &r->denominator);
}

/* ceil(a * numerator / denominator) as an amount. */
static bool scale_up(wide a, const struct ratio *r, micros *amount)
{
	wide product, quotient;

	CHECK(r->denominator > 0);
	if (!multiply(a, r->numerator, &product))
		return false;
	quotient = product / r->denominator;
	if (product % r->denominator != 0)
		quotient++;
	if (quotient > (wide)MONEY_AMOUNT_MAX_MICROS)
		return false;
	*amount = (micros)quotient;
	return true;
}

static const struct price_tier *tier_for(const struct price *p, int64_t input_tokens)
{
	int i = p->tier_count - 1;

	CHECK(p->kind == PRICE_MODEL && p->tier_count >= 1 && p->tier_count <= PRICE_TIERS_MAX);
	while (i > 0 && input_tokens <= p->tier[i].above_tokens)
		i--;
	return &p->tier[i];
}

/* The sum of the input's counts, which fits an int64; false when a count is out of range. */
static bool input_of(const struct tokens *t, int64_t *input_tokens)
{
	int64_t sum = 0;

	for (int c = 0; c < PRICE_CLASSES; c++) {
		if (t->count[c] < 0 || t->count[c] > PRICE_TOKENS_MAX)
			return false;
		if (c != PRICE_OUTPUT)
			sum += t->count[c];
	}
	*input_tokens = sum;
	return true;
}

bool price_of_tokens(const struct price *p, enum account_unit unit, const struct tokens *t,
                     micros *cost)
{
	const struct price_tier *tier;
	struct ratio ratio;
	int64_t input_tokens;
	wide pico = 0;

	if (!input_of(t, &input_tokens) || !price_ratio(&p->terms, unit, &ratio))
		return false;
	tier = tier_for(p, input_tokens);
	for (int c = 0; c < PRICE_CLASSES; c++) {
		wide part;

		CHECK(tier->pico[c] >= 0 && tier->pico[c] <= PRICE_PICO_MAX);
		if (!multiply((wide)t->count[c], (wide)tier->pico[c], &part) ||
		    __builtin_add_overflow(pico, part, &pico))
			return false;
	}
	return scale_up(pico, &ratio, cost);
}

bool price_input_is_dearer(const struct price *p)
{
	return p->tier[0].pico[PRICE_INPUT] > p->tier[0].pico[PRICE_OUTPUT];
}

bool price_of_action(const struct price *p, enum account_unit unit, int64_t quantity, micros *cost)
{
	struct ratio ratio = {.numerator = 1, .denominator = 1};
	wide credits;

	CHECK(p->kind == PRICE_ACTION && p->credits_micros >= 0);
	CHECK(terms_valid(&p->terms));
	if (quantity < 1 || !multiply((wide)p->credits_micros, (wide)quantity, &credits))
		return false;
	if (unit == UNIT_MONEY) {
		ratio.numerator = (wide)p->terms.credit_value_ppm;
		ratio.denominator = (wide)PPM;
	}
	return scale_up(credits, &ratio, cost);
}

static bool affordable(const struct price *p, enum account_unit unit, int64_t input_tokens,
                       int64_t output_tokens, micros available)
{
	struct tokens t = {.count = {[PRICE_INPUT] = input_tokens, [PRICE_OUTPUT] = output_tokens}};
	micros cost;

	return price_of_tokens(p, unit, &t, &cost) && cost <= available;
}

/* The output tokens that the remaining pico-dollars pay for after the input; at most wanted. */
static int64_t fit_by_division(const struct price *p, enum account_unit unit, int64_t input_tokens,
                               int64_t wanted, micros available)
{
	const struct price_tier *tier = tier_for(p, input_tokens);
	wide per_token = (wide)tier->pico[PRICE_OUTPUT];
	struct ratio ratio;
	wide budget, input;

	if (per_token == 0)
		return wanted;
	/* ceil(x) <= available exactly when x <= available, so the division below loses nothing.
	 * A budget that overflows 128 bits is beyond the dearest request. */
	if (!price_ratio(&p->terms, unit, &ratio) ||
	    !multiply((wide)available, ratio.denominator, &budget))
		return wanted;
	budget /= ratio.numerator;
	input = (wide)input_tokens * (wide)tier->pico[PRICE_INPUT];
	CHECK(input <= budget);
	budget = (budget - input) / per_token;
	return budget < (wide)wanted ? (int64_t)budget : wanted;
}

int64_t price_fit_output(const struct price *p, enum account_unit unit, int64_t input_tokens,
                         int64_t wanted, micros available)
{
	int64_t output;

	CHECK(wanted >= 0);
	if (wanted > PRICE_TOKENS_MAX)
		wanted = PRICE_TOKENS_MAX;
	if (available > MONEY_AMOUNT_MAX_MICROS)
		available = MONEY_AMOUNT_MAX_MICROS;
	if (!affordable(p, unit, input_tokens, 0, available))
		return -1;
	output = fit_by_division(p, unit, input_tokens, wanted, available);
	CHECK(affordable(p, unit, input_tokens, output, available));
	CHECK(output == wanted || !affordable(p, unit, input_tokens, output + 1, available));
	return output;
}

void price_write_tiers(const struct price *p, struct buf *out)
{
	CHECK(p->kind == PRICE_MODEL);
	buf_add_char(out, '[');
	for (int i = 0; i < p->tier_count; i++) {
		if (i > 0)
			buf_add_char(out, ',');
		buf_add_char(out, '[');
		buf_add_int(out, p->tier[i].above_tokens);
		for (int c = 0; c < PRICE_CLASSES; c++) {
			buf_add_char(out, ',');
			buf_add_int(out, p->tier[i].pico[c]);
		}
		buf_add_char(out, ']');
	}
	buf_add_char(out, ']');
}

/* The unread remainder of a text. */
struct cursor {
	const char *at, *end;
};

static bool take_char(struct cursor *c, char wanted)
{
	if (c->at == c->end || *c->at != wanted)
		return false;
	c->at++;
	return true;
}

/* Digits as buf_add_int writes them: no sign, no leading zero, within an int64. */
static bool take_int(struct cursor *c, int64_t *value)
{
	const char *first = c->at;

	*value = 0;
	for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
		if (__builtin_mul_overflow(*value, INT64_C(10), value) ||
		    __builtin_add_overflow(*value, *c->at - '0', value))
			return false;
	}
	return c->at > first && (*first != '0' || c->at - first == 1);
}

static bool take_tier(struct cursor *c, struct price_tier *tier)
{
	if (!take_char(c, '[') || !take_int(c, &tier->above_tokens))
		return false;
	for (int k = 0; k < PRICE_CLASSES; k++) {
		if (!take_char(c, ',') || !take_int(c, &tier->pico[k]))
			return false;
	}
	return take_char(c, ']');
}

int price_read_tiers(struct price *p, const char *text, size_t length)
{
	struct cursor c = {.at = text, .end = text + length};

	p->tier_count = 0;
	if (!take_char(&c, '['))
		return -1;
	do {
		if (p->tier_count == PRICE_TIERS_MAX || !take_tier(&c, &p->tier[p->tier_count]))
			return -1;
		p->tier_count++;
	} while (take_char(&c, ','));
	return take_char(&c, ']') && c.at == c.end && tiers_valid(p) ? 0 : -1;
}
