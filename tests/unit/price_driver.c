/*
 * price_driver: computes what it is told on stdin, one line each, for tests that know the answers
 * from elsewhere (tests/model/test_cost.py).  TERMS is `margin_ppm rate_ppm credit_value_ppm`,
 * TIERS as in the database.
 *
 *   tokens UNIT TERMS TIERS input cache_read cache_write cache_write_1h output   -> micros, or none
 *   use UNIT TERMS LINES TIER VARIANT COUNTS          -> micros, ` incomplete`, ` unpriced` as it is; or none
 *   booked RESERVED UNIT TERMS LINES TIER VARIANT COUNTS   -> micros, ` incomplete`, ` bound` as a settlement books it
 *   reserved UNIT TERMS LINES TIER VARIANT COUNTS     -> micros that authorize reserves, no tokens being said; or none
 *   parts UNIT TERMS LINES TIER VARIANT COUNTS        -> `dimension=micros` for each part, or nothing
 *   fit UNIT TERMS TIERS input wanted available                                  -> output tokens
 *   action UNIT TERMS credits_micros quantity                                    -> micros, or none
 *   usage JSON      -> the counts in JSON with `nothing`, `noinput`, `rest`, tier, variant, cost; or `refused FIELD`
 *   dimensions      -> their names, in their order
 *   list PATH       -> an entry per line, in JSON, and a line `end N`
 *
 * LINES and TIERS are as in the database, COUNTS as counts_write writes them; `-` is an empty VARIANT or COUNTS.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "ledger/decide/use.h"
#include "prices/pricelist.h"
#include "prices/usage.h"

#define FILE_BYTES_MAX ((size_t)64 * 1024 * 1024)

static char *rest; /* of the line */

static const char *next_word(void)
{
	const char *word = strtok_r(NULL, " ", &rest);

	CHECK(word != NULL);
	return word;
}

static int64_t next_int(void)
{
	const char *word = next_word();
	char *end;
	long long value;

	errno = 0;
	value = strtoll(word, &end, 10);
	CHECK(errno == 0 && *end == '\0' && end != word);
	return value;
}

static enum account_unit next_unit(void)
{
	return strcmp(next_word(), "credit") == 0 ? UNIT_CREDIT : UNIT_MONEY;
}

static void next_terms(struct price *p)
{
	p->terms.margin_ppm = next_int();
	p->terms.rate_ppm = next_int();
	p->terms.credit_value_ppm = next_int();
}

static struct price_line lines[PRICE_LINES_MAX];

static void next_lines(struct price *p, int (*read)(const char *text, size_t length, struct price_line *lines))
{
	const char *text = next_word();

	snprintf(p->item, sizeof(p->item), "m");
	snprintf(p->provider, sizeof(p->provider), "p");
	p->lines = lines;
	p->line_count = read(text, strlen(text), lines);
	CHECK(price_valid(p));
}

static void next_use(struct price_use *use, struct counts *counts)
{
	const int tier = service_tier_named(next_word());
	const char *variant = next_word(), *text = next_word();

	CHECK(tier >= 0);
	memset(counts, 0, sizeof(*counts));
	*use = (struct price_use){counts, (enum service_tier)tier, strcmp(variant, "-") == 0 ? "" : variant};
	if (strcmp(text, "-") != 0)
		CHECK(counts_read(counts, text, strlen(text)) == 0);
}

static void print_cost(bool possible, micros cost)
{
	if (possible)
		printf("%" PRId64 "\n", cost);
	else
		puts("none");
}

static void do_tokens(void)
{
	struct price p = {.kind = PRICE_MODEL};
	enum account_unit unit = next_unit();
	struct counts counts = {{0}};
	const struct price_use use = {.counts = &counts, .variant = ""};
	struct price_charge charge;
	bool possible;

	next_terms(&p);
	next_lines(&p, price_read_tiers);
	for (int d = 0; d < DIMENSION_COLUMNS; d++)
		counts.of[d] = next_int();
	possible = price_of_use(&p, unit, &use, &charge);
	print_cost(possible, charge.cost_micros);
}

static void do_use(void)
{
	struct price p = {.kind = PRICE_MODEL};
	enum account_unit unit = next_unit();
	struct counts counts;
	struct price_charge charge;
	struct price_use use;

	next_terms(&p);
	next_lines(&p, price_read_lines);
	next_use(&use, &counts);
	if (!price_of_use(&p, unit, &use, &charge))
		puts("none");
	else
		printf("%" PRId64 "%s%s\n", charge.cost_micros, charge.incomplete ? " incomplete" : "",
		       charge.unpriced ? " unpriced" : "");
}

static void do_booked(void)
{
	const micros reserved = next_int();
	struct price p = {.kind = PRICE_MODEL};
	enum account_unit unit = next_unit();
	struct counts counts;
	struct price_use use;
	struct use_cost cost;

	next_terms(&p);
	next_lines(&p, price_read_lines);
	next_use(&use, &counts);
	if (!use_cost(&p, unit, &use, reserved, &cost))
		puts("none");
	else
		printf("%" PRId64 "%s%s\n", cost.cost_micros, cost.incomplete ? " incomplete" : "",
		       cost.bound ? " bound" : "");
}

static void do_reserved(void)
{
	const struct counts estimate = {{0}};
	struct price p = {.kind = PRICE_MODEL};
	enum account_unit unit = next_unit();
	struct price_charge charge;
	struct counts counts, bounds;
	struct price_use use;
	bool possible;

	next_terms(&p);
	next_lines(&p, price_read_lines);
	next_use(&use, &counts);
	bounds = use_bounds(&estimate, &p, 500, 2000, &counts);
	use.counts = &bounds;
	possible = price_of_use(&p, unit, &use, &charge);
	print_cost(possible, charge.cost_micros);
}

static void do_parts(void)
{
	struct price p = {.kind = PRICE_MODEL};
	enum account_unit unit = next_unit();
	struct price_part parts[DIMENSION_COUNT];
	struct counts counts;
	struct price_charge charge;
	struct price_use use;

	next_terms(&p);
	next_lines(&p, price_read_lines);
	next_use(&use, &counts);
	if (price_of_use(&p, unit, &use, &charge))
		for (int i = 0, count = price_parts(&p, unit, &use, parts); i < count; i++)
			printf("%s=%" PRId64 " ", dimension_name(parts[i].dimension), parts[i].cost_micros);
	putchar('\n');
}

static void do_fit(void)
{
	struct price p = {.kind = PRICE_MODEL};
	enum account_unit unit = next_unit();
	struct counts counts = {{0}};
	const struct price_use use = {.counts = &counts, .variant = ""};
	int64_t wanted;

	next_terms(&p);
	next_lines(&p, price_read_tiers);
	counts.of[DIMENSION_INPUT] = next_int();
	wanted = next_int();
	printf("%" PRId64 "\n", price_fit_output(&p, unit, &use, wanted, next_int()));
}

static void do_action(void)
{
	struct price p = {.kind = PRICE_ACTION, .item = "a"};
	enum account_unit unit = next_unit();
	micros cost = 0;
	bool possible;

	next_terms(&p);
	p.credits_micros = next_int();
	CHECK(price_valid(&p));
	possible = price_of_action(&p, unit, next_int(), &cost);
	print_cost(possible, cost);
}

static void print_usage(const struct usage *u)
{
	struct json_writer w;
	struct buf out;

	buf_init(&out, 16384);
	json_writer_init(&w, &out);
	json_open_record(&w, NULL);
	json_open_record(&w, "counts");
	for (int d = 0; d < DIMENSION_COUNT; d++) {
		struct buf text;

		if (u->counts.of[d] == 0)
			continue;
		buf_init(&text, 64);
		counts_put(&text, (enum dimension)d, u->counts.of[d]);
		json_put_text(&w, dimension_name((enum dimension)d), buf_text(&text));
		buf_free(&text);
	}
	json_close_record(&w);
	json_put_bool(&w, "nothing", !u->counted);
	json_put_bool(&w, "noinput", u->no_input);
	json_put_int(&w, "rest", u->rest);
	json_put_text(&w, "tier", service_tier_name(u->tier));
	json_put_text(&w, "variant", u->variant);
	json_put_int(&w, "costPico", u->has_cost ? u->cost_pico : -1);
	json_close_record(&w);
	puts(buf_text(&out));
	buf_free(&out);
}

static void do_usage(void)
{
	char error[JSON_ERROR_MAX];
	struct json *usage = json_parse(rest, strlen(rest), false, error);
	struct usage u;

	CHECK(usage != NULL);
	if (usage_read(usage, &u) != 0)
		printf("refused %s\n", u.field);
	else
		print_usage(&u);
	json_free(usage);
}

static int print_entry(void *context, const struct pricelist_entry *entry)
{
	struct json_writer w;
	struct buf out;

	(void)context;
	buf_init(&out, 16384);
	json_writer_init(&w, &out);
	json_open_record(&w, NULL);
	json_put_text(&w, "item", entry->item);
	json_put_text(&w, "reason", pricelist_reason_name(entry->reason));
	json_put_text(&w, "field", entry->field);
	if (entry->price != NULL) {
		struct buf text;

		buf_init(&text, 16384);
		price_write_lines(entry->price, &text);
		json_put_text(&w, "provider", entry->price->provider);
		json_put_raw(&w, "lines", buf_text(&text), text.length);
		json_put_bool(&w, "made", entry->made);
		json_open_list(&w, "unused");
		for (int i = 0; i < entry->unused_count; i++)
			json_put_text(&w, NULL, entry->unused[i]);
		json_close_list(&w);
		buf_free(&text);
	}
	json_close_record(&w);
	puts(buf_text(&out));
	buf_free(&out);
	return 0;
}

static void do_dimensions(void)
{
	for (int d = 0; d < DIMENSION_COUNT; d++)
		printf("%s%s", d > 0 ? " " : "", dimension_name((enum dimension)d));
	printf("\n");
}

static void do_list(void)
{
	struct pricelist_counts counts;
	char error[JSON_ERROR_MAX];
	char *bytes = malloc(FILE_BYTES_MAX);
	FILE *f = fopen(rest, "rb");
	size_t length;

	CHECK(bytes != NULL && f != NULL);
	length = fread(bytes, 1, FILE_BYTES_MAX, f);
	fclose(f);
	if (pricelist_read(bytes, length, print_entry, NULL, &counts, error) == 0)
		printf("end %" PRId64 "\n", counts.entries);
	else
		printf("error %s\n", error);
	free(bytes);
}

int main(void)
{
	static const struct {
		const char *word;
		void (*run)(void);
	} commands[] = {{"tokens", do_tokens},        {"use", do_use},     {"booked", do_booked},
	                {"reserved", do_reserved},    {"parts", do_parts}, {"fit", do_fit},
	                {"action", do_action},        {"usage", do_usage}, {"list", do_list},
	                {"dimensions", do_dimensions}};
	char *line = NULL;
	size_t capacity = 0;
	ssize_t length;

	while ((length = getline(&line, &capacity, stdin)) > 0) {
		const char *word;
		bool known = false;

		line[strcspn(line, "\n")] = '\0';
		word = strtok_r(line, " ", &rest);
		CHECK(word != NULL);
		for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
			if (strcmp(word, commands[i].word) == 0) {
				commands[i].run();
				known = true;
			}
		}
		CHECK(known);
	}
	free(line);
	return 0;
}
