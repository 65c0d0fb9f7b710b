/*
 * compare: the cost of the same use on other models, at the prices in force now.
 */
#include <string.h>

#include "base/clock.h"
#include "options.h"
#include "prices/book.h"
#include "queries/insight.h"
#include "reports/report.h"
#include "routes/api/call.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/api/span.h"
#include "routes/api/steps.h"
#include "routes/people.h"
#include "routes/routes.h"

#define MODELS_MAX 8
#define ITEM_MAX (PRICE_ITEM_MAX - 1)
#define LIST_MAX (MODELS_MAX * PRICE_ITEM_MAX)
/* Only the newest usages are compared; the answer says if there are more. */
#define USAGES_MAX INT64_C(1000000)

/* Numbers of requests in the table of averages. */
static const int64_t averaged[] = {1, 10, 30, 50, 100};

_Static_assert((int)INSIGHT_CLASSES == (int)DIMENSION_COLUMNS, "insight reads each column of tokens");

struct sum {
	const struct price *price;
	__int128 cost;
	bool beyond;        /* one of the requests would cost more than can be counted */
	int64_t incomplete; /* requests with a count that the model has no price for, or that counted nothing */
};

struct comparison {
	struct account_key key;
	struct reader_span span;
	const char *of; /* only usages of this model; NULL: of any */
	char *names[MODELS_MAX];
	int count;
	enum account_unit unit;
	struct sum models[MODELS_MAX];
	int64_t requests, tokens[DIMENSION_COLUMNS];
	__int128 actual;
	bool more;
};

/* ---- the query ------------------------------------------------------------------------------------ */

/* Splits "a,b" into its names, each once. */
static void parse_models(struct parse *p, struct call *c, struct comparison *s)
{
	const char *list = parse_bytes(p, "models", LIST_MAX);

	parse_need(p, "models");
	while (list != NULL && list[0] != '\0') {
		const size_t length = strcspn(list, ",");
		char *name = arena_copy(c->request->arena, list, length);

		if (name == NULL || length == 0 || length > ITEM_MAX || s->count == MODELS_MAX) {
			parse_wrong(p, "models", PARSE_NAMES);
			return;
		}
		s->names[s->count++] = name;
		list += length;
		if (list[0] == ',' && list[1] == '\0')
			parse_wrong(p, "models", PARSE_NAMES);
		list += list[0] == ',' ? 1 : 0;
	}
}

static bool parse_comparison(struct call *c, struct comparison *s)
{
	struct parse p;

	parse_query(&p, c->request);
	if (!people_parse_member(&p, c, &s->span.member))
		return false;
	parse_models(&p, c, s);
	s->of = parse_bytes(&p, "model", ITEM_MAX);
	span_parse(&p, &s->span);
	if (!parse_ok(&p))
		render_wrong(c, &p);
	return parse_ok(&p);
}

/* ---- the sums ------------------------------------------------------------------------------------- */

static void add_compared(void *context, const struct insight_usage *u)
{
	struct comparison *s = context;
	const bool tier_known = u->service_tier >= 0 && u->service_tier < TIER_COUNT;
	struct counts counts = {{0}};
	const struct price_use use = {&counts, tier_known ? (enum service_tier)u->service_tier : TIER_STANDARD,
	                              u->variant};

	s->requests++;
	s->actual += u->cost_micros;
	(void)counts_read(&counts, u->counts, strlen(u->counts));
	for (int i = 0; i < DIMENSION_COLUMNS; i++) {
		counts.of[i] = u->tokens[i];
		s->tokens[i] += u->tokens[i];
	}
	for (int i = 0; i < s->count; i++) {
		struct price_charge charge;

		if (!price_of_use(s->models[i].price, s->unit, &use, &charge)) {
			s->models[i].beyond = true;
			continue;
		}
		s->models[i].cost += charge.cost_micros;
		s->models[i].incomplete += charge.incomplete || (u->cost_micros > 0 && !counts_any(&counts));
	}
}

/* False, rendered, when the span is too long, or on a fault. */
static bool read_use(struct call *c, struct comparison *s)
{
	struct reader_account account;
	struct db *d = call_reader(c);
	enum outcome outcome = OUTCOME_UNAVAILABLE;
	bool span = true;
	int result;

	if (d == NULL)
		return false;
	result = reader_account(d, c->request->arena, &s->key, &account);
	if (result == 0)
		outcome = call_may_read(c, d, &s->key, &account);
	if (result == 0 && outcome != OUTCOME_OK)
		result = -1;
	if (result == 0) {
		outcome = OUTCOME_UNAVAILABLE;
		s->unit = (enum account_unit)account.unit;
		span = span_complete(c, options_zone_of(c->config, &account), account.now_us, &s->span);
	}
	if (result == 0 && span)
		result = insight_usages(d, &s->key, &s->span, s->of, USAGES_MAX, add_compared, s, &s->more);
	pool_give(c->readers, d);
	if (result < 0)
		render_outcome(c, outcome);
	return result == 0 && span;
}

/* ---- the answer ----------------------------------------------------------------------------------- */

/* The cost of `wanted` requests of the average cost, rounded up. */
static __int128 average(__int128 cost, int64_t requests, int64_t wanted)
{
	return requests == 0 ? 0 : (cost * wanted + requests - 1) / requests;
}

static void put_savings(struct json_writer *w, __int128 actual, __int128 cost)
{
	json_put_int(w, "savingsMicros", money_clip(actual - cost));
	if (actual > 0)
		json_put_int(w, "savingsPercentTenths", report_tenths(actual - cost, actual));
	else
		json_put_null(w, "savingsPercentTenths");
}

static void put_compared_model(struct json_writer *w, const struct comparison *s, const struct sum *m)
{
	json_open_record(w, NULL);
	json_put_text(w, "model", m->price->item);
	json_put_text(w, "provider", m->price->provider);
	json_put_int(w, "priceVersion", m->price->version);
	json_put_int(w, "incompleteRequests", m->incomplete);
	if (m->beyond) {
		json_put_null(w, "costMicros");
		json_close_record(w);
		return;
	}
	json_put_int(w, "costMicros", money_clip(m->cost));
	put_savings(w, s->actual, m->cost);
	json_open_list(w, "averages");
	for (size_t i = 0; i < sizeof(averaged) / sizeof(averaged[0]); i++) {
		const __int128 actual = average(s->actual, s->requests, averaged[i]);
		const __int128 cost = average(m->cost, s->requests, averaged[i]);

		json_open_record(w, NULL);
		json_put_int(w, "requests", averaged[i]);
		json_put_int(w, "actualMicros", money_clip(actual));
		json_put_int(w, "costMicros", money_clip(cost));
		json_put_int(w, "savingsMicros", money_clip(actual - cost));
		json_close_record(w);
	}
	json_close_list(w);
	json_close_record(w);
}

static void put_comparison(struct call *c, const struct comparison *s)
{
	struct json_writer w;

	render_open(c, &w);
	json_put_text(&w, "account", c->account);
	json_put_text(&w, "unit", price_unit_name(s->unit));
	json_put_text(&w, "currency", c->config->currency);
	json_put_time(&w, "from", s->span.from_us);
	json_put_time(&w, "to", s->span.to_us);
	json_put_int(&w, "requests", s->requests);
	json_put_bool(&w, "complete", !s->more);
	json_put_int(&w, "inputTokens", s->tokens[DIMENSION_INPUT]);
	json_put_int(&w, "cacheReadTokens", s->tokens[DIMENSION_CACHE_READ]);
	json_put_int(&w, "cacheWriteTokens", s->tokens[DIMENSION_CACHE_WRITE] + s->tokens[DIMENSION_CACHE_WRITE_1H]);
	json_put_int(&w, "outputTokens", s->tokens[DIMENSION_OUTPUT]);
	json_put_int(&w, "actualMicros", money_clip(s->actual));
	json_open_list(&w, "models");
	for (int i = 0; i < s->count; i++)
		put_compared_model(&w, s, &s->models[i]);
	json_close_list(&w);
	render_close(&w);
}

static void render_unknown(struct call *c, const char *name)
{
	struct refusal r = {.outcome = OUTCOME_UNKNOWN_MODEL, .field = "models"};
	struct buf message;

	buf_init(&message, PRICE_ITEM_MAX + 64);
	sentence_put(&message, SENTENCE_NO_PRICE, c->french, (const char *const[]){name, NULL});
	r.message = buf_text(&message);
	render_refusal(c, &r);
	buf_free(&message);
}

/* False, rendered, when a model has no price. */
static bool find_prices(struct call *c, const struct book *book, struct comparison *s)
{
	for (int i = 0; i < s->count; i++) {
		s->models[i].price = book_price_at(book, PRICE_MODEL, s->names[i], clock_wall_us());
		if (s->models[i].price == NULL) {
			render_unknown(c, s->names[i]);
			return false;
		}
	}
	return true;
}

void compare_show(struct call *c)
{
	struct comparison s = {.key = call_account_key(c)};
	struct book *book;

	if (!parse_comparison(c, &s))
		return;
	book = ledger_book(c->ledger, 0, c->request->deadline_us);
	if (book == NULL) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	if (find_prices(c, book, &s) && read_use(c, &s))
		put_comparison(c, &s);
	book_release(book);
}
