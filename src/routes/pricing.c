/*
 * pricing: the price list as customers pay it, and estimates of a request's cost.
 */
#include "base/clock.h"
#include "base/digest.h"
#include "base/money.h"
#include "prices/book.h"
#include "prices/price.h"
#include "routes/api/call.h"
#include "routes/api/cursor.h"
#include "routes/api/etag.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/routes.h"

#include <string.h>

#define ITEM_MAX (PRICE_ITEM_MAX - 1)
#define TOKENS_PER_MILLION INT64_C(1000000)
#define LIMIT_MAX 1000
#define LIMIT_USUAL 100
/* The list is cut where the next entry might not fit; the rest follows with the cursor. */
#define BODY_SOFT_MAX (RESPONSE_BODY_MAX - 16 * 1024)
/* The list is open to all, so the database is asked once a second at most. */
#define BOOK_AGE_US CLOCK_US_PER_SECOND

static struct book *take_book(struct call *c)
{
	struct book *book = ledger_book(c->ledger, BOOK_AGE_US, c->request->deadline_us);

	if (book == NULL)
		render_outcome(c, OUTCOME_UNAVAILABLE);
	return book;
}

/* ---- the list -------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum price_class class;
} classes[] = {
	{"inputMicros", PRICE_INPUT},
	{"outputMicros", PRICE_OUTPUT},
	{"cacheReadMicros", PRICE_CACHE_READ},
	{"cacheWriteMicros", PRICE_CACHE_WRITE},
};

/* Writes the cost in money of a million tokens of each class at one tier. */
static void put_tier(struct json_writer *w, const struct price *p, int tier)
{
	struct price flat = *p;

	flat.tier[0] = p->tier[tier];
	flat.tier[0].above_tokens = 0;
	flat.tier_count = 1;
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		struct tokens t = {.count = {0}};
		micros cost;

		t.count[classes[i].class] = TOKENS_PER_MILLION;
		if (price_of_tokens(&flat, UNIT_MONEY, &t, &cost))
			json_put_int(w, classes[i].name, cost);
		else
			json_put_null(w, classes[i].name); /* beyond all counting */
	}
}

static void put_model(struct json_writer *w, const struct price *p)
{
	json_open_record(w, NULL);
	json_put_text(w, "model", p->item);
	json_put_text(w, "provider", p->provider);
	put_tier(w, p, 0);
	if (p->tier_count > 1) {
		json_open_list(w, "tiers");
		for (int i = 1; i < p->tier_count; i++) {
			json_open_record(w, NULL);
			json_put_int(w, "aboveTokens", p->tier[i].above_tokens);
			put_tier(w, p, i);
			json_close_record(w);
		}
		json_close_list(w);
	}
	json_put_int(w, "priceVersion", p->version);
	json_close_record(w);
}

static void put_action(struct json_writer *w, const struct price *p)
{
	micros cost;

	json_open_record(w, NULL);
	json_put_text(w, "action", p->item);
	json_put_minor(w, "credits", p->credits_micros, MONEY_MICROS_PER_UNIT);
	json_put_int(w, "creditsMicros", p->credits_micros);
	if (price_of_action(p, UNIT_MONEY, 1, &cost))
		json_put_int(w, "costMicros", cost);
	else
		json_put_null(w, "costMicros");
	json_put_int(w, "priceVersion", p->version);
	json_close_record(w);
}

/* One pass over the book, which is in order of kind and item, for one of the two lists. */
struct listing {
	struct json_writer *w;
	const struct call *c;
	enum price_kind kind;
	const char *model, *provider; /* NULL: any */
	int64_t place, first; /* among all prices, from 1 */
	int64_t left;
	int64_t next; /* where the next page begins; 0 while there is none */
};

static bool is_listed(const struct listing *l, const struct price *p)
{
	return p->kind == l->kind && (l->model == NULL || strcmp(p->item, l->model) == 0) &&
	       (l->provider == NULL || strcmp(p->provider, l->provider) == 0);
}

static int visit(void *context, const struct price *p)
{
	struct listing *l = context;

	l->place++;
	if (l->place < l->first || !is_listed(l, p))
		return 0;
	if (l->next == 0 && (l->left == 0 || l->c->response->body.length > BODY_SOFT_MAX))
		l->next = l->place;
	if (l->next != 0)
		return 1;
	l->left--;
	if (p->kind == PRICE_MODEL)
		put_model(l->w, p);
	else
		put_action(l->w, p);
	return 0;
}

static void put_list(struct listing *l, const struct book *book, enum price_kind kind,
                     const char *name)
{
	l->kind = kind;
	l->place = 0;
	json_open_list(l->w, name);
	if (l->next == 0)
		book_each(book, clock_wall_us(), visit, l);
	json_close_list(l->w);
}

static void parse_list_query(struct parse *p, const struct call *c, struct listing *l)
{
	const char *cursor;

	parse_query(p, c->request);
	l->c = c;
	l->model = parse_bytes(p, "model", ITEM_MAX);
	l->provider = parse_bytes(p, "provider", PRICE_PROVIDER_MAX - 1);
	l->left = parse_int(p, "limit", 1, LIMIT_MAX, LIMIT_USUAL);
	cursor = parse_text(p, "cursor", 1, 64);
	if (cursor != NULL && cursor_parse(cursor, CURSOR_PRICES, NULL, &l->first) < 0)
		parse_wrong(p, "cursor", PARSE_CURSOR);
}

/* Counts the prices of the book that have begun: the list changes when another one begins. */
static int count_begun(void *context, const struct price *p)
{
	int64_t *begun = context;

	*begun += p->starts_at_us <= clock_wall_us() ? 1 : 0;
	return 0;
}

/* Includes the NUL, so that no two lists of texts have the same bytes. */
static struct digest_piece piece_of(const char *text)
{
	const char *given = text != NULL ? text : "";

	return (struct digest_piece){given, strlen(given) + 1};
}

/* A digest of all that the answer is made of: the program, the prices that have begun, the settings, the query. */
static void identify(const struct call *c, const struct listing *l, const struct book *book,
                     unsigned char digest[DIGEST_BYTES])
{
	int64_t numbers[] = {
		book_version(book), c->config->credit_value, c->config->action_price, l->first, l->left, 0,
	};
	const struct digest_piece pieces[] = {
		piece_of(OCTROI_VERSION), piece_of(c->config->currency), piece_of(l->model), piece_of(l->provider),
		{numbers, sizeof(numbers)},
	};

	book_each_row(book, count_begun, &numbers[sizeof(numbers) / sizeof(numbers[0]) - 1]);
	digest_sha256_pieces(pieces, sizeof(pieces) / sizeof(pieces[0]), digest);
}

void pricing_list(struct call *c)
{
	unsigned char digest[DIGEST_BYTES];
	struct listing l = {.first = 0};
	char cursor[CURSOR_MAX];
	struct json_writer w;
	struct book *book;
	struct parse p;

	parse_list_query(&p, c, &l);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	book = take_book(c);
	if (book == NULL)
		return;
	identify(c, &l, book, digest);
	if (etag_known(c, digest)) {
		book_release(book);
		return;
	}
	l.w = &w;
	render_open(c, &w);
	json_put_text(&w, "currency", c->config->currency);
	json_put_int(&w, "priceVersion", book_version(book));
	json_put_int(&w, "perTokens", TOKENS_PER_MILLION);
	json_put_int(&w, "creditValueMicros", c->config->credit_value);
	json_put_int(&w, "actionCreditsMicros", c->config->action_price);
	put_list(&l, book, PRICE_MODEL, "models");
	put_list(&l, book, PRICE_ACTION, "actions");
	book_release(book);
	if (l.next != 0) {
		cursor_format(CURSOR_PRICES, NULL, l.next, cursor);
		json_put_text(&w, "nextCursor", cursor);
	} else {
		json_put_null(&w, "nextCursor");
	}
	render_close(&w);
}

/* ---- an estimate ----------------------------------------------------------------------------- */

static const char *const estimate_members[] = {
	"model", "action", "quantity", "inputTokens", "outputTokens", "unit", NULL,
};

struct estimate {
	const char *model, *action;
	int64_t quantity;
	struct tokens tokens;
	enum account_unit unit;
	int64_t price_version;
	micros cost;
};

static void parse_estimate(struct parse *p, const struct call *c, struct estimate *e)
{
	parse_record(p, c->request, c->body, estimate_members);
	e->model = parse_bytes(p, "model", ITEM_MAX);
	e->action = parse_bytes(p, "action", ITEM_MAX);
	if (parse_given(p, "model") == parse_given(p, "action"))
		parse_wrong(p, "model", PARSE_ONE_OF);
	e->quantity = parse_int(p, "quantity", 1, COMMAND_QUANTITY_MAX, 1);
	if (e->action == NULL && e->quantity != 1)
		parse_wrong(p, "quantity", PARSE_ABSENT);
	e->tokens.count[PRICE_INPUT] =
		parse_int(p, "inputTokens", 0, PRICE_TOKENS_MAX, c->config->estimate_input_tokens);
	e->tokens.count[PRICE_OUTPUT] = parse_int(p, "outputTokens", 0, PRICE_TOKENS_MAX,
	                                          c->config->estimate_output_tokens);
	e->unit = (enum account_unit)parse_name(p, "unit", price_unit_named, UNIT_MONEY);
}

/* The terms of an action that has no price of its own, as the ledger has them. */
static struct price standard_action(const struct config *config)
{
	struct price p = {
		.kind = PRICE_ACTION, .credits_micros = config->action_price,
		.terms = {.margin_ppm = config->margin, .rate_ppm = config->exchange_rate,
		          .credit_value_ppm = config->credit_value},
	};

	return p;
}

/* OK with cost and version, UNKNOWN_MODEL, UNKNOWN_ACTION, or INVALID_REQUEST: beyond counting. */
static enum outcome estimate(const struct book *book, const struct config *config,
                             struct estimate *e)
{
	enum price_kind kind = e->model != NULL ? PRICE_MODEL : PRICE_ACTION;
	const struct price *p = book_price_at(
		book, kind, kind == PRICE_MODEL ? e->model : e->action, clock_wall_us());
	struct price standard = standard_action(config);
	bool fits;

	if (p == NULL && kind == PRICE_MODEL)
		return OUTCOME_UNKNOWN_MODEL;
	if (p == NULL && config->action_price == 0)
		return OUTCOME_UNKNOWN_ACTION;
	if (p == NULL)
		p = &standard;
	e->price_version = p->version;
	fits = kind == PRICE_MODEL ? price_of_tokens(p, e->unit, &e->tokens, &e->cost)
	                           : price_of_action(p, e->unit, e->quantity, &e->cost);
	return fits ? OUTCOME_OK : OUTCOME_INVALID_REQUEST;
}

static void put_estimate(struct json_writer *w, const struct call *c, const struct estimate *e)
{
	if (e->model != NULL) {
		json_put_text(w, "model", e->model);
		json_put_int(w, "inputTokens", e->tokens.count[PRICE_INPUT]);
		json_put_int(w, "outputTokens", e->tokens.count[PRICE_OUTPUT]);
	} else {
		json_put_text(w, "action", e->action);
		json_put_int(w, "quantity", e->quantity);
	}
	json_put_text(w, "unit", price_unit_name(e->unit));
	json_put_text(w, "currency", c->config->currency);
	json_put_minor(w, "cost", e->cost, render_per_minor(e->unit));
	json_put_int(w, "costMicros", e->cost);
	json_put_int(w, "priceVersion", e->price_version);
}

void pricing_estimate(struct call *c)
{
	struct estimate e = {.model = NULL};
	enum outcome outcome;
	struct json_writer w;
	struct book *book;
	struct parse p;

	parse_estimate(&p, c, &e);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	book = take_book(c);
	if (book == NULL)
		return;
	outcome = estimate(book, c->config, &e);
	book_release(book);
	if (outcome != OUTCOME_OK) {
		if (outcome == OUTCOME_INVALID_REQUEST)
			c->field = e.model != NULL ? "outputTokens" : "quantity";
		render_outcome(c, outcome);
		return;
	}
	render_open(c, &w);
	put_estimate(&w, c, &e);
	render_close(&w);
}
