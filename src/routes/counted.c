#include "routes/counted.h"

#include <string.h>

#include "base/money.h"

/* The member counts while it is read. */
struct count_list {
	struct parse *p;
	struct counts *counts;
	enum dimension first;
};

static int parse_count(void *context, const char *name, const struct json *value)
{
	struct count_list *l = context;
	const int d = dimension_named(name, strlen(name));
	struct buf text;
	bool read;

	buf_init(&text, MONEY_TEXT_MAX);
	if (json_type(value) == JSON_TEXT)
		buf_add_text(&text, json_text(value, NULL));
	else if (json_type(value) == JSON_INT)
		buf_add_int(&text, json_int(value));
	read = d >= (int)l->first && buf_ok(&text) && text.length > 0 &&
	       counts_read_one((enum dimension)d, buf_text(&text), text.length, &l->counts->of[d]) == 0;
	buf_free(&text);
	if (!read)
		parse_wrong(l->p, "counts", PARSE_DIMENSIONS);
	return !read;
}

/* Reads "images=2,seconds=37.5"; each name once, in any order. */
static void parse_query_counts(struct parse *p, enum dimension first, struct counts *counts)
{
	const char *text = parse_bytes(p, "counts", COUNTS_TEXT_MAX - 1);

	while (text != NULL && text[0] != '\0') {
		const size_t length = strcspn(text, ","), name = strcspn(text, "=");
		const int d = name < length ? dimension_named(text, name) : -1;

		if (d < (int)first || counts->of[d] != 0 || (text[length] == ',' && text[length + 1] == '\0') ||
		    counts_read_one((enum dimension)d, text + name + 1, length - name - 1, &counts->of[d]) != 0) {
			parse_wrong(p, "counts", PARSE_DIMENSIONS);
			return;
		}
		text += length + (text[length] == ',');
	}
}

void counted_parse(struct parse *p, enum dimension first, struct counts *counts)
{
	const struct json *record = p->record != NULL ? parse_map(p, "counts", DIMENSION_COUNT) : NULL;
	struct count_list l = {p, counts, first};

	if (p->record == NULL)
		parse_query_counts(p, first, counts);
	if (record != NULL)
		(void)json_each(record, parse_count, &l);
}

const char *counted_parse_variant(struct parse *p)
{
	const char *variant = parse_bytes(p, "variant", PRICE_VARIANT_MAX - 1);

	if (variant != NULL && !price_variant_valid(variant))
		parse_wrong(p, "variant", PARSE_NAME);
	return variant != NULL ? variant : "";
}

static void put_count(struct json_writer *w, const char *key, enum dimension d, int64_t count)
{
	char text[MONEY_TEXT_MAX];

	if (dimension_places(d) == 0) {
		json_put_int(w, key, count);
		return;
	}
	(void)decimal_format(count, dimension_places(d), 0, text);
	json_put_text(w, key, text);
}

void counted_put(struct json_writer *w, enum dimension first, const struct counts *counts)
{
	bool some = false;

	for (int d = (int)first; d < DIMENSION_COUNT; d++) {
		if (counts->of[d] == 0)
			continue;
		if (!some)
			json_open_record(w, "counts");
		some = true;
		put_count(w, dimension_name((enum dimension)d), (enum dimension)d, counts->of[d]);
	}
	if (some)
		json_close_record(w);
}

/* The price of one of the dimension in the account's unit, as a decimal text: rounded to a picounit, half up. */
static void put_unit_price(struct json_writer *w, const struct price *p, enum account_unit unit,
                           const struct price_line *line)
{
	char text[MONEY_TEXT_MAX];
	int64_t pico;

	if (line == NULL || !price_unit_pico(p, unit, line, &pico)) {
		json_put_null(w, "unitPrice");
		return;
	}
	(void)decimal_format(pico, 12, 0, text);
	json_put_text(w, "unitPrice", text);
}

static void put_part(struct json_writer *w, const struct price *p, enum account_unit unit, const struct price_use *use,
                     const struct price_part *part)
{
	json_open_record(w, NULL);
	json_put_text(w, "dimension", dimension_name(part->dimension));
	json_put_text(w, "serviceTier", service_tier_name(use->tier));
	if (part->line != NULL && part->line->variant[0] != '\0')
		json_put_text(w, "variant", part->line->variant);
	if (part->line != NULL && part->line->above_tokens > 0)
		json_put_int(w, "aboveTokens", part->line->above_tokens);
	put_count(w, "count", part->dimension, part->count);
	put_unit_price(w, p, unit, part->line);
	json_put_int(w, "costMicros", part->cost_micros);
	if (part->incomplete)
		json_put_bool(w, "usageIncomplete", true);
	json_close_record(w);
}

static void put_rest(struct json_writer *w, const char *dimension, micros cost_micros)
{
	json_open_record(w, NULL);
	json_put_text(w, "dimension", dimension);
	json_put_int(w, "costMicros", cost_micros);
	json_close_record(w);
}

void counted_put_lines(struct json_writer *w, const struct price *p, enum account_unit unit,
                       const struct price_use *use, micros cost_micros)
{
	struct price_part parts[DIMENSION_COUNT];
	struct price_charge charge = {.cost_micros = 0};
	const bool fits = price_of_use(p, unit, use, &charge);
	const int count = fits ? price_parts(p, unit, use, parts) : 0;
	micros sum = 0;

	json_open_list(w, "lines");
	for (int i = 0; i < count; i++) {
		put_part(w, p, unit, use, &parts[i]);
		sum += parts[i].cost_micros;
	}
	if (charge.cost_micros != sum)
		put_rest(w, "rounding", charge.cost_micros - sum);
	if (cost_micros != charge.cost_micros)
		put_rest(w, "reserved", cost_micros - charge.cost_micros);
	json_close_list(w);
}
