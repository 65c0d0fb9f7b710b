#include "prices/pricelist.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define DOLLAR_SCALE 18

static const struct field {
	const char *name;
	enum dimension dimension;
} fields[] = {
#define FIELD(name, DIMENSION) {name, DIMENSION_##DIMENSION},
#include "prices/pricelist_fields.def"
#undef FIELD
};

/* reason and field are of the first problem. */
struct reading {
	const struct json *list;
	const struct json *record;
	enum pricelist_reason reason;
	char field[96];
	bool inclusive; /* thresholds are "at least", not "more than" */
	bool makes_images;
	char provider[PRICE_PROVIDER_MAX];
	const char *unused[PRICELIST_UNUSED_MAX];
	int unused_count;
	int count;
	struct price_line lines[PRICE_LINES_MAX];
};

static const char *const reason_names[] = {
	"accepted",
#define REASON(NAME, name, sentence) name,
#include "prices/pricelist_reasons.def"
#undef REASON
};

static const char *const reason_sentences[] = {
	"",
#define REASON(NAME, name, sentence) sentence,
#include "prices/pricelist_reasons.def"
#undef REASON
};

const char *pricelist_reason_name(enum pricelist_reason reason)
{
	CHECK(reason >= 0 && reason < PRICELIST_REASON_COUNT);
	return reason_names[reason];
}

const char *pricelist_reason_sentence(enum pricelist_reason reason)
{
	CHECK(reason >= 0 && reason < PRICELIST_REASON_COUNT);
	return reason_sentences[reason];
}

static void refuse_entry(struct reading *r, enum pricelist_reason reason, const char *field)
{
	if (r->reason != PRICELIST_ACCEPTED)
		return;
	r->reason = reason;
	snprintf(r->field, sizeof(r->field), "%s", field);
}

static const char *text_of(const struct json *value, size_t *length)
{
	*length = 0;
	if (value == NULL || json_type(value) != JSON_TEXT)
		return NULL;
	return json_text(value, length);
}

static bool is_listed(const struct json *record, const char *name)
{
	const struct json *value = json_get(record, name);

	return value != NULL && json_type(value) != JSON_NULL_VALUE;
}

/* ---- a field ------------------------------------------------------------------------------------ */

static bool take(const char **at, const char *text)
{
	const size_t length = strlen(text);

	if (strncmp(*at, text, length) != 0)
		return false;
	*at += length;
	return true;
}

static bool take_number(const char **at, int64_t *number)
{
	const char *first = *at;

	for (*number = 0; **at >= '0' && **at <= '9'; (*at)++) {
		*number = *number * 10 + (**at - '0');
		if (*number > COUNTS_MAX)
			return false;
	}
	return *at > first;
}

/* Takes one ending of a field's name: a threshold, a service tier or a variant. */
static bool take_ending(const struct reading *r, const char **at, struct price_line *line)
{
	const char *ahead = *at;
	int64_t number;

	if (take(at, "_batches") || take(at, "_flex") || take(at, "_priority")) {
		line->tier = ahead[1] == 'b' ? TIER_BATCH : ahead[1] == 'f' ? TIER_FLEX : TIER_PRIORITY;
		return true;
	}
	if (take(&ahead, "_above_") && take_number(&ahead, &number)) {
		const int64_t unit = take(&ahead, "k_tokens") ? 1000 : take(&ahead, "_tokens") ? 1 : 0;

		if (unit > 0 && number > 0 && number <= COUNTS_MAX / unit) {
			line->above_tokens = number * unit - (r->inclusive ? 1 : 0);
		} else if (unit == 0 && take(&ahead, "s_interval")) {
			snprintf(line->variant, sizeof(line->variant), "interval>%llds", (long long)number);
		} else {
			return false;
		}
		*at = ahead;
		return true;
	}
	ahead = *at;
	if (!take(&ahead, "_") || !take_number(&ahead, &number) || !take(&ahead, "p"))
		return false;
	snprintf(line->variant, sizeof(line->variant), "%lldp", (long long)number);
	*at = ahead;
	return true;
}

/* The dimension and the endings of a field; false when the field is not one that is read. */
static bool read_field(const struct reading *r, const char *key, struct price_line *line)
{
	const struct field *best = NULL;
	const char *at;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strncmp(key, fields[i].name, strlen(fields[i].name)) == 0 &&
		    (best == NULL || strlen(fields[i].name) > strlen(best->name)))
			best = &fields[i];
	if (best == NULL)
		return false;
	*line = (struct price_line){.dimension = best->dimension};
	for (at = key + strlen(best->name); *at != '\0';)
		if (!take_ending(r, &at, line))
			return false;
	return true;
}

/* Spellings that another field of the same entry stands above. */
static bool is_alias(const struct reading *r, const char *key)
{
	if (strncmp(key, "input_cost_per_token_cache_hit", 30) == 0)
		return is_listed(r->record, "cache_read_input_token_cost");
	if (strncmp(key, "input_cost_per_audio_per_second", 31) == 0)
		return is_listed(r->record, "input_cost_per_second");
	return strstr(key, "_dbu_") != NULL;
}

/* Reads a price, which arrives as its decimal text; LiteLLM takes texts for prices too.  False when it is not listed,
 * or refused, or 0 of something else than tokens. */
static bool read_price(struct reading *r, const char *key, const struct json *value, struct price_line *line)
{
	const char *text;
	size_t length;
	int64_t number;

	if (json_type(value) == JSON_NULL_VALUE)
		return false;
	text = text_of(value, &length);
	if (text == NULL || (decimal_parse(text, length, 0, true, &number) != 0 &&
	                     decimal_parse(text, length, DOLLAR_SCALE, true, &number) != 0)) {
		refuse_entry(r, PRICELIST_UNREADABLE, key);
		return false;
	}
	if (text[0] == '-' && decimal_parse(text, length, DOLLAR_SCALE, true, &number) == 0 && number != 0) {
		refuse_entry(r, PRICELIST_NEGATIVE, key);
		return false;
	}
	if (price_read_dollars(text, length, 0, true, line) != 0) {
		refuse_entry(r, PRICELIST_TOO_HIGH, key);
		return false;
	}
	return line->mantissa > 0 || dimension_side(line->dimension) != SIDE_OTHER;
}

static bool is_same_place(const struct price_line *a, const struct price_line *b)
{
	return a->dimension == b->dimension && a->tier == b->tier && a->above_tokens == b->above_tokens &&
	       strcmp(a->variant, b->variant) == 0;
}

/* True if a is the dearer one; both scales are at most PRICE_SCALE_MAX. */
static bool is_dearer_line(const struct price_line *a, const struct price_line *b)
{
	unsigned __int128 left = (unsigned __int128)a->mantissa, right = (unsigned __int128)b->mantissa;

	for (int i = a->scale; i < PRICE_SCALE_MAX; i++)
		left *= 10;
	for (int i = b->scale; i < PRICE_SCALE_MAX; i++)
		right *= 10;
	return left > right;
}

/* Adds the line; of two in one place the dearer one stays. */
static void add_line(struct reading *r, const char *key, const struct price_line *line)
{
	for (int i = 0; i < r->count; i++) {
		if (!is_same_place(&r->lines[i], line))
			continue;
		if (is_dearer_line(line, &r->lines[i]))
			r->lines[i] = *line;
		return;
	}
	if (r->count == PRICE_LINES_MAX)
		refuse_entry(r, PRICELIST_TOO_MANY_LINES, key);
	else
		r->lines[r->count++] = *line;
}

/* Names a field that prices something and is not read. */
static void note_unused(struct reading *r, const char *key, const struct json *value)
{
	struct price_line line = {.dimension = DIMENSION_QUERIES};
	const char *text;
	size_t length;

	if (strstr(key, "cost") == NULL || r->unused_count == PRICELIST_UNUSED_MAX)
		return;
	text = text_of(value, &length);
	if (text != NULL && price_read_dollars(text, length, 0, true, &line) == 0 && line.mantissa == 0)
		return;
	if (text != NULL || json_type(value) == JSON_RECORD || json_type(value) == JSON_LIST)
		r->unused[r->unused_count++] = key;
}

static int take_field(void *context, const char *key, const struct json *value)
{
	struct reading *r = context;
	struct price_line line;

	if (strcmp(key, "search_context_cost_per_query") == 0 || is_alias(r, key))
		return 0;
	if (!read_field(r, key, &line))
		note_unused(r, key, value);
	else if (read_price(r, key, value, &line))
		add_line(r, key, &line);
	return 0;
}

/* ---- searches ----------------------------------------------------------------------------------- */

/* The sizes of a search's context; the default is the middle one. */
static void read_searches(struct reading *r)
{
	static const char *const sizes[] = {"low", "medium", "high"};
	const struct json *record = json_get(r->record, "search_context_cost_per_query");
	struct price_line found[3], dearest = {.mantissa = 0};
	bool listed[3], equal = true;

	if (record == NULL || json_type(record) != JSON_RECORD)
		return;
	for (int i = 0; i < 3; i++) {
		char key[32];

		snprintf(key, sizeof(key), "search_context_size_%s", sizes[i]);
		found[i] = (struct price_line){.dimension = DIMENSION_SEARCH_CALLS};
		snprintf(found[i].variant, sizeof(found[i].variant), "context=%s", sizes[i]);
		listed[i] = is_listed(record, key) && read_price(r, key, json_get(record, key), &found[i]);
		if (!listed[i])
			continue;
		equal = equal && (dearest.mantissa == 0 ||
		                  (!is_dearer_line(&found[i], &dearest) && !is_dearer_line(&dearest, &found[i])));
		if (is_dearer_line(&found[i], &dearest))
			dearest = found[i];
	}
	if (dearest.mantissa == 0)
		return;
	for (int i = 0; i < 3; i++)
		if (listed[i] && !equal)
			add_line(r, "search_context_cost_per_query", &found[i]);
	if (listed[1])
		dearest = found[1];
	dearest.variant[0] = '\0';
	add_line(r, "search_context_cost_per_query", &dearest);
}

/* ---- tiered_pricing ------------------------------------------------------------------------------ */

/* Reads the two numbers of a range; false, refused, when it is none. */
static bool read_range(struct reading *r, const struct json *range, int64_t bound[2])
{
	for (size_t i = 0; i < 2; i++) {
		const char *text = NULL;
		size_t length = 0;

		if (range != NULL && json_type(range) == JSON_LIST && json_size(range) == 2)
			text = text_of(json_at(range, i), &length);
		if (text == NULL || decimal_parse(text, length, 0, false, &bound[i]) != 0 || bound[i] < 0 ||
		    bound[i] > COUNTS_MAX) {
			refuse_entry(r, PRICELIST_TIERS, "range");
			return false;
		}
	}
	return true;
}

/* A record of tiered_pricing while it is read. */
struct tier_record {
	struct reading *r;
	int64_t bound[2];
	bool of_results; /* the range is one of results, not of tokens */
	bool has_output;
};

static int take_tier_field(void *context, const char *key, const struct json *value)
{
	struct tier_record *t = context;
	struct price_line line;

	if (!read_field(t->r, key, &line) || !read_price(t->r, key, value, &line))
		return 0;
	if (t->of_results)
		snprintf(line.variant, sizeof(line.variant), "results<=%lld", (long long)t->bound[1]);
	else
		line.above_tokens = t->bound[0];
	t->has_output = t->has_output || line.dimension == DIMENSION_OUTPUT;
	add_line(t->r, key, &line);
	return 0;
}

/* Removes the entry's own lines of the fields that the records list. */
static void drop_replaced(struct reading *r, const struct json *list)
{
	int kept = 0;

	for (int i = 0; i < r->count; i++) {
		bool replaced = false;

		for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++)
			for (size_t k = 0; fields[f].dimension == r->lines[i].dimension && k < json_size(list); k++)
				replaced = replaced || is_listed(json_at(list, k), fields[f].name);
		if (!replaced || r->lines[i].tier != TIER_STANDARD)
			r->lines[kept++] = r->lines[i];
	}
	r->count = kept;
}

static const struct price_line *find_output(const struct reading *r)
{
	for (int i = 0; i < r->count; i++)
		if (r->lines[i].dimension == DIMENSION_OUTPUT && r->lines[i].tier == TIER_STANDARD &&
		    r->lines[i].above_tokens == 0)
			return &r->lines[i];
	return NULL;
}

/* Replaces the prices of the entry's fields.  A tier without an output price keeps the entry's. */
static void read_tiered_pricing(struct reading *r, const struct json *list)
{
	const struct price_line *listed_output = find_output(r);
	struct price_line output = {.dimension = DIMENSION_OUTPUT};
	const bool has_output = listed_output != NULL;
	int64_t end = 0;

	if (has_output)
		output = *listed_output;
	if (json_type(list) != JSON_LIST || json_size(list) == 0) {
		refuse_entry(r, PRICELIST_TIERS, "tiered_pricing");
		return;
	}
	drop_replaced(r, list);
	for (size_t i = 0; i < json_size(list); i++) {
		const struct json *record = json_at(list, i), *results = json_get(record, "max_results_range");
		struct tier_record t = {.r = r, .of_results = results != NULL};

		if (!read_range(r, results != NULL ? results : json_get(record, "range"), t.bound))
			return;
		if (!t.of_results && (t.bound[0] != end || t.bound[1] <= t.bound[0]))
			refuse_entry(r, PRICELIST_TIERS, "range");
		end = t.bound[1];
		json_each(record, take_tier_field, &t);
		output.above_tokens = t.bound[0];
		if (!t.of_results && !t.has_output && has_output)
			add_line(r, "tiered_pricing", &output);
	}
}

/* ---- multipliers --------------------------------------------------------------------------------- */

/* The line's price times the factor, rounded half up where it has more than DOLLAR_SCALE places; false when it is out
 * of range. */
static bool multiply_line(struct price_line *line, const struct price_line *factor)
{
	unsigned __int128 product = (unsigned __int128)line->mantissa * (unsigned __int128)factor->mantissa;

	for (line->scale += factor->scale; line->scale > 0 && product % 10 == 0; line->scale--)
		product /= 10;
	for (; line->scale > DOLLAR_SCALE; line->scale--)
		product = product / 10 + (product % 10 >= 5 && line->scale == DOLLAR_SCALE + 1);
	line->mantissa = (int64_t)product;
	return product <= (unsigned __int128)INT64_MAX;
}

/* Adds the token lines of that variant once more, as a variant of their own, times the listed factor. */
static void add_multiplied(struct reading *r, const struct json *record, const char *key, const char *of,
                           const char *variant)
{
	struct price_line factor = {.dimension = DIMENSION_QUERIES};
	const int count = r->count;

	if (!is_listed(record, key) || !read_price(r, key, json_get(record, key), &factor))
		return;
	for (int i = 0; i < count; i++) {
		struct price_line line = r->lines[i];

		if (dimension_side(line.dimension) == SIDE_OTHER || strcmp(line.variant, of) != 0)
			continue;
		snprintf(line.variant, sizeof(line.variant), "%s%s%s", of, of[0] != '\0' ? "/" : "", variant);
		if (multiply_line(&line, &factor))
			add_line(r, key, &line);
		else
			refuse_entry(r, PRICELIST_TOO_HIGH, key);
	}
}

/* Tokens that are served in a region, or fast, cost more (docs.anthropic.com, data residency, fast mode). */
static void read_multipliers(struct reading *r)
{
	static const char *const regions[] = {"", "region=us", "region=eu"};
	const struct json *specific = json_get(r->record, "provider_specific_entry");

	add_multiplied(r, r->record, "regional_processing_uplift_multiplier_us", "", "region=us");
	add_multiplied(r, r->record, "regional_processing_uplift_multiplier_eu", "", "region=eu");
	if (specific == NULL || json_type(specific) != JSON_RECORD)
		return;
	add_multiplied(r, specific, "us", "", "region=us");
	add_multiplied(r, specific, "eu", "", "region=eu");
	for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++)
		add_multiplied(r, specific, "fast", regions[i], "speed=fast");
}

/* ---- an entry ----------------------------------------------------------------------------------- */

static bool has_price(const struct reading *r, bool tokens_only)
{
	for (int i = 0; i < r->count; i++)
		if (r->lines[i].mantissa > 0 && (!tokens_only || dimension_side(r->lines[i].dimension) != SIDE_OTHER))
			return true;
	return false;
}

/* An entry that makes images, and prices them by input_cost_per_image alone, means the images made. */
static void turn_images(struct reading *r)
{
	if (!r->makes_images || has_price(r, true))
		return;
	for (int i = 0; i < r->count; i++)
		if (r->lines[i].dimension == DIMENSION_IMAGES)
			return;
	for (int i = 0; i < r->count; i++)
		if (r->lines[i].dimension == DIMENSION_INPUT_IMAGES)
			r->lines[i].dimension = DIMENSION_IMAGES;
}

/* Whether the entry's mode is one of those that make images. */
static bool makes_images(const struct json *record)
{
	size_t length;
	const char *mode = text_of(json_get(record, "mode"), &length);

	return mode != NULL && (strcmp(mode, "image_generation") == 0 || strcmp(mode, "image_edit") == 0);
}

static void read_lines(struct reading *r, const struct json *record)
{
	const struct json *tiered = json_get(record, "tiered_pricing");
	size_t length;
	const char *provider = text_of(json_get(record, "litellm_provider"), &length);

	r->record = record;
	if (provider != NULL && price_name_valid(provider, sizeof(r->provider)))
		snprintf(r->provider, sizeof(r->provider), "%s", provider);
	else
		refuse_entry(r, PRICELIST_PROVIDER, "litellm_provider");
	r->inclusive = strcmp(r->provider, "xai") == 0;
	r->makes_images = makes_images(record);
	json_each(record, take_field, r);
	read_searches(r);
	if (tiered != NULL && json_type(tiered) != JSON_NULL_VALUE)
		read_tiered_pricing(r, tiered);
	turn_images(r);
	read_multipliers(r);
}

/* ---- variants in names --------------------------------------------------------------------------- */

/* "1024-x-1024/" or "1024x1024/", also "max-x-max/": its length with the slash; 0: the text begins otherwise. */
static size_t size_segment(const char *text)
{
	const size_t length = strcspn(text, "/");
	const char *x = memchr(text, 'x', length);

	if (text[length] != '/' || length < 3)
		return 0;
	if (strncmp(text, "max-x-max", length) == 0 && length == 9)
		return length + 1;
	if (x == NULL || strspn(text, "0123456789-x") != length || text[0] < '0' || text[0] > '9' ||
	    text[length - 1] < '0' || text[length - 1] > '9' ||
	    strspn(x + 1, "0123456789-") + 1 != length - (size_t)(x - text))
		return 0;
	return length + 1;
}

static size_t quality_segment(const char *text)
{
	static const char *const qualities[] = {"low/", "medium/", "high/", "hd/", "standard/", "auto/"};

	for (size_t i = 0; i < sizeof(qualities) / sizeof(qualities[0]); i++)
		if (strncmp(text, qualities[i], strlen(qualities[i])) == 0)
			return strlen(qualities[i]);
	return 0;
}

static size_t steps_segment(const char *text)
{
	const size_t length = strcspn(text, "/");

	return text[length] == '/' && length > 6 && strncmp(text + length - 6, "-steps", 6) == 0 ? length + 1 : 0;
}

/* Takes "[provider/]quality/size/model", "[provider/]size/steps/model" and "[provider/]size/model" apart.  False when
 * name is none of them. */
static bool split_name(const char *name, char base[PRICE_ITEM_MAX], char variant[PRICE_VARIANT_MAX])
{
	size_t provider = 0, other = quality_segment(name), size = size_segment(name + other), steps;
	const char *at;
	int length = 0;

	if (size == 0 && other == 0) {
		provider = strcspn(name, "/");
		if (name[provider] != '/')
			return false;
		provider++;
		other = quality_segment(name + provider);
		size = size_segment(name + provider + other);
	}
	if (size == 0 || strlen(name) >= PRICE_ITEM_MAX)
		return false;
	at = name + provider + other + size;
	steps = other == 0 ? steps_segment(at) : 0;
	for (const char *c = at - size; c < at - 1 && length < PRICE_VARIANT_MAX - 1; c++)
		if (*c != '-')
			variant[length++] = *c;
	variant[length] = '\0';
	if (other > 0)
		snprintf(variant + length, PRICE_VARIANT_MAX - (size_t)length, "/%.*s", (int)other - 1,
		         name + provider);
	else if (steps > 0)
		snprintf(variant + length, PRICE_VARIANT_MAX - (size_t)length, "/%.*s", (int)steps - 1, at);
	snprintf(base, PRICE_ITEM_MAX, "%.*s%s", (int)provider, name, at + steps);
	return at[steps] != '\0' && price_variant_valid(variant);
}

/* A search through the list for the variants of a model. */
struct variants {
	struct reading *r; /* takes the lines of all variants; NULL: only the first is looked for */
	const char *base, *first;
	const struct json *record; /* of the first */
};

static int take_variant(void *context, const char *key, const struct json *value)
{
	struct variants *v = context;
	struct reading one;
	char base[PRICE_ITEM_MAX], variant[PRICE_VARIANT_MAX];

	if (json_type(value) != JSON_RECORD || !makes_images(value) || !split_name(key, base, variant) ||
	    strcmp(base, v->base) != 0)
		return 0;
	if (v->first == NULL) {
		v->first = key;
		v->record = value;
	}
	if (v->r == NULL)
		return 1;
	memset(&one, 0, sizeof(one));
	read_lines(&one, value);
	for (int i = 0; one.reason == PRICELIST_ACCEPTED && i < one.count; i++) {
		if (one.lines[i].variant[0] != '\0' || one.lines[i].mantissa == 0)
			continue;
		snprintf(one.lines[i].variant, sizeof(one.lines[i].variant), "%s", variant);
		add_line(v->r, "name", &one.lines[i]);
	}
	return 0;
}

struct visitor {
	int (*visit)(void *context, const struct pricelist_entry *entry);
	void *context;
	const struct json *list;
	struct pricelist_counts *counts;
};

static int tell(const struct visitor *v, struct reading *r, const char *item, bool made)
{
	struct pricelist_entry entry = {.item = item, .field = r->field, .made = made};
	struct price p;

	memset(&p, 0, sizeof(p));
	if (!has_price(r, false))
		refuse_entry(r, PRICELIST_FREE, "");
	if (made)
		v->counts->made += r->reason == PRICELIST_ACCEPTED;
	else {
		v->counts->entries++;
		v->counts->reason[r->reason]++;
	}
	entry.reason = r->reason;
	if (r->reason == PRICELIST_ACCEPTED) {
		price_sort(r->lines, r->count);
		p.kind = PRICE_MODEL;
		snprintf(p.item, sizeof(p.item), "%s", item);
		snprintf(p.provider, sizeof(p.provider), "%s", r->provider);
		p.lines = r->lines;
		p.line_count = r->count;
		entry.price = &p;
		memcpy(entry.unused, r->unused, sizeof(entry.unused));
		entry.unused_count = r->unused_count;
	}
	return made && r->reason != PRICELIST_ACCEPTED ? 0 : v->visit(v->context, &entry);
}

/* Makes the model of a variant, if the list has no entry for it and this is the first of its variants. */
static int tell_model(const struct visitor *v, const char *key)
{
	char base[PRICE_ITEM_MAX], variant[PRICE_VARIANT_MAX];
	struct reading r;
	struct variants variants = {.base = base};

	if (!split_name(key, base, variant) || json_get(v->list, base) != NULL)
		return 0;
	json_each(v->list, take_variant, &variants);
	if (variants.first == NULL || strcmp(variants.first, key) != 0)
		return 0;
	memset(&r, 0, sizeof(r));
	read_lines(&r, variants.record);
	r.count = 0;
	r.unused_count = 0;
	variants.r = &r;
	json_each(v->list, take_variant, &variants);
	return tell(v, &r, base, true);
}

static int take_entry(void *context, const char *key, const struct json *value)
{
	const struct visitor *v = context;
	struct reading r;
	struct variants variants = {.r = &r, .base = key};
	int result;

	if (json_type(value) != JSON_RECORD || strcmp(key, "sample_spec") == 0 ||
	    strcmp(key, "fallback_generalizations") == 0)
		return 0;
	memset(&r, 0, sizeof(r));
	if (!price_name_valid(key, PRICE_ITEM_MAX))
		refuse_entry(&r, PRICELIST_NAME, "");
	read_lines(&r, value);
	if (r.reason == PRICELIST_ACCEPTED && r.makes_images)
		json_each(v->list, take_variant, &variants);
	result = tell(v, &r, key, false);
	return result == 0 && r.makes_images ? tell_model(v, key) : result;
}

int pricelist_read(const char *bytes, size_t length, int (*visit)(void *context, const struct pricelist_entry *entry),
                   void *context, struct pricelist_counts *counts, char error[JSON_ERROR_MAX])
{
	struct json *list = json_parse(bytes, length, true, error);
	struct visitor v = {.visit = visit, .context = context, .counts = counts, .list = list};
	int result;

	memset(counts, 0, sizeof(*counts));
	if (list == NULL)
		return -1;
	if (json_type(list) != JSON_RECORD) {
		snprintf(error, JSON_ERROR_MAX, "is not a record of models");
		json_free(list);
		return -1;
	}
	result = json_each(list, take_entry, &v);
	json_free(list);
	return result;
}
