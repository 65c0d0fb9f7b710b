#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "options.h"
#include "prices/book.h"
#include "prices/pricelist.h"
#include "prices/pricestore.h"
#include "reports/report.h"

#define LIST_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* Reads the time of an option; 0 when it is not given. */
static int read_time(const char *text, const char *option, int64_t *time_us)
{
	*time_us = 0;
	if (text == NULL || clock_parse(text, strlen(text), time_us) == 0)
		return CTL_OK;
	return ctl_wrong("%s must be a time such as 2026-12-01 or 2026-12-01T08:00:00Z, not '%s'", option, text);
}

/* Stores the change; CTL_OK, or CTL_FAILED, explained. */
static int store(struct ctl *c, struct pricestore_change *change, struct pricestore_report *report)
{
	change->terms = options_prices(c->config);
	switch (pricestore_add(ctl_db_patient(c), change, report)) {
	case PRICESTORE_STORED:
	case PRICESTORE_UNCHANGED:
		return CTL_OK;
	case PRICESTORE_PAST:
		return ctl_wrong("a price cannot start in the past: what was charged stands");
	case PRICESTORE_FAULT:
		break;
	}
	return ctl_fail("the database did not take the prices; it can be repeated");
}

/* ---- set ------------------------------------------------------------------------------------- */

#define PER_MILLION 6 /* tokens are priced by the million: dollars times 10^6 */

struct set {
	bool action;
	const char *item, *amount; /* amount: an action's credits */
	const char *provider, *starts;
	const char *dollars[DIMENSION_COLUMNS]; /* per million tokens; NULL when not given */
	struct ctl_list lines;                  /* --line */
	struct price_line made[PRICE_LINES_MAX];
	int count;
};

static const char *const column_option[DIMENSION_COLUMNS] = {
	[DIMENSION_INPUT] = "--input",
	[DIMENSION_CACHE_READ] = "--cache-read",
	[DIMENSION_CACHE_WRITE] = "--cache-write",
	[DIMENSION_CACHE_WRITE_1H] = "--cache-write-1h",
	[DIMENSION_OUTPUT] = "--output",
};

static int set_action(const struct set *s, struct price *p)
{
	p->kind = PRICE_ACTION;
	if (s->provider != NULL)
		return ctl_wrong("an action has no provider");
	if (s->lines.count > 0)
		return ctl_wrong("an action costs credits, it has no --line");
	for (int i = 0; i < DIMENSION_COLUMNS; i++) {
		if (s->dollars[i] != NULL)
			return ctl_wrong("an action costs credits, it has no %s", column_option[i]);
	}
	if (s->amount == NULL)
		return ctl_wrong("price set --action needs a name and the credits it costs");
	if (ctl_decimal(s->amount, "credits", 0, MONEY_AMOUNT_MAX_MICROS, &p->credits_micros) != 0)
		return CTL_FAILED;
	return CTL_OK;
}

/* Reads dollars for so many (10^shift) into the line. */
static int read_dollars(const char *text, const char *option, int shift, struct price_line *line)
{
	if (price_read_dollars(text, strlen(text), shift, false, line) != 0)
		return ctl_wrong("%s must be a decimal of dollars from 0 to %lld, with at most %d places, not '%s'",
		                 option, (long long)(shift > 0 ? PRICE_DOLLARS_MAX * 1000000 : PRICE_DOLLARS_MAX),
		                 PRICE_SCALE_MAX - shift, text);
	return CTL_OK;
}

static int add_column(struct set *s, enum dimension d)
{
	struct price_line line = {.dimension = d};

	if (s->dollars[d] == NULL)
		return CTL_OK;
	if (read_dollars(s->dollars[d], column_option[d], PER_MILLION, &line) != CTL_OK)
		return CTL_FAILED;
	s->made[s->count++] = line;
	return CTL_OK;
}

/* Takes "searchCalls" or "searchCalls:variant" or "inputTokens@batch>200000" apart; the price is of one unit. */
static int read_place(const char *place, struct price_line *line)
{
	const size_t name = strcspn(place, ":@>");
	const int d = dimension_named(place, name);
	const char *at = place + name;
	char word[PRICE_VARIANT_MAX];

	if (d < 0)
		return ctl_wrong("--line: there is no dimension %.*s (see octroictl(8))", (int)name, place);
	line->dimension = (enum dimension)d;
	while (*at != '\0') {
		const char kind = *at++;
		const size_t length = strcspn(at, kind == ':' ? "@" : ":@>");

		(void)snprintf(word, sizeof(word), "%.*s", (int)(length < sizeof(word) ? length : sizeof(word) - 1),
		               at);
		at += length;
		if (kind == ':')
			memcpy(line->variant, word, sizeof(word));
		else if (kind == '>' &&
		         ctl_integer(word, "--line: a threshold", 1, COUNTS_MAX, &line->above_tokens) != 0)
			return CTL_FAILED;
		else if (kind == '@' && (service_tier_named(word) < 0 || service_tier_named(word) == TIER_OTHER))
			return ctl_wrong("--line: there is no service tier '%s'", word);
		else if (kind == '@')
			line->tier = (enum service_tier)service_tier_named(word);
	}
	return price_variant_valid(line->variant) ? CTL_OK : ctl_wrong("--line: no variant can be '%s'", line->variant);
}

/* "DIMENSION[:VARIANT][@TIER][>TOKENS]=DOLLARS"; the dollars are those behind the last '='. */
static int add_typed_line(struct set *s, const char *text)
{
	const char *equals = strrchr(text, '=');
	struct price_line line = {.scale = 0};
	char place[128];

	if (equals == NULL || (size_t)(equals - text) >= sizeof(place) || s->count == PRICE_LINES_MAX)
		return ctl_wrong("--line must be DIMENSION[:VARIANT][@TIER][>TOKENS]=DOLLARS, not '%s'", text);
	(void)snprintf(place, sizeof(place), "%.*s", (int)(equals - text), text);
	if (read_place(place, &line) != CTL_OK || read_dollars(equals + 1, "--line", 0, &line) != CTL_OK)
		return CTL_FAILED;
	s->made[s->count++] = line;
	return CTL_OK;
}

/* A cost of the cache that is not given is that of other input, or of other writes. */
static int set_model(struct set *s, struct price *p)
{
	p->kind = PRICE_MODEL;
	if (s->amount != NULL)
		return ctl_wrong("'%s' is one argument too many (actions are set with --action)", s->amount);
	if (s->provider == NULL || !price_name_valid(s->provider, sizeof(p->provider)))
		return ctl_wrong("price set needs --provider, such as openai or anthropic");
	if (s->lines.count == 0 && (s->dollars[DIMENSION_INPUT] == NULL || s->dollars[DIMENSION_OUTPUT] == NULL))
		return ctl_wrong("price set needs --input and --output, in dollars per million tokens, or --line");
	(void)snprintf(p->provider, sizeof(p->provider), "%s", s->provider);
	for (int d = 0; d < DIMENSION_COLUMNS; d++)
		if (add_column(s, (enum dimension)d) != CTL_OK)
			return CTL_FAILED;
	for (int i = 0; i < s->lines.count; i++)
		if (add_typed_line(s, s->lines.item[i]) != CTL_OK)
			return CTL_FAILED;
	price_sort(s->made, s->count);
	p->lines = s->made;
	p->line_count = s->count;
	p->terms = (struct price_terms){1, 1, 1};
	return price_valid(p) ? CTL_OK : ctl_wrong("two lines are of the same dimension, variant, tier and threshold");
}

static void print_stored(const struct ctl *c, const struct pricestore_report *report)
{
	struct listing *l = listing_new("price");

	listing_row(l);
	listing_text(l, "result", "result", report->stored > 0 ? "stored" : "unchanged");
	if (report->stored > 0) {
		listing_int(l, "version", "version", report->version);
		listing_time(l, "startsAt", "starts", report->starts_at_us);
	}
	listing_print_single(l, c->json);
	listing_free(l);
}

static int read_set(struct ctl *c, struct set *s, const char **operands)
{
	const struct ctl_option options[] = {
		{.name = "--action", .flag = &s->action},
		{.name = "--provider", .value = &s->provider},
		{.name = "--input", .value = &s->dollars[DIMENSION_INPUT]},
		{.name = "--output", .value = &s->dollars[DIMENSION_OUTPUT]},
		{.name = "--cache-read", .value = &s->dollars[DIMENSION_CACHE_READ]},
		{.name = "--cache-write", .value = &s->dollars[DIMENSION_CACHE_WRITE]},
		{.name = "--cache-write-1h", .value = &s->dollars[DIMENSION_CACHE_WRITE_1H]},
		{.name = "--line", .list = &s->lines},
		{.name = "--starts", .value = &s->starts},
		{0}};
	int count = ctl_arguments(c, options, operands, 1, 2);

	if (count < 0)
		return CTL_FAILED;
	s->item = operands[0];
	s->amount = count > 1 ? operands[1] : NULL;
	return CTL_OK;
}

int ctl_price_set(struct ctl *c)
{
	struct set s = {0};
	const char *operands[2];
	struct price p = {0};
	struct pricestore_change change = {.note = "price set", .prices = &p, .count = 1};
	struct pricestore_report report;

	if (read_set(c, &s, operands) != CTL_OK || read_time(s.starts, "--starts", &change.starts_at_us) != CTL_OK)
		return CTL_FAILED;
	if (!price_name_valid(s.item, sizeof(p.item)))
		return ctl_wrong("a name has 1 to %d bytes, no control characters and no blanks around it",
		                 PRICE_ITEM_MAX - 1);
	(void)snprintf(p.item, sizeof(p.item), "%s", s.item);
	if ((s.action ? set_action(&s, &p) : set_model(&s, &p)) != CTL_OK || store(c, &change, &report) != CTL_OK)
		return CTL_FAILED;
	print_stored(c, &report);
	return CTL_OK;
}

/* ---- list ------------------------------------------------------------------------------------ */

/* Lists one line: dollars as the provider lists them, without margin. */
static void list_line(struct listing *l, const struct price *p, const struct price_line *line)
{
	const bool tokens = dimension_side(line->dimension) != SIDE_OTHER;
	struct buf dollars;

	buf_init(&dollars, 64);
	price_put_dollars(&dollars, line, tokens ? PER_MILLION : 0);
	listing_row(l);
	listing_text(l, "kind", "kind", "model");
	listing_text(l, "item", "item", p->item);
	listing_text(l, "provider", "provider", p->provider);
	listing_text(l, "dimension", "dimension", dimension_name(line->dimension));
	listing_text(l, "serviceTier", "tier", service_tier_name(line->tier));
	listing_text(l, "variant", "variant", line->variant);
	listing_int(l, "aboveTokens", "above", line->above_tokens);
	listing_text(l, "dollars", "dollars", buf_text(&dollars));
	listing_text(l, "per", "per", tokens ? "1000000" : "1");
	listing_text(l, "credits", "credits", "");
	listing_int(l, "version", "version", p->version);
	listing_time(l, "startsAt", "starts", p->starts_at_us);
	buf_free(&dollars);
}

static void list_action(struct listing *l, const struct price *p)
{
	char credits[MONEY_TEXT_MAX];

	(void)decimal_format(p->credits_micros, 6, 0, credits);
	listing_row(l);
	listing_text(l, "kind", "kind", "action");
	listing_text(l, "item", "item", p->item);
	listing_text(l, "provider", "provider", "");
	listing_text(l, "dimension", "dimension", "");
	listing_text(l, "serviceTier", "tier", "");
	listing_text(l, "variant", "variant", "");
	listing_int(l, "aboveTokens", "above", 0);
	listing_text(l, "dollars", "dollars", "");
	listing_text(l, "per", "per", "");
	listing_text(l, "credits", "credits", credits);
	listing_int(l, "version", "version", p->version);
	listing_time(l, "startsAt", "starts", p->starts_at_us);
}

/* The listed prices. */
struct selection {
	struct listing *l;
	const char *pattern; /* with ? and *, or a part of the name; NULL: all */
	const char *item;    /* the whole name; NULL: any */
};

static bool is_selected(const struct selection *s, const struct price *p)
{
	if (s->item != NULL)
		return strcmp(p->item, s->item) == 0;
	if (s->pattern == NULL)
		return true;
	if (strpbrk(s->pattern, "*?[") != NULL)
		return fnmatch(s->pattern, p->item, 0) == 0;
	return strstr(p->item, s->pattern) != NULL;
}

/* Adds a row for each line. */
static int list_price(void *context, const struct price *p)
{
	const struct selection *s = context;

	if (!is_selected(s, p))
		return 0;
	for (int i = 0; i < p->line_count; i++)
		list_line(s->l, p, &p->lines[i]);
	if (p->kind == PRICE_ACTION)
		list_action(s->l, p);
	return 0;
}

/* all: of every version, else those in force at that time; 0: now. */
static int list_prices(struct ctl *c, struct selection *s, bool all, int64_t at_us)
{
	struct book *b;

	if (at_us == 0 && ctl_now(c, &at_us) != CTL_OK)
		return CTL_FAILED;
	b = book_load(ctl_db(c));
	if (b == NULL)
		return ctl_db_failed(c);
	if (all)
		(void)book_each_row(b, list_price, s);
	else
		(void)book_each(b, at_us, list_price, s);
	book_release(b);
	return CTL_OK;
}

int ctl_price_list(struct ctl *c)
{
	struct selection s = {.pattern = NULL};
	bool all = false;
	const struct ctl_option options[] = {{.name = "--all", .flag = &all}, {0}};
	int result;

	if (ctl_arguments(c, options, &s.pattern, 0, 1) < 0)
		return CTL_FAILED;
	s.l = listing_new("prices");
	result = list_prices(c, &s, all, 0);
	if (result == CTL_OK)
		listing_print(s.l, c);
	listing_free(s.l);
	return result;
}

int ctl_price_show(struct ctl *c)
{
	struct selection s = {.pattern = NULL};
	const char *at = NULL;
	const struct ctl_option options[] = {{.name = "--at", .value = &at}, {0}};
	int64_t at_us;
	int result;

	if (ctl_arguments(c, options, &s.item, 1, 1) < 0 || read_time(at, "--at", &at_us) != CTL_OK)
		return CTL_FAILED;
	s.l = listing_new("prices");
	result = list_prices(c, &s, at == NULL, at_us);
	if (result == CTL_OK && listing_rows(s.l) == 0)
		result =
			ctl_refuse(OUTCOME_NOT_FOUND, "%s has no price; octroictl price list PART finds names", s.item);
	if (result == CTL_OK)
		listing_print(s.l, c);
	listing_free(s.l);
	return result;
}

/* ---- import ---------------------------------------------------------------------------------- */

/* A change of a line by more than this is a jump. */
#define JUMP_TENTHS 500
#define UNUSED_MAX 64

struct import {
	const char *path, *starts;
	bool dry_run, verbose, yes;
	struct price *prices;
	size_t count, capacity;
	struct listing *refused, *jumps; /* refused: with --verbose */
	struct book *book;               /* the prices before */
	int64_t at_us;
	int64_t newly_free, most_tenths, least_tenths; /* the largest rise and the largest fall of a line */
	const char *unused[UNUSED_MAX];                /* fields with a price that is not read, and how often; owned */
	int64_t unused_times[UNUSED_MAX];
	int unused_count;
	struct pricelist_counts counts;
	struct pricestore_report report;
};

static void note_refused(struct import *m, const struct pricelist_entry *entry)
{
	if (entry->reason == PRICELIST_FREE && book_price_at(m->book, PRICE_MODEL, entry->item, m->at_us) != NULL)
		m->newly_free++;
	if (m->refused == NULL)
		return;
	listing_row(m->refused);
	listing_text(m->refused, "item", "refused", entry->item);
	listing_text(m->refused, "reason", "reason", pricelist_reason_name(entry->reason));
	listing_text(m->refused, "field", "field", entry->field);
}

static void note_unused_field(struct import *m, const char *field)
{
	for (int i = 0; i < m->unused_count; i++) {
		if (strcmp(m->unused[i], field) == 0) {
			m->unused_times[i]++;
			return;
		}
	}
	if (m->unused_count == UNUSED_MAX)
		return;
	m->unused_times[m->unused_count] = 1;
	m->unused[m->unused_count++] = ctl_must(strdup(field));
}

/* The line of the price in the same place; NULL if there is none. */
static const struct price_line *same_line(const struct price *p, const struct price_line *line)
{
	for (int i = 0; i < p->line_count; i++) {
		const struct price_line *l = &p->lines[i];

		if (l->dimension == line->dimension && l->tier == line->tier && l->above_tokens == line->above_tokens &&
		    strcmp(l->variant, line->variant) == 0)
			return l;
	}
	return NULL;
}

/* Tenths of a percent by which the line differs from the old one, which is not 0; cut to the range of an int64. */
static int64_t change_tenths(const struct price_line *old, const struct price_line *line)
{
	__int128 before = old->mantissa, after = line->mantissa;

	for (int i = old->scale; i < line->scale; i++)
		before *= 10;
	for (int i = line->scale; i < old->scale; i++)
		after *= 10;
	return report_tenths(after - before, before);
}

/* after NULL: nothing has a price there any more. */
static void note_jump(struct import *m, const struct price *p, const struct price_line *place,
                      const struct price_line *before, const struct price_line *after, int64_t tenths)
{
	struct buf text;

	listing_row(m->jumps);
	listing_text(m->jumps, "item", "changed by more than half", p->item);
	listing_text(m->jumps, "dimension", "dimension", dimension_name(place->dimension));
	listing_text(m->jumps, "serviceTier", "tier", service_tier_name(place->tier));
	listing_text(m->jumps, "variant", "variant", place->variant);
	listing_int(m->jumps, "aboveTokens", "above", place->above_tokens);
	buf_init(&text, 64);
	price_put_dollars(&text, before, 0);
	listing_text(m->jumps, "dollarsBefore", "before", buf_text(&text));
	buf_reset(&text);
	if (after != NULL)
		price_put_dollars(&text, after, 0);
	listing_text(m->jumps, "dollars", "now", buf_text(&text));
	listing_tenths(m->jumps, "changePercentTenths", "change", true, tenths);
	buf_free(&text);
}

/* The line that a use in that place is charged by. */
static const struct price_line *charged_line(const struct price *p, const struct price_line *place)
{
	return price_line_of(p, place->dimension, place->tier, place->variant, place->above_tokens + 1);
}

/* Compares the charges of a use in that place, by whatever line it is charged. */
static void compare_place(struct import *m, const struct price *old, const struct price *p,
                          const struct price_line *place)
{
	const struct price_line *before = charged_line(old, place), *after = charged_line(p, place);
	int64_t tenths;

	if (before == NULL || before->mantissa == 0)
		return;
	tenths = after != NULL ? change_tenths(before, after) : -1000;
	m->most_tenths = tenths > m->most_tenths ? tenths : m->most_tenths;
	m->least_tenths = tenths < m->least_tenths ? tenths : m->least_tenths;
	if (tenths > JUMP_TENTHS || tenths < -JUMP_TENTHS)
		note_jump(m, p, place, before, after, tenths);
}

/* Compares the price with the one in force when it is to start, in each place that either lists.  A dimension that the
 * old one does not list was charged by a guess: its first price is no change. */
static void compare_with_old(struct import *m, const struct price *p)
{
	const struct price *old = book_price_at(m->book, PRICE_MODEL, p->item, m->at_us);

	for (int i = 0; old != NULL && i < old->line_count; i++)
		compare_place(m, old, p, &old->lines[i]);
	for (int i = 0; old != NULL && i < p->line_count; i++)
		if (price_lists(old, p->lines[i].dimension) && same_line(old, &p->lines[i]) == NULL)
			compare_place(m, old, p, &p->lines[i]);
}

static int take_listed_entry(void *context, const struct pricelist_entry *entry)
{
	struct import *m = context;
	struct price_line *lines;

	if (entry->price == NULL) {
		note_refused(m, entry);
		return 0;
	}
	for (int i = 0; i < entry->unused_count; i++)
		note_unused_field(m, entry->unused[i]);
	compare_with_old(m, entry->price);
	if (m->count == m->capacity) {
		m->capacity = m->capacity == 0 ? 1024 : m->capacity * 2;
		m->prices = ctl_must(reallocarray(m->prices, m->capacity, sizeof(m->prices[0])));
	}
	lines = ctl_must(calloc((size_t)entry->price->line_count, sizeof(*lines)));
	memcpy(lines, entry->price->lines, (size_t)entry->price->line_count * sizeof(*lines));
	m->prices[m->count] = *entry->price;
	m->prices[m->count++].lines = lines;
	return 0;
}

static int read_list(struct ctl *c, struct import *m)
{
	char error[JSON_ERROR_MAX];
	struct buf content;
	int result;

	m->book = book_load(ctl_db(c));
	if (m->book == NULL)
		return ctl_db_failed(c);
	buf_init(&content, LIST_BYTES_MAX);
	result = ctl_read(m->path, &content);
	if (result == CTL_OK &&
	    pricelist_read(buf_text(&content), content.length, take_listed_entry, m, &m->counts, error) != 0)
		result = ctl_fail("%s: %s", m->path, error);
	buf_free(&content);
	return result;
}

/* Stores the prices unless one has jumped and nobody said --yes: CTL_NO then, and nothing is stored. */
static int store_list(struct ctl *c, struct import *m)
{
	struct pricestore_change change = {.note = "price import", .dry_run = m->dry_run};

	if (read_time(m->starts, "--starts", &change.starts_at_us) != CTL_OK || ctl_now(c, &m->at_us) != CTL_OK)
		return CTL_FAILED;
	if (change.starts_at_us > m->at_us)
		m->at_us = change.starts_at_us;
	if (read_list(c, m) != CTL_OK)
		return CTL_FAILED;
	if (listing_rows(m->jumps) > 0 && !m->yes)
		change.dry_run = m->dry_run = true;
	change.prices = m->prices;
	change.count = m->count;
	return m->count > 0 ? store(c, &change, &m->report) : CTL_OK;
}

static void put_unused(struct json_writer *w, const struct import *m)
{
	json_open_record(w, "unused");
	for (int i = 0; i < m->unused_count; i++)
		json_put_int(w, m->unused[i], m->unused_times[i]);
	json_close_record(w);
}

static void print_json(const struct import *m)
{
	struct json_writer w;
	struct buf out;

	buf_init(&out, LIST_BYTES_MAX);
	json_writer_init(&w, &out);
	json_open_record(&w, NULL);
	json_put_int(&w, "entries", m->counts.entries);
	json_put_int(&w, "accepted", m->counts.reason[PRICELIST_ACCEPTED]);
	json_put_int(&w, "made", m->counts.made);
	json_put_int(&w, "stored", m->report.stored);
	json_put_int(&w, "unchanged", m->report.unchanged);
	json_put_int(&w, "newlyFree", m->newly_free);
	json_put_int(&w, "risePercentTenths", m->most_tenths);
	json_put_int(&w, "fallPercentTenths", -m->least_tenths);
	json_open_record(&w, "refused");
	for (int i = PRICELIST_ACCEPTED + 1; i < PRICELIST_REASON_COUNT; i++)
		json_put_int(&w, pricelist_reason_name((enum pricelist_reason)i), m->counts.reason[i]);
	json_close_record(&w);
	put_unused(&w, m);
	listing_json(m->jumps, &w);
	json_put_bool(&w, "dryRun", m->dry_run);
	if (m->report.stored > 0) {
		json_put_int(&w, "version", m->report.version);
		json_put_time(&w, "startsAt", m->report.starts_at_us);
	}
	if (m->refused != NULL)
		listing_json(m->refused, &w);
	json_close_record(&w);
	(void)ctl_print(&out);
	buf_free(&out);
}

/* The four numbers: priced, refused, changed, newly free. */
static void print_numbers(const struct import *m)
{
	(void)printf("%" PRId64 " of %" PRId64 " entries priced exactly", m->counts.reason[PRICELIST_ACCEPTED],
	             m->counts.entries);
	if (m->counts.made > 0)
		(void)printf(", and %" PRId64 " models made of their variants", m->counts.made);
	(void)printf("\n%" PRId64 " refused", m->counts.entries - m->counts.reason[PRICELIST_ACCEPTED]);
	for (int i = PRICELIST_ACCEPTED + 1; i < PRICELIST_REASON_COUNT; i++)
		if (m->counts.reason[i] > 0)
			(void)printf("; %" PRId64 ": %s", m->counts.reason[i],
			             pricelist_reason_sentence((enum pricelist_reason)i));
	(void)printf("\n%" PRId64 " changed, %" PRId64 " unchanged", m->report.stored, m->report.unchanged);
	if (m->most_tenths > 0 || m->least_tenths < 0)
		(void)printf("; prices rose by up to %" PRId64 " %%, and fell by up to %" PRId64 " %%",
		             m->most_tenths / 10, -m->least_tenths / 10);
	(void)printf("\n%" PRId64 " newly without a price: they keep the one they have\n", m->newly_free);
	for (int i = 0; i < m->unused_count; i++)
		(void)printf("warning: %s is a price that octroi does not use, in %" PRId64 " entries\n", m->unused[i],
		             m->unused_times[i]);
}

static void print_people(const struct import *m)
{
	char starts[CLOCK_RFC3339_MAX];

	if (m->refused != NULL && listing_rows(m->refused) > 0)
		listing_print_table(m->refused);
	if (listing_rows(m->jumps) > 0)
		listing_print_table(m->jumps);
	print_numbers(m);
	if (m->report.stored == 0) {
		(void)puts("nothing differs: no new version");
		return;
	}
	(void)clock_format(m->report.starts_at_us, starts);
	(void)printf("%s version %" PRId64 ", which starts at %s\n", m->dry_run ? "this would be" : "stored as",
	             m->report.version, starts);
}

static void free_import(struct import *m)
{
	for (size_t i = 0; i < m->count; i++)
		free((void *)(uintptr_t)m->prices[i].lines);
	for (int i = 0; i < m->unused_count; i++)
		free((void *)(uintptr_t)m->unused[i]);
	free(m->prices);
	book_release(m->book);
	listing_free(m->refused);
	listing_free(m->jumps);
}

int ctl_price_import(struct ctl *c)
{
	struct import m = {0};
	bool wanted;
	const struct ctl_option options[] = {{.name = "--starts", .value = &m.starts},
	                                     {.name = "--dry-run", .flag = &m.dry_run},
	                                     {.name = "--verbose", .flag = &m.verbose},
	                                     {.name = "--yes", .flag = &m.yes},
	                                     {0}};
	int result;

	if (ctl_arguments(c, options, &m.path, 1, 1) < 0)
		return CTL_FAILED;
	wanted = !m.dry_run;
	if (m.verbose)
		m.refused = listing_new("refusals");
	m.jumps = listing_new("jumps");
	result = store_list(c, &m);
	if (result == CTL_OK) {
		if (c->json)
			print_json(&m);
		else
			print_people(&m);
		/* A list without any accepted price is likely a mistake: the exit status is CTL_NO. */
		result = m.count > 0 ? CTL_OK : CTL_NO;
	}
	if (result == CTL_OK && wanted && m.dry_run) {
		(void)ctl_fail("nothing was stored, because prices changed by more than half; --yes stores them");
		result = CTL_NO;
	}
	free_import(&m);
	return result;
}
