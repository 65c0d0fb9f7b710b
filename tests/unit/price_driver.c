/*
 * price_driver: computes what it is told on stdin, one line each, for tests that know the answers
 * from elsewhere (tests/model/test_cost.py).  TERMS is `margin_ppm rate_ppm credit_value_ppm`,
 * TIERS as in the database.
 *
 *   tokens UNIT TERMS TIERS input cache_read cache_write cache_write_1h output   -> micros, or none
 *   fit UNIT TERMS TIERS input wanted available                                  -> output tokens
 *   action UNIT TERMS credits_micros quantity                                    -> micros, or none
 *   usage JSON      -> the five counts, `nothing`, `noinput`, `rest=N` as they are; or `refused FIELD`
 *   list PATH       -> an entry per line, in JSON, and a line `end N`
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
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

static void next_tiers(struct price *p)
{
	const char *tiers = next_word();

	snprintf(p->item, sizeof(p->item), "m");
	snprintf(p->provider, sizeof(p->provider), "p");
	CHECK(price_read_tiers(p, tiers, strlen(tiers)) == 0);
	CHECK(price_valid(p));
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
	struct tokens t;
	micros cost = 0;
	bool possible;

	next_terms(&p);
	next_tiers(&p);
	for (int c = 0; c < PRICE_CLASSES; c++)
		t.count[c] = next_int();
	possible = price_of_tokens(&p, unit, &t, &cost);
	print_cost(possible, cost);
}

static void do_fit(void)
{
	struct price p = {.kind = PRICE_MODEL};
	enum account_unit unit = next_unit();
	int64_t input, wanted;

	next_terms(&p);
	next_tiers(&p);
	input = next_int();
	wanted = next_int();
	printf("%" PRId64 "\n", price_fit_output(&p, unit, input, wanted, next_int()));
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

static void do_usage(void)
{
	char error[JSON_ERROR_MAX];
	struct json *usage = json_parse(rest, strlen(rest), false, error);
	struct usage u;

	CHECK(usage != NULL);
	if (usage_read(usage, &u) != 0)
		printf("refused %s\n", u.field);
	else
		printf("%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "%s%s rest=%" PRId64 "\n",
		       u.tokens.count[0], u.tokens.count[1], u.tokens.count[2], u.tokens.count[3], u.tokens.count[4],
		       u.counted ? "" : " nothing", u.no_input ? " noinput" : "", u.rest);
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
		struct buf tiers;

		buf_init(&tiers, 4096);
		price_write_tiers(entry->price, &tiers);
		json_put_text(&w, "provider", entry->price->provider);
		json_put_raw(&w, "tiers", buf_text(&tiers), tiers.length);
		json_put_bool(&w, "other", entry->other_prices);
		buf_free(&tiers);
	}
	json_close_record(&w);
	puts(buf_text(&out));
	buf_free(&out);
	return 0;
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
	} commands[] = {{"tokens", do_tokens},
	                {"fit", do_fit},
	                {"action", do_action},
	                {"usage", do_usage},
	                {"list", do_list}};
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
