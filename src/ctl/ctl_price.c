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

#define LIST_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* Dollars per million tokens, with six places, are pico-dollars per token. */
#define DOLLARS_SCALE 6

static int starts_at(const char *text, int64_t *time_us)
{
	*time_us = 0;
	if (text == NULL || clock_parse(text, strlen(text), time_us) == 0)
		return CTL_OK;
	return ctl_wrong(
		"--starts must be a time such as 2026-12-01 or 2026-12-01T08:00:00Z, not '%s'",
		text);
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

struct set {
	bool action;
	const char *item, *amount; /* amount: an action's credits */
	const char *provider, *starts;
	const char *dollars[PRICE_CLASSES]; /* per million tokens; NULL when not given */
};

static const char *const class_option[PRICE_CLASSES] = {
	[PRICE_INPUT] = "--input",
	[PRICE_CACHE_READ] = "--cache-read",
	[PRICE_CACHE_WRITE] = "--cache-write",
	[PRICE_CACHE_WRITE_1H] = "--cache-write-1h",
	[PRICE_OUTPUT] = "--output",
};

static int set_action(const struct set *s, struct price *p)
{
	p->kind = PRICE_ACTION;
	if (s->provider != NULL)
		return ctl_wrong("an action has no provider");
	for (int i = 0; i < PRICE_CLASSES; i++) {
		if (s->dollars[i] != NULL)
			return ctl_wrong("an action costs credits, it has no %s", class_option[i]);
	}
	if (s->amount == NULL)
		return ctl_wrong("price set --action needs a name and the credits it costs");
	if (ctl_decimal(s->amount, "credits", 0, MONEY_AMOUNT_MAX_MICROS, &p->credits_micros) != 0)
		return CTL_FAILED;
	return CTL_OK;
}

/* Input and output must be given.  A class of the cache that is not given costs as much as input; a write for
 * 1 hour costs as much as other writes. */
static int set_model(const struct set *s, struct price *p)
{
	int64_t *pico = p->tier[0].pico;

	p->kind = PRICE_MODEL;
	p->tier_count = 1;
	if (s->amount != NULL)
		return ctl_wrong("'%s' is one argument too many (actions are set with --action)",
		                s->amount);
	if (s->provider == NULL || !price_name_valid(s->provider, sizeof(p->provider)))
		return ctl_wrong("price set needs --provider, such as openai or anthropic");
	if (s->dollars[PRICE_INPUT] == NULL || s->dollars[PRICE_OUTPUT] == NULL)
		return ctl_wrong(
			"price set needs --input and --output, in dollars per million tokens");
	(void)snprintf(p->provider, sizeof(p->provider), "%s", s->provider);
	for (int i = 0; i < PRICE_CLASSES; i++) {
		if (s->dollars[i] != NULL &&
		    ctl_decimal(s->dollars[i], class_option[i], 0, PRICE_PICO_MAX, &pico[i]) != 0)
			return CTL_FAILED;
	}
	if (s->dollars[PRICE_CACHE_READ] == NULL)
		pico[PRICE_CACHE_READ] = pico[PRICE_INPUT];
	if (s->dollars[PRICE_CACHE_WRITE] == NULL)
		pico[PRICE_CACHE_WRITE] = pico[PRICE_INPUT];
	if (s->dollars[PRICE_CACHE_WRITE_1H] == NULL)
		pico[PRICE_CACHE_WRITE_1H] = pico[PRICE_CACHE_WRITE];
	return CTL_OK;
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
		{.name = class_option[PRICE_INPUT], .value = &s->dollars[PRICE_INPUT]},
		{.name = class_option[PRICE_OUTPUT], .value = &s->dollars[PRICE_OUTPUT]},
		{.name = class_option[PRICE_CACHE_READ], .value = &s->dollars[PRICE_CACHE_READ]},
		{.name = class_option[PRICE_CACHE_WRITE], .value = &s->dollars[PRICE_CACHE_WRITE]},
		{.name = class_option[PRICE_CACHE_WRITE_1H],
	         .value = &s->dollars[PRICE_CACHE_WRITE_1H]},
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

	if (read_set(c, &s, operands) != CTL_OK ||
	    starts_at(s.starts, &change.starts_at_us) != CTL_OK)
		return CTL_FAILED;
	if (!price_name_valid(s.item, sizeof(p.item)))
		return ctl_wrong(
			"a name has 1 to %d bytes, no control characters and no blanks around it",
			PRICE_ITEM_MAX - 1);
	(void)snprintf(p.item, sizeof(p.item), "%s", s.item);
	if ((s.action ? set_action(&s, &p) : set_model(&s, &p)) != CTL_OK ||
	    store(c, &change, &report) != CTL_OK)
		return CTL_FAILED;
	print_stored(c, &report);
	return CTL_OK;
}

/* ---- list ------------------------------------------------------------------------------------ */

static void list_dollars(struct listing *l, const char *key, const char *heading,
                         const struct price *p, int tier, enum price_class class)
{
	char text[MONEY_TEXT_MAX] = "";

	if (p->kind == PRICE_MODEL)
		(void)decimal_format(p->tier[tier].pico[class], DOLLARS_SCALE, 2, text);
	listing_text(l, key, heading, text);
}

static void list_tier(struct listing *l, const struct price *p, int tier)
{
	char credits[MONEY_TEXT_MAX] = "";

	if (p->kind == PRICE_ACTION)
		(void)decimal_format(p->credits_micros, DOLLARS_SCALE, 0, credits);
	listing_row(l);
	listing_text(l, "kind", "kind", p->kind == PRICE_MODEL ? "model" : "action");
	listing_text(l, "item", "item", p->item);
	listing_text(l, "provider", "provider", p->provider);
	listing_int(l, "aboveTokens", "above",
	            p->kind == PRICE_MODEL ? p->tier[tier].above_tokens : 0);
	list_dollars(l, "input", "input", p, tier, PRICE_INPUT);
	list_dollars(l, "cacheRead", "cache read", p, tier, PRICE_CACHE_READ);
	list_dollars(l, "cacheWrite", "cache write", p, tier, PRICE_CACHE_WRITE);
	list_dollars(l, "cacheWrite1h", "for 1 h", p, tier, PRICE_CACHE_WRITE_1H);
	list_dollars(l, "output", "output", p, tier, PRICE_OUTPUT);
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

/* Adds a row for each tier: dollars per million tokens as the provider lists them, without margin. */
static int list_price(void *context, const struct price *p)
{
	const struct selection *s = context;

	for (int i = 0; is_selected(s, p) && i < (p->kind == PRICE_MODEL ? p->tier_count : 1); i++)
		list_tier(s->l, p, i);
	return 0;
}

/* all: of every version, else those in force. */
static int list_prices(struct ctl *c, struct selection *s, bool all)
{
	struct book *b;
	int64_t now_us;

	if (ctl_now(c, &now_us) != CTL_OK)
		return CTL_FAILED;
	b = book_load(ctl_db(c));
	if (b == NULL)
		return ctl_db_failed(c);
	if (all)
		(void)book_each_row(b, list_price, s);
	else
		(void)book_each(b, now_us, list_price, s);
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
	result = list_prices(c, &s, all);
	if (result == CTL_OK)
		listing_print(s.l, c);
	listing_free(s.l);
	return result;
}

int ctl_price_show(struct ctl *c)
{
	struct selection s = {.pattern = NULL};
	int result;

	if (ctl_arguments(c, NULL, &s.item, 1, 1) < 0)
		return CTL_FAILED;
	s.l = listing_new("prices");
	result = list_prices(c, &s, true);
	if (result == CTL_OK && listing_rows(s.l) == 0)
		result = ctl_refuse(OUTCOME_NOT_FOUND, "%s has no price; octroictl price list PART finds names",
		                    s.item);
	if (result == CTL_OK)
		listing_print(s.l, c);
	listing_free(s.l);
	return result;
}

/* ---- import ---------------------------------------------------------------------------------- */

struct import {
	const char *path, *starts;
	bool dry_run, verbose;
	struct price *prices;
	size_t count, capacity;
	struct listing *refused; /* with --verbose */
	struct pricelist_counts counts;
	struct pricestore_report report;
};

static int take_entry(void *context, const struct pricelist_entry *entry)
{
	struct import *m = context;

	if (entry->price == NULL) {
		if (m->refused == NULL)
			return 0;
		listing_row(m->refused);
		listing_text(m->refused, "item", "refused", entry->item);
		listing_text(m->refused, "reason", "reason", pricelist_reason_name(entry->reason));
		listing_text(m->refused, "field", "field", entry->field);
		return 0;
	}
	if (m->count == m->capacity) {
		m->capacity = m->capacity == 0 ? 1024 : m->capacity * 2;
		m->prices = reallocarray(m->prices, m->capacity, sizeof(m->prices[0]));
		if (m->prices == NULL) {
			(void)ctl_fail("out of memory");
			exit(CTL_FAILED);
		}
	}
	m->prices[m->count++] = *entry->price;
	return 0;
}

static int store_list(struct ctl *c, struct import *m)
{
	struct pricestore_change change = {.note = "price import", .dry_run = m->dry_run};
	char error[JSON_ERROR_MAX];
	struct buf content;
	int result;

	if (starts_at(m->starts, &change.starts_at_us) != CTL_OK)
		return CTL_FAILED;
	buf_init(&content, LIST_BYTES_MAX);
	result = ctl_read(m->path, &content);
	if (result == CTL_OK && pricelist_read(buf_text(&content), content.length, take_entry, m,
	                                       &m->counts, error) != 0)
		result = ctl_fail("%s: %s", m->path, error);
	buf_free(&content);
	if (result != CTL_OK)
		return result;
	change.prices = m->prices;
	change.count = m->count;
	return m->count > 0 ? store(c, &change, &m->report) : CTL_OK;
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
	json_put_int(&w, "stored", m->report.stored);
	json_put_int(&w, "unchanged", m->report.unchanged);
	json_put_int(&w, "otherPrices", m->counts.other_prices);
	json_open_record(&w, "refused");
	for (int i = PRICELIST_ACCEPTED + 1; i < PRICELIST_REASON_COUNT; i++)
		json_put_int(&w, pricelist_reason_name((enum pricelist_reason)i),
		             m->counts.reason[i]);
	json_close_record(&w);
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

static void print_people(const struct import *m)
{
	char starts[CLOCK_RFC3339_MAX];

	if (m->refused != NULL && m->counts.entries > m->counts.reason[PRICELIST_ACCEPTED])
		listing_print_table(m->refused);
	(void)printf("%" PRId64 " entries: %" PRId64 " accepted (%" PRId64 " changed, %" PRId64
	             " unchanged)",
	             m->counts.entries, m->counts.reason[PRICELIST_ACCEPTED], m->report.stored,
	             m->report.unchanged);
	if (m->counts.other_prices > 0)
		(void)printf("; %" PRId64
		             " of them also price images, audio, searches or the like, which octroi"
		             " counts as text tokens or not at all",
		             m->counts.other_prices);
	(void)putchar('\n');
	for (int i = PRICELIST_ACCEPTED + 1; i < PRICELIST_REASON_COUNT; i++) {
		if (m->counts.reason[i] > 0)
			(void)printf("%6" PRId64 " refused (%s): %s\n", m->counts.reason[i],
			             pricelist_reason_name((enum pricelist_reason)i),
			             pricelist_reason_sentence((enum pricelist_reason)i));
	}
	if (m->report.stored == 0) {
		(void)puts("nothing differs: no new version");
		return;
	}
	(void)clock_format(m->report.starts_at_us, starts);
	(void)printf("%s version %" PRId64 ", which starts at %s\n",
	             m->dry_run ? "this would be" : "stored as", m->report.version, starts);
}

int ctl_price_import(struct ctl *c)
{
	struct import m = {0};
	const struct ctl_option options[] = {{.name = "--starts", .value = &m.starts},
	                                     {.name = "--dry-run", .flag = &m.dry_run},
	                                     {.name = "--verbose", .flag = &m.verbose},
	                                     {0}};
	int result;

	if (ctl_arguments(c, options, &m.path, 1, 1) < 0)
		return CTL_FAILED;
	if (m.verbose)
		m.refused = listing_new("refusals");
	result = store_list(c, &m);
	if (result == CTL_OK) {
		if (c->json)
			print_json(&m);
		else
			print_people(&m);
		/* A list without any accepted price is likely a mistake: the exit status is CTL_NO. */
		result = m.count > 0 ? CTL_OK : CTL_NO;
	}
	listing_free(m.refused);
	free(m.prices);
	return result;
}
