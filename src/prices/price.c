#include "prices/price.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/unset.h"

/* Every multiplication is checked: counts, prices and terms at their largest are beyond 128 bits. */
typedef unsigned __int128 wide;

#define PPM INT64_C(1000000)
#define COUNT_PLACES_MAX 6
/* Sums of dollars are kept at 10^-scale.  At this scale or a finer one the denominators below are whole numbers. */
#define SUM_SCALE_MIN 12

/* micros = sum * numerator / denominator. */
struct ratio {
	wide numerator, denominator;
};

static bool multiply(wide a, wide b, wide *product)
{
	return !__builtin_mul_overflow(a, b, product);
}

static wide power_of_ten(int exponent)
{
	wide power = 1;

	CHECK(exponent >= 0 && exponent <= 2 * PRICE_SCALE_MAX);
	while (exponent-- > 0)
		power *= 10;
	return power;
}

/* ---- validity ---------------------------------------------------------------------------------- */

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

bool price_variant_valid(const char *variant)
{
	if (strnlen(variant, PRICE_VARIANT_MAX) == PRICE_VARIANT_MAX)
		return false;
	for (; *variant != '\0'; variant++)
		if (*variant <= ' ' || *variant > '~' || *variant == '"' || *variant == '\\')
			return false;
	return true;
}

static bool terms_valid(const struct price_terms *t)
{
	return t->margin_ppm > 0 && t->margin_ppm <= PRICE_MARGIN_MAX_PPM && t->rate_ppm > 0 &&
	       t->rate_ppm <= PRICE_RATE_MAX_PPM && t->credit_value_ppm > 0 &&
	       t->credit_value_ppm <= PRICE_RATE_MAX_PPM;
}

static int compare_lines(const void *left, const void *right)
{
	const struct price_line *a = left, *b = right;
	int variants;

	if (a->dimension != b->dimension)
		return a->dimension < b->dimension ? -1 : 1;
	if (a->tier != b->tier)
		return a->tier < b->tier ? -1 : 1;
	variants = strcmp(a->variant, b->variant);
	if (variants != 0)
		return variants;
	return a->above_tokens < b->above_tokens ? -1 : a->above_tokens > b->above_tokens;
}

void price_sort(struct price_line *lines, int count)
{
	CHECK(count >= 0 && count <= PRICE_LINES_MAX);
	if (count > 0)
		qsort(lines, (size_t)count, sizeof(lines[0]), compare_lines);
}

static bool line_valid(const struct price_line *l)
{
	return (unsigned)l->dimension < DIMENSION_COUNT && (unsigned)l->tier < TIER_OTHER && l->above_tokens >= 0 &&
	       price_variant_valid(l->variant) && l->mantissa >= 0 && l->scale >= 0 && l->scale <= PRICE_SCALE_MAX &&
	       (wide)l->mantissa <= (wide)PRICE_DOLLARS_MAX * power_of_ten(l->scale);
}

static bool lines_valid(const struct price *p)
{
	if (p->line_count < 1 || p->line_count > PRICE_LINES_MAX || p->lines == NULL)
		return false;
	for (int i = 0; i < p->line_count; i++)
		if (!line_valid(&p->lines[i]) || (i > 0 && compare_lines(&p->lines[i - 1], &p->lines[i]) >= 0))
			return false;
	return true;
}

bool price_valid(const struct price *p)
{
	if (!price_name_valid(p->item, sizeof(p->item)) || !terms_valid(&p->terms))
		return false;
	switch (p->kind) {
	case PRICE_MODEL:
		return price_name_valid(p->provider, sizeof(p->provider)) && lines_valid(p) && p->credits_micros == 0;
	case PRICE_ACTION:
		return p->provider[0] == '\0' && p->line_count == 0 && p->credits_micros >= 0 &&
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

/* ---- which line --------------------------------------------------------------------------------- */

/* The line of a count.  line NULL: no price of its kind, but free if the model has no such side at all. */
struct found {
	const struct price_line *line;
	bool incomplete, free;
};

/* A question for a line of one dimension. */
struct question {
	const struct price *p;
	const struct price_use *use;
	int64_t input_tokens;
};

static bool is_dearer(const struct price_line *a, const struct price_line *b)
{
	const int scale = a->scale > b->scale ? a->scale : b->scale;

	return (wide)a->mantissa * power_of_ten(scale - a->scale) > (wide)b->mantissa * power_of_ten(scale - b->scale);
}

static bool has_lines(const struct price *p, enum dimension d)
{
	for (int i = 0; i < p->line_count && p->lines[i].dimension <= d; i++)
		if (p->lines[i].dimension == d)
			return true;
	return false;
}

static bool has_costs(const struct price *p, enum dimension d)
{
	for (int i = 0; i < p->line_count && p->lines[i].dimension <= d; i++)
		if (p->lines[i].dimension == d && p->lines[i].mantissa > 0)
			return true;
	return false;
}

/* Lines of one group differ by their thresholds alone. */
static bool is_same_group(const struct price_line *a, const struct price_line *b)
{
	return a->dimension == b->dimension && a->tier == b->tier && strcmp(a->variant, b->variant) == 0;
}

/* The line of the group that the input reaches, the one with the highest threshold below it; NULL if it reaches none.
 * i is the group's first line. */
static const struct price_line *reached(const struct question *q, int i)
{
	const struct price_line *first = &q->p->lines[i], *best = NULL;

	for (; i < q->p->line_count && is_same_group(first, &q->p->lines[i]); i++)
		if (q->p->lines[i].above_tokens == 0 || q->input_tokens > q->p->lines[i].above_tokens)
			best = &q->p->lines[i];
	return best;
}

/* True if variant, such as "speed=fast", is one of the parts of whole, such as "region=us/speed=fast". */
static bool is_part_of(const char *variant, const char *whole)
{
	const size_t length = strlen(variant);

	if (strchr(variant, '=') == NULL || strlen(whole) <= length)
		return false;
	for (const char *at = whole; at != NULL; at = strchr(at, '/')) {
		at += *at == '/';
		if (strncmp(at, variant, length) == 0 && (at[length] == '/' || at[length] == '\0'))
			return true;
	}
	return false;
}

/* The line of the dimension in that tier: of the use's variant, else the dearest of the variant's parts, else of the
 * default one, else the dearest of all variants.  The second and the last are incomplete. */
static struct found in_tier(const struct question *q, enum dimension d, enum service_tier tier)
{
	const struct price_line *plain = NULL, *own = NULL, *part = NULL, *dearest = NULL;

	for (int i = 0; i < q->p->line_count && q->p->lines[i].dimension <= d; i++) {
		const struct price_line *l = &q->p->lines[i], *at;

		if (l->dimension != d || l->tier != tier || (i > 0 && is_same_group(&l[-1], l)))
			continue;
		at = reached(q, i);
		if (at == NULL)
			continue;
		if (dearest == NULL || is_dearer(at, dearest))
			dearest = at;
		if (l->variant[0] == '\0')
			plain = at;
		if (strcmp(l->variant, q->use->variant) == 0)
			own = at;
		if (is_part_of(l->variant, q->use->variant) && (part == NULL || is_dearer(at, part)))
			part = at;
	}
	if (own == NULL && part == NULL)
		own = plain;
	if (part == NULL)
		part = dearest;
	return (struct found){.line = own != NULL ? own : part, .incomplete = own == NULL && part != NULL};
}

/* The line of the dimension: in the use's tier, else the dearest of all tiers, which is incomplete. */
static struct found of_dimension(const struct question *q, enum dimension d)
{
	struct found found = in_tier(q, d, q->use->tier);

	if (found.line != NULL)
		return found;
	for (int tier = 0; tier < TIER_COUNT; tier++) {
		const struct found other = in_tier(q, d, (enum service_tier)tier);

		if (other.line != NULL && (found.line == NULL || is_dearer(other.line, found.line)))
			found = other;
	}
	found.incomplete = found.line != NULL;
	return found;
}

/* The dearest line of the side's dimensions, each without stand-ins. */
static const struct price_line *dearest_of_side(const struct question *q, enum dimension_side side)
{
	const struct price_line *dearest = NULL;

	for (int d = 0; d < DIMENSION_COUNT; d++) {
		struct found found;

		if (dimension_side((enum dimension)d) != side)
			continue;
		found = of_dimension(q, (enum dimension)d);
		if (found.line != NULL && (dearest == NULL || is_dearer(found.line, dearest)))
			dearest = found.line;
	}
	return dearest;
}

/* Durations stand in for one another, in this order. */
static const enum dimension durations[] = {DIMENSION_SECONDS, DIMENSION_OUTPUT_SECONDS, DIMENSION_VIDEO_SECONDS,
                                           DIMENSION_OUTPUT_VIDEO_SECONDS};
#define DURATION_COUNT (sizeof(durations) / sizeof(durations[0]))

static bool is_duration(enum dimension d)
{
	for (size_t i = 0; i < DURATION_COUNT; i++)
		if (durations[i] == d)
			return true;
	return false;
}

/* The dimension if it has lines, else its natural stand-in that has; DIMENSION_NONE if none has. */
static enum dimension priced_as(const struct price *p, enum dimension d)
{
	enum dimension at = d;

	for (int steps = 0; at != DIMENSION_NONE && steps < 3; steps++, at = dimension_stand_in(at))
		if (has_lines(p, at))
			return at;
	for (size_t i = 0; is_duration(d) && i < DURATION_COUNT; i++)
		if (has_lines(p, durations[i]))
			return durations[i];
	return DIMENSION_NONE;
}

/* True if a count of by stands for one of covered.  A price of 0 does not stand for one above it. */
static bool is_covered(const struct price *p, enum dimension covered, enum dimension by)
{
	const enum dimension as = priced_as(p, by);

	return as != DIMENSION_NONE && (has_costs(p, as) || !has_costs(p, priced_as(p, covered)));
}

/* The line of the dimension, or else of its natural stand-in. */
static struct found natural_line(const struct question *q, enum dimension d)
{
	struct found found = {.line = NULL};
	enum dimension at = d;

	for (int steps = 0; at != DIMENSION_NONE && found.line == NULL && steps < 3;
	     steps++, at = dimension_stand_in(at))
		found = of_dimension(q, at);
	for (size_t i = 0; is_duration(d) && found.line == NULL && i < DURATION_COUNT; i++)
		found = of_dimension(q, durations[i]);
	return found;
}

/* Reasoning is output: in a tier that lists no price of its own, it costs what output costs there. */
static bool is_plain_output(const struct question *q, enum dimension d)
{
	return d == DIMENSION_REASONING && in_tier(q, d, q->use->tier).line == NULL &&
	       in_tier(q, DIMENSION_OUTPUT, q->use->tier).line != NULL;
}

static struct found find_line(const struct question *q, enum dimension d)
{
	const enum dimension_side side = dimension_side(d);
	struct found found = natural_line(q, is_plain_output(q, d) ? DIMENSION_OUTPUT : d);

	if (found.line != NULL)
		return found;
	found.incomplete = true;
	if (side == SIDE_OTHER)
		return found;
	found.line = dearest_of_side(q, side);
	if (found.line != NULL)
		return found;
	/* A model without any input has no price of sound in. */
	if (d == DIMENSION_AUDIO_INPUT || dimension_stand_in(d) == DIMENSION_AUDIO_INPUT)
		return found;
	found.line = dearest_of_side(q, side == SIDE_INPUT ? SIDE_OUTPUT : SIDE_INPUT);
	/* A list prices no output of a model that has none, such as one that embeds. */
	if (found.line != NULL && (d == DIMENSION_OUTPUT || dimension_stand_in(d) == DIMENSION_OUTPUT))
		return (struct found){.free = true};
	return found;
}

const struct price_line *price_line_of(const struct price *p, enum dimension d, enum service_tier tier,
                                       const char *variant, int64_t input_tokens)
{
	const struct counts none = {{0}};
	const struct price_use use = {.counts = &none, .tier = tier, .variant = variant};

	return find_line(&(struct question){.p = p, .use = &use, .input_tokens = input_tokens}, d).line;
}

/* ---- alternatives ------------------------------------------------------------------------------- */

/* covered is left out where by is counted and has a price: providers list alternatives, not parts. */
static const struct {
	enum dimension covered, by;
} alternatives[] = {
	{DIMENSION_CHARACTERS, DIMENSION_INPUT},
	{DIMENSION_OUTPUT_CHARACTERS, DIMENSION_OUTPUT},
	{DIMENSION_SECONDS, DIMENSION_AUDIO_INPUT},
	{DIMENSION_SECONDS, DIMENSION_AUDIO_OUTPUT},
	{DIMENSION_SECONDS, DIMENSION_CHARACTERS},
	{DIMENSION_SECONDS, DIMENSION_OUTPUT_CHARACTERS},
	{DIMENSION_OUTPUT_SECONDS, DIMENSION_SECONDS},
	{DIMENSION_OUTPUT_SECONDS, DIMENSION_AUDIO_INPUT},
	{DIMENSION_OUTPUT_SECONDS, DIMENSION_AUDIO_OUTPUT},
	{DIMENSION_OUTPUT_SECONDS, DIMENSION_CHARACTERS},
	{DIMENSION_OUTPUT_SECONDS, DIMENSION_OUTPUT_CHARACTERS},
	{DIMENSION_OUTPUT_VIDEO_SECONDS, DIMENSION_VIDEO_OUTPUT},
	{DIMENSION_INPUT_IMAGES, DIMENSION_IMAGE_INPUT},
	{DIMENSION_IMAGES, DIMENSION_IMAGE_OUTPUT},
	{DIMENSION_PIXELS, DIMENSION_IMAGES},
	{DIMENSION_PIXELS, DIMENSION_IMAGE_OUTPUT},
};

/* The number that is charged of the dimension. */
static int64_t charged_count(const struct question *q, enum dimension d)
{
	const struct counts *c = q->use->counts;

	if (d == DIMENSION_REQUESTS && c->of[d] == 0 && has_lines(q->p, d))
		return 1;
	if (c->of[d] == 0 || dimension_side(d) != SIDE_OTHER)
		return c->of[d];
	for (size_t i = 0; i < sizeof(alternatives) / sizeof(alternatives[0]); i++)
		if (alternatives[i].covered == d && c->of[alternatives[i].by] > 0 &&
		    is_covered(q->p, d, alternatives[i].by))
			return 0;
	return c->of[d];
}

/* The parts without their cost; their number. */
static int find_parts(const struct price *p, const struct price_use *use, struct price_part parts[DIMENSION_COUNT])
{
	const struct question q = {.p = p, .use = use, .input_tokens = counts_input(use->counts)};
	int count = 0;

	for (int d = 0; d < DIMENSION_COUNT; d++) {
		const int64_t charged = charged_count(&q, (enum dimension)d);
		struct found found;

		if (charged == 0)
			continue;
		found = find_line(&q, (enum dimension)d);
		if (!found.free)
			parts[count++] = (struct price_part){.dimension = (enum dimension)d,
			                                     .count = charged,
			                                     .line = found.line,
			                                     .incomplete = found.incomplete};
	}
	return count;
}

/* ---- the sum ------------------------------------------------------------------------------------ */

/* micros of currency = dollars x 10^6 x margin / rate.  The sum has dollars x 10^scale; margin and rate are both parts
 * per million.  One credit is credit_value_ppm / 10^6 of the currency. */
static bool price_ratio(const struct price_terms *t, enum account_unit unit, int scale, struct ratio *r)
{
	const bool credit = unit == UNIT_CREDIT;
	wide terms;

	CHECK(terms_valid(t) && scale >= SUM_SCALE_MIN);
	r->numerator = (wide)t->margin_ppm;
	return multiply((wide)t->rate_ppm, credit ? (wide)t->credit_value_ppm : 1, &terms) &&
	       multiply(terms, power_of_ten(scale - (credit ? 12 : 6)), &r->denominator);
}

/* a * numerator / denominator as an amount, rounded up or down. */
static bool scale_to(wide a, const struct ratio *r, bool up, micros *amount)
{
	wide product, quotient;

	CHECK(r->denominator > 0);
	if (!multiply(a, r->numerator, &product))
		return false;
	quotient = product / r->denominator;
	if (up && product % r->denominator != 0)
		quotient++;
	if (quotient > (wide)MONEY_AMOUNT_MAX_MICROS)
		return false;
	*amount = (micros)quotient;
	return true;
}

/* The scale at which every part is a whole number. */
static int sum_scale(const struct price_part *parts, int count)
{
	int scale = SUM_SCALE_MIN;

	for (int i = 0; i < count; i++) {
		const int own = parts[i].line != NULL ? parts[i].line->scale + dimension_places(parts[i].dimension) : 0;

		if (own > scale)
			scale = own;
	}
	return scale;
}

static bool part_sum(const struct price_part *part, int scale, wide *sum)
{
	*sum = 0;
	return part->line == NULL ||
	       (multiply((wide)part->count, (wide)part->line->mantissa, sum) &&
	        multiply(*sum, power_of_ten(scale - part->line->scale - dimension_places(part->dimension)), sum));
}

bool price_of_use(const struct price *p, enum account_unit unit, const struct price_use *use,
                  struct price_charge *charge)
{
	UNSET struct price_part parts[DIMENSION_COUNT];
	struct ratio ratio;
	int count, scale;
	wide sum = 0;

	CHECK(p->kind == PRICE_MODEL && p->line_count >= 1 && (unsigned)use->tier < TIER_COUNT);
	*charge = (struct price_charge){.cost_micros = 0};
	if (!counts_valid(use->counts))
		return false;
	count = find_parts(p, use, parts);
	scale = sum_scale(parts, count);
	for (int i = 0; i < count; i++) {
		wide part;

		charge->incomplete = charge->incomplete || parts[i].incomplete;
		charge->unpriced = charge->unpriced || parts[i].line == NULL;
		if (!part_sum(&parts[i], scale, &part) || __builtin_add_overflow(sum, part, &sum))
			return false;
	}
	return price_ratio(&p->terms, unit, scale, &ratio) && scale_to(sum, &ratio, true, &charge->cost_micros);
}

int price_parts(const struct price *p, enum account_unit unit, const struct price_use *use,
                struct price_part parts[DIMENSION_COUNT])
{
	const int count = find_parts(p, use, parts), scale = sum_scale(parts, count);
	struct ratio ratio;

	CHECK(price_ratio(&p->terms, unit, scale, &ratio));
	for (int i = 0; i < count; i++) {
		wide sum;

		CHECK(part_sum(&parts[i], scale, &sum) && scale_to(sum, &ratio, false, &parts[i].cost_micros));
	}
	return count;
}

bool price_lists(const struct price *p, enum dimension d)
{
	return has_lines(p, d);
}

bool price_has_tokens(const struct price *p)
{
	for (int i = 0; i < p->line_count; i++)
		if (dimension_side(p->lines[i].dimension) != SIDE_OTHER && p->lines[i].mantissa > 0)
			return true;
	return false;
}

bool price_is_free(const struct price *p)
{
	for (int i = 0; i < p->line_count; i++)
		if (p->lines[i].mantissa > 0)
			return false;
	return true;
}

void price_fold(const struct price *p, struct counts *c)
{
	for (int d = DIMENSION_COLUMNS; d < DIMENSION_COUNT; d++) {
		enum dimension to;

		if (c->of[d] == 0)
			continue;
		to = dimension_stand_in((enum dimension)d);
		if (to >= DIMENSION_COLUMNS || dimension_side((enum dimension)d) == SIDE_OTHER ||
		    (p != NULL && has_lines(p, (enum dimension)d)))
			continue;
		c->of[to] += c->of[d];
		c->of[d] = 0;
	}
}

bool price_of_dollars(const struct price *p, enum account_unit unit, int64_t pico, micros *cost)
{
	struct ratio ratio;

	CHECK(pico >= 0);
	return price_ratio(&p->terms, unit, SUM_SCALE_MIN, &ratio) && scale_to((wide)pico, &ratio, true, cost);
}

bool price_unit_pico(const struct price *p, enum account_unit unit, const struct price_line *line, int64_t *pico)
{
	const int scale = line->scale > SUM_SCALE_MIN ? line->scale : SUM_SCALE_MIN;
	struct ratio ratio;
	wide sum, quotient;

	/* micros times 10^6 are picounits. */
	if (!multiply((wide)line->mantissa, power_of_ten(scale - line->scale), &sum) ||
	    !multiply(sum, (wide)PPM, &sum) || !price_ratio(&p->terms, unit, scale, &ratio) ||
	    !multiply(sum, ratio.numerator, &sum))
		return false;
	quotient = sum / ratio.denominator + (sum % ratio.denominator >= ratio.denominator - sum % ratio.denominator);
	if (quotient > (wide)INT64_MAX)
		return false;
	*pico = (int64_t)quotient;
	return true;
}

bool price_input_is_dearer(const struct price *p)
{
	const struct price_line *input = price_line_of(p, DIMENSION_INPUT, TIER_STANDARD, "", 0);
	const struct price_line *output = price_line_of(p, DIMENSION_OUTPUT, TIER_STANDARD, "", 0);

	return input != NULL && (output == NULL || is_dearer(input, output));
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
	return scale_to(credits, &ratio, true, cost);
}

static bool is_affordable(const struct price *p, enum account_unit unit, const struct price_use *use, int64_t output,
                          micros available)
{
	struct counts counts = *use->counts;
	const struct price_use with = {.counts = &counts, .tier = use->tier, .variant = use->variant};
	struct price_charge charge;

	counts.of[DIMENSION_OUTPUT] = output;
	return price_of_use(p, unit, &with, &charge) && charge.cost_micros <= available;
}

int64_t price_fit_output(const struct price *p, enum account_unit unit, const struct price_use *use, int64_t wanted,
                         micros available)
{
	int64_t low = 0, high;

	CHECK(wanted >= 0);
	if (wanted > COUNTS_MAX)
		wanted = COUNTS_MAX;
	if (!is_affordable(p, unit, use, 0, available))
		return -1;
	if (is_affordable(p, unit, use, wanted, available))
		return wanted;
	/* low is affordable, high is not: the charge does not fall as the output grows. */
	for (high = wanted; high - low > 1;) {
		const int64_t middle = low + (high - low) / 2;

		if (is_affordable(p, unit, use, middle, available))
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* ---- the database's form ------------------------------------------------------------------------- */

void price_write_lines(const struct price *p, struct buf *out)
{
	CHECK(p->kind == PRICE_MODEL);
	buf_add_char(out, '[');
	for (int i = 0; i < p->line_count; i++) {
		const struct price_line *l = &p->lines[i];

		buf_printf(out, "%s[\"%s\",\"%s\",%lld,\"%s\",%lld,%d]", i > 0 ? "," : "", dimension_name(l->dimension),
		           service_tier_name(l->tier), (long long)l->above_tokens, l->variant, (long long)l->mantissa,
		           l->scale);
	}
	buf_add_char(out, ']');
}

/* The unread remainder of a text. */
struct cursor {
	const char *at, *end;
};

static bool take_one(struct cursor *c, char wanted)
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

/* A text in quotes, without any inside. */
static bool take_text(struct cursor *c, char text[PRICE_VARIANT_MAX])
{
	size_t length = 0;

	if (!take_one(c, '"'))
		return false;
	for (; c->at < c->end && *c->at != '"'; c->at++) {
		if (length + 1 == PRICE_VARIANT_MAX)
			return false;
		text[length++] = *c->at;
	}
	text[length] = '\0';
	return take_one(c, '"');
}

static bool take_line(struct cursor *c, struct price_line *l)
{
	char dimension[PRICE_VARIANT_MAX], tier[PRICE_VARIANT_MAX];
	int64_t scale;
	int d, t;

	if (!take_one(c, '[') || !take_text(c, dimension) || !take_one(c, ',') || !take_text(c, tier) ||
	    !take_one(c, ',') || !take_int(c, &l->above_tokens) || !take_one(c, ',') || !take_text(c, l->variant) ||
	    !take_one(c, ',') || !take_int(c, &l->mantissa) || !take_one(c, ',') || !take_int(c, &scale) ||
	    !take_one(c, ']'))
		return false;
	d = dimension_named(dimension, strlen(dimension));
	t = service_tier_named(tier);
	if (d < 0 || t < 0 || scale > PRICE_SCALE_MAX)
		return false;
	l->dimension = (enum dimension)d;
	l->tier = (enum service_tier)t;
	l->scale = (int)scale;
	return line_valid(l);
}

int price_read_lines(const char *text, size_t length, struct price_line lines[PRICE_LINES_MAX])
{
	struct cursor c = {.at = text, .end = text + length};
	int count = 0;

	if (!take_one(&c, '['))
		return -1;
	do {
		if (count == PRICE_LINES_MAX || !take_line(&c, &lines[count]))
			return -1;
		count++;
	} while (take_one(&c, ','));
	return take_one(&c, ']') && c.at == c.end ? count : -1;
}

/* [above, input, cache read, cache write, cache write for 1 hour, output], in pico-dollars. */
static bool take_tier(struct cursor *c, struct price_line lines[DIMENSION_COLUMNS])
{
	int64_t above;

	if (!take_one(c, '[') || !take_int(c, &above))
		return false;
	for (int d = 0; d < DIMENSION_COLUMNS; d++) {
		lines[d] = (struct price_line){.dimension = (enum dimension)d, .above_tokens = above, .scale = 12};
		if (!take_one(c, ',') || !take_int(c, &lines[d].mantissa) || !line_valid(&lines[d]))
			return false;
		for (; lines[d].scale > 0 && lines[d].mantissa % 10 == 0; lines[d].scale--)
			lines[d].mantissa /= 10;
	}
	return take_one(c, ']');
}

int price_read_tiers(const char *text, size_t length, struct price_line lines[PRICE_LINES_MAX])
{
	struct cursor c = {.at = text, .end = text + length};
	int count = 0;

	if (!take_one(&c, '['))
		return -1;
	do {
		if (count + DIMENSION_COLUMNS > PRICE_LINES_MAX || !take_tier(&c, &lines[count]))
			return -1;
		count += DIMENSION_COLUMNS;
	} while (take_one(&c, ','));
	if (!take_one(&c, ']') || c.at != c.end)
		return -1;
	price_sort(lines, count);
	return count;
}

int price_read_dollars(const char *text, size_t length, int shift, bool round, struct price_line *line)
{
	const int finest = PRICE_SCALE_MAX - shift;
	int scale = 0;

	CHECK(shift >= 0 && finest >= 0);
	while (scale <= finest && decimal_parse(text, length, scale, false, &line->mantissa) != 0)
		scale++;
	/* Finer digits than are kept are rounded, at the finest scale at which the number fits. */
	if (scale > finest && round)
		for (scale = finest; scale > 0 && decimal_parse(text, length, scale, true, &line->mantissa) != 0;)
			scale--;
	if (scale > finest || (scale == 0 && decimal_parse(text, length, 0, round, &line->mantissa) != 0))
		return -1;
	line->scale = scale + shift;
	for (; line->scale > 0 && line->mantissa % 10 == 0; line->scale--)
		line->mantissa /= 10;
	return line->mantissa >= 0 && (wide)line->mantissa <= (wide)PRICE_DOLLARS_MAX * power_of_ten(line->scale) ? 0
	                                                                                                          : -1;
}

void price_put_dollars(struct buf *out, const struct price_line *line, int shift)
{
	char text[MONEY_TEXT_MAX];
	int scale = line->scale - shift;
	int64_t mantissa = line->mantissa;

	for (; scale < 0; scale++)
		CHECK(!__builtin_mul_overflow(mantissa, INT64_C(10), &mantissa));
	CHECK(decimal_format(mantissa, scale, 0, text) > 0);
	buf_add_text(out, text);
}
