#include "prices/pricelist.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define DOLLAR_SCALE 12 /* 10^-12 dollars are a pico-dollar */

/* The field of each class, after which "_above_<N>k_tokens" may follow. */
static const char *const class_field[PRICE_CLASSES] = {
	[PRICE_INPUT] = "input_cost_per_token",
	[PRICE_CACHE_READ] = "cache_read_input_token_cost",
	[PRICE_CACHE_WRITE] = "cache_creation_input_token_cost",
	[PRICE_CACHE_WRITE_1H] = "cache_creation_input_token_cost_above_1hr",
	[PRICE_OUTPUT] = "output_cost_per_token",
};

/* A tier while it is read; listed says which of its prices the list has. */
struct draft {
	int64_t above_tokens;
	bool listed[PRICE_CLASSES];
	int64_t pico[PRICE_CLASSES];
	bool has_reasoning;
	int64_t reasoning_pico;
};

/* reason and field are of the first problem.  draft[0] is the base; the others are in the order of the list. */
struct reading {
	const struct json *record;
	enum pricelist_reason reason;
	char field[96];
	bool generates; /* the entry's mode has an output */
	bool inclusive; /* thresholds are "at least", not "more than" */
	bool other_prices;
	int count;
	struct draft draft[PRICE_TIERS_MAX];
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

static void refuse(struct reading *r, enum pricelist_reason reason, const char *field)
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

/* A price; false when it is not listed (or null) or refused.  Numbers arrive as their decimal text,
 * and LiteLLM takes strings for prices too. */
static bool read_price(struct reading *r, const char *key, const struct json *value, int64_t *pico)
{
	const char *text;
	size_t length;

	if (value == NULL || json_type(value) == JSON_NULL_VALUE)
		return false;
	text = text_of(value, &length);
	if (text == NULL || decimal_parse(text, length, DOLLAR_SCALE, true, pico) != 0)
		refuse(r, PRICELIST_UNREADABLE, key);
	else if (*pico < 0)
		refuse(r, PRICELIST_NEGATIVE, key);
	else if (*pico > PRICE_PICO_MAX)
		refuse(r, PRICELIST_TOO_HIGH, key);
	else
		return true;
	return false;
}

/* "_above_200k_tokens" or "_above_200000_tokens" to 200000; -1 for anything else. */
static int64_t threshold_of(const char *suffix)
{
	static const char above[] = "_above_";
	const char *at = suffix + sizeof(above) - 1;
	int64_t value = 0;

	if (strncmp(suffix, above, sizeof(above) - 1) != 0 || *at < '0' || *at > '9')
		return -1;
	for (; *at >= '0' && *at <= '9'; at++) {
		value = value * 10 + (*at - '0');
		if (value > PRICE_TOKENS_MAX)
			return -1;
	}
	if (*at == 'k') {
		value *= 1000;
		at++;
	}
	return strcmp(at, "_tokens") == 0 && value > 0 ? value : -1;
}

/* The class and the threshold (0: base) of a field; false when it is not a price per token. */
static bool field_of(const char *key, enum price_class *class, int64_t *above_tokens)
{
	for (int c = 0; c < PRICE_CLASSES; c++) {
		size_t length = strlen(class_field[c]);

		if (strncmp(key, class_field[c], length) != 0)
			continue;
		*class = (enum price_class)c;
		*above_tokens = key[length] == '\0' ? 0 : threshold_of(key + length);
		if (*above_tokens >= 0)
			return true;
	}
	return false;
}

static bool ends_with(const char *key, const char *end)
{
	size_t length = strlen(key);

	return length >= strlen(end) && strcmp(key + length - strlen(end), end) == 0;
}

/* True if a field that is not read sets a price of something that a request can contain. */
static bool is_other_price(const char *key, const struct json *value)
{
	const char *text;
	size_t length;
	int64_t price;

	if (strstr(key, "cost") == NULL || ends_with(key, "_batches") || ends_with(key, "_flex") ||
	    ends_with(key, "_priority"))
		return false;
	text = text_of(value, &length);
	if (text == NULL)
		return json_type(value) == JSON_RECORD; /* search_context_cost_per_query */
	return decimal_parse(text, length, DOLLAR_SCALE, true, &price) != 0 || price != 0;
}

static struct draft *draft_for(struct reading *r, int64_t above_tokens)
{
	for (int i = 0; i < r->count; i++) {
		if (r->draft[i].above_tokens == above_tokens)
			return &r->draft[i];
	}
	if (r->count == PRICE_TIERS_MAX)
		return NULL;
	r->draft[r->count].above_tokens = above_tokens;
	return &r->draft[r->count++];
}

static int take_field(void *context, const char *key, const struct json *value)
{
	struct reading *r = context;
	struct draft *d;
	enum price_class class;
	int64_t above_tokens, pico;

	if (!field_of(key, &class, &above_tokens)) {
		if (is_other_price(key, value))
			r->other_prices = true;
		return 0;
	}
	if (!read_price(r, key, value, &pico))
		return 0;
	if (above_tokens > 0 && r->inclusive)
		above_tokens--;
	d = draft_for(r, above_tokens);
	if (d == NULL) {
		refuse(r, PRICELIST_TOO_MANY_TIERS, key);
		return 0;
	}
	d->listed[class] = true;
	d->pico[class] = pico;
	return 0;
}

/* Reads one record of tiered_pricing; its range must begin where the record before ended. */
static void read_tier(struct reading *r, const struct json *record, int64_t *end)
{
	const struct json *range = json_get(record, "range");
	struct draft *d = &r->draft[r->count];
	int64_t bound[2];

	for (size_t i = 0; i < 2; i++) {
		const char *text = NULL;
		size_t length = 0;

		if (range != NULL && json_type(range) == JSON_LIST && json_size(range) == 2)
			text = text_of(json_at(range, i), &length);
		if (text == NULL || decimal_parse(text, length, 0, false, &bound[i]) != 0) {
			refuse(r, PRICELIST_TIERS, "range");
			return;
		}
	}
	if (bound[0] != *end || bound[1] <= bound[0])
		refuse(r, PRICELIST_TIERS, "range");
	*end = bound[1];
	d->above_tokens = bound[0];
	for (int c = 0; c < PRICE_CLASSES; c++)
		d->listed[c] = read_price(r, class_field[c], json_get(record, class_field[c]),
		                          &d->pico[c]);
	d->has_reasoning =
		read_price(r, "output_cost_per_reasoning_token",
	                   json_get(record, "output_cost_per_reasoning_token"), &d->reasoning_pico);
	r->count++;
}

/* Replaces the prices of the entry's fields.  A tier without an output price keeps the entry's. */
static void read_tiered_pricing(struct reading *r, const struct json *list)
{
	struct draft base = r->draft[0];
	int64_t end = 0;

	r->count = 0;
	if (json_type(list) != JSON_LIST || json_size(list) == 0) {
		refuse(r, PRICELIST_TIERS, "tiered_pricing");
		return;
	}
	if (json_size(list) > PRICE_TIERS_MAX) {
		refuse(r, PRICELIST_TOO_MANY_TIERS, "tiered_pricing");
		return;
	}
	memset(r->draft, 0, sizeof(r->draft));
	for (size_t i = 0; i < json_size(list); i++)
		read_tier(r, json_at(list, i), &end);
	for (int i = 0; i < r->count; i++) {
		if (!r->draft[i].listed[PRICE_OUTPUT]) {
			r->draft[i].listed[PRICE_OUTPUT] = base.listed[PRICE_OUTPUT];
			r->draft[i].pico[PRICE_OUTPUT] = base.pico[PRICE_OUTPUT];
		}
	}
}

static void sort_drafts(struct reading *r)
{
	for (int i = 1; i < r->count; i++) {
		struct draft d = r->draft[i];
		int at = i;

		for (; at > 0 && r->draft[at - 1].above_tokens > d.above_tokens; at--)
			r->draft[at] = r->draft[at - 1];
		r->draft[at] = d;
	}
}

/* Fills in the prices that a tier does not list itself. */
static void complete(struct draft *d, const struct draft *base)
{
	static const enum price_class stand_in[PRICE_CLASSES] = {
		[PRICE_CACHE_READ] = PRICE_INPUT,
		[PRICE_CACHE_WRITE] = PRICE_INPUT,
		[PRICE_CACHE_WRITE_1H] = PRICE_CACHE_WRITE,
	};

	for (int c = 0; c < PRICE_CLASSES; c++) {
		if (d->listed[c])
			continue;
		if (base->listed[c]) {
			d->pico[c] = base->pico[c];
			d->listed[c] = true;
		} else if (c != PRICE_INPUT && c != PRICE_OUTPUT) {
			d->pico[c] = d->pico[stand_in[c]];
		}
	}
}

static void judge(struct reading *r, const struct draft *d)
{
	int64_t input = d->pico[PRICE_INPUT];
	int64_t output = d->pico[PRICE_OUTPUT];

	if (!d->listed[PRICE_INPUT])
		refuse(r, PRICELIST_NO_INPUT, class_field[PRICE_INPUT]);
	else if (r->generates && !d->listed[PRICE_OUTPUT])
		refuse(r, PRICELIST_NO_OUTPUT, class_field[PRICE_OUTPUT]);
	else if (input == 0 && output == 0)
		refuse(r, PRICELIST_FREE, class_field[PRICE_INPUT]);
	else if (input == 0 || (r->generates && output == 0))
		refuse(r, PRICELIST_HALF_FREE,
		       class_field[input == 0 ? PRICE_INPUT : PRICE_OUTPUT]);
	else if (d->has_reasoning && d->reasoning_pico != output)
		refuse(r, PRICELIST_REASONING, "output_cost_per_reasoning_token");
}

static void read_prices(struct reading *r)
{
	static const char reasoning[] = "output_cost_per_reasoning_token";
	const struct json *tiered = json_get(r->record, "tiered_pricing");
	bool wins = tiered != NULL && json_type(tiered) != JSON_NULL_VALUE;

	r->count = 1; /* the base, above 0 tokens */
	json_each(r->record, take_field, r);
	r->draft[0].has_reasoning = read_price(r, reasoning, json_get(r->record, reasoning),
	                                       &r->draft[0].reasoning_pico);
	if (wins)
		read_tiered_pricing(r, tiered);
	sort_drafts(r);
	for (int i = 0; i < r->count; i++) {
		/* A tier of tiered_pricing takes no price from the base. */
		complete(&r->draft[i], wins ? &r->draft[i] : &r->draft[0]);
		judge(r, &r->draft[i]);
	}
}

static void read_mode(struct reading *r)
{
	size_t length;
	const char *mode = text_of(json_get(r->record, "mode"), &length);

	r->generates = true;
	if (mode == NULL)
		refuse(r, PRICELIST_MODE, "mode");
	else if (strcmp(mode, "embedding") == 0)
		r->generates = false;
	else if (strcmp(mode, "chat") != 0 && strcmp(mode, "completion") != 0 &&
	         strcmp(mode, "responses") != 0)
		refuse(r, PRICELIST_MODE, "mode");
}

static void read_names(struct reading *r, const char *item, struct price *p)
{
	size_t length;
	const char *provider = text_of(json_get(r->record, "litellm_provider"), &length);

	if (price_name_valid(item, sizeof(p->item)))
		snprintf(p->item, sizeof(p->item), "%s", item);
	else
		refuse(r, PRICELIST_NAME, "");
	if (provider != NULL && price_name_valid(provider, sizeof(p->provider)))
		snprintf(p->provider, sizeof(p->provider), "%s", provider);
	else
		refuse(r, PRICELIST_PROVIDER, "litellm_provider");
	r->inclusive = strcmp(p->provider, "xai") == 0;
}

static void read_entry(struct reading *r, const char *item, struct price *p)
{
	read_names(r, item, p);
	read_mode(r);
	if (r->reason != PRICELIST_ACCEPTED)
		return;
	read_prices(r);
	if (r->reason != PRICELIST_ACCEPTED)
		return;
	p->kind = PRICE_MODEL;
	p->tier_count = r->count;
	for (int i = 0; i < r->count; i++) {
		p->tier[i].above_tokens = r->draft[i].above_tokens;
		memcpy(p->tier[i].pico, r->draft[i].pico, sizeof(p->tier[i].pico));
	}
}

struct visitor {
	int (*visit)(void *context, const struct pricelist_entry *entry);
	void *context;
	struct pricelist_counts *counts;
};

static int take_entry(void *context, const char *key, const struct json *value)
{
	const struct visitor *v = context;
	struct reading r = {.record = value};
	struct price p;
	struct pricelist_entry entry = {.item = key, .field = r.field};

	if (json_type(value) != JSON_RECORD || strcmp(key, "sample_spec") == 0 ||
	    strcmp(key, "fallback_generalizations") == 0)
		return 0;
	memset(&p, 0, sizeof(p));
	read_entry(&r, key, &p);
	entry.reason = r.reason;
	v->counts->entries++;
	v->counts->reason[r.reason]++;
	if (r.reason == PRICELIST_ACCEPTED) {
		entry.price = &p;
		entry.other_prices = r.other_prices;
		v->counts->other_prices += r.other_prices ? 1 : 0;
	}
	return v->visit(v->context, &entry);
}

int pricelist_read(const char *bytes, size_t length,
                   int (*visit)(void *context, const struct pricelist_entry *entry), void *context,
                   struct pricelist_counts *counts, char error[JSON_ERROR_MAX])
{
	struct visitor v = {.visit = visit, .context = context, .counts = counts};
	struct json *list = json_parse(bytes, length, true, error);
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
