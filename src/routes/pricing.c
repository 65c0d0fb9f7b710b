/*
 * pricing: the price list as customers pay it, and estimates of a request's cost.
 */
#include "base/clock.h"
#include "base/digest.h"
#include "base/money.h"
#include "ledger/decide/use.h"
#include "options.h"
#include "prices/book.h"
#include "prices/price.h"
#include "queries/reader.h"
#include "routes/api/call.h"
#include "routes/api/cursor.h"
#include "routes/api/etag.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"
#include "routes/counted.h"
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
	enum dimension dimension;
} columns[] = {
	{"inputMicros", DIMENSION_INPUT},
	{"outputMicros", DIMENSION_OUTPUT},
	{"cacheReadMicros", DIMENSION_CACHE_READ},
	{"cacheWriteMicros", DIMENSION_CACHE_WRITE},
};

/* A price with that line alone, for everybody. */
static struct price flat_price(const struct price *p, const struct price_line *line, struct price_line *flat)
{
	struct price alone = *p;

	*flat = *line;
	flat->above_tokens = 0;
	flat->tier = TIER_STANDARD;
	flat->variant[0] = '\0';
	alone.lines = flat;
	alone.line_count = 1;
	return alone;
}

/* The cost in money of a count at that line; false when it is beyond counting. */
static bool line_cost(const struct price *p, const struct price_line *line, int64_t count, micros *cost)
{
	struct counts counts = {{0}};
	struct price_charge charge;
	struct price_line flat;
	const struct price alone = flat_price(p, line, &flat);

	counts.of[line->dimension] = count;
	if (!price_of_use(&alone, UNIT_MONEY, &(struct price_use){&counts, TIER_STANDARD, ""}, &charge))
		return false;
	*cost = charge.cost_micros;
	return true;
}

/* The line for a token of the dimension beyond that threshold, in the standard tier. */
static const struct price_line *line_at(const struct price *p, enum dimension dimension, int64_t above)
{
	const struct price_line *found = NULL;

	for (int i = 0; i < p->line_count; i++) {
		const struct price_line *l = &p->lines[i];

		if (l->dimension == dimension && l->tier == TIER_STANDARD && l->variant[0] == '\0' &&
		    l->above_tokens <= above)
			found = l;
	}
	if (found == NULL && dimension_stand_in(dimension) != DIMENSION_NONE)
		return line_at(p, dimension_stand_in(dimension), above);
	return found;
}

/* Writes the cost in money of a million tokens of each column, beyond that threshold; null where there is none. */
static void put_tier(struct json_writer *w, const struct price *p, int64_t above)
{
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		const struct price_line *line = line_at(p, columns[i].dimension, above);
		micros cost;

		if (line != NULL && line_cost(p, line, TOKENS_PER_MILLION, &cost))
			json_put_int(w, columns[i].name, cost);
		else
			json_put_null(w, columns[i].name);
	}
}

/* The next threshold of a price of tokens after above, 0 if there is none. */
static int64_t next_threshold(const struct price *p, int64_t above)
{
	int64_t next = 0;

	for (int i = 0; i < p->line_count; i++) {
		const struct price_line *l = &p->lines[i];

		if (l->dimension < DIMENSION_COLUMNS && l->tier == TIER_STANDARD && l->above_tokens > above &&
		    (next == 0 || l->above_tokens < next))
			next = l->above_tokens;
	}
	return next;
}

/* Writes the line as it is charged: its count is a million tokens, or one of anything else. */
static void put_line(struct json_writer *w, const struct price *p, const struct price_line *l)
{
	const bool tokens = dimension_side(l->dimension) != SIDE_OTHER;
	const int64_t one = dimension_places(l->dimension) > 0 ? COUNTS_FRACTION : 1;
	micros cost;

	json_open_record(w, NULL);
	json_put_text(w, "dimension", dimension_name(l->dimension));
	json_put_text(w, "serviceTier", service_tier_name(l->tier));
	if (l->above_tokens > 0)
		json_put_int(w, "aboveTokens", l->above_tokens);
	render_put_given(w, "variant", l->variant);
	json_put_int(w, "per", tokens || l->dimension == DIMENSION_PIXELS ? TOKENS_PER_MILLION : 1);
	if (line_cost(p, l, tokens || l->dimension == DIMENSION_PIXELS ? TOKENS_PER_MILLION : one, &cost))
		json_put_int(w, "costMicros", cost);
	else
		json_put_null(w, "costMicros");
	json_close_record(w);
}

static void put_model(struct json_writer *w, const struct price *p, bool lines)
{
	json_open_record(w, NULL);
	json_put_text(w, "model", p->item);
	json_put_text(w, "provider", p->provider);
	put_tier(w, p, 0);
	if (next_threshold(p, 0) > 0) {
		json_open_list(w, "tiers");
		for (int64_t above = next_threshold(p, 0); above > 0; above = next_threshold(p, above)) {
			json_open_record(w, NULL);
			json_put_int(w, "aboveTokens", above);
			put_tier(w, p, above);
			json_close_record(w);
		}
		json_close_list(w);
	}
	if (lines) {
		json_open_list(w, "lines");
		for (int i = 0; i < p->line_count; i++)
			put_line(w, p, &p->lines[i]);
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
	int64_t place, first;         /* among all prices, from 1 */
	int64_t left;
	int64_t next; /* where the next page begins; 0 while there is none */
};

static bool is_price_listed(const struct listing *l, const struct price *p)
{
	return p->kind == l->kind && (l->model == NULL || strcmp(p->item, l->model) == 0) &&
	       (l->provider == NULL || strcmp(p->provider, l->provider) == 0);
}

static int visit(void *context, const struct price *p)
{
	struct listing *l = context;

	l->place++;
	if (l->place < l->first || !is_price_listed(l, p))
		return 0;
	if (l->next == 0 && (l->left == 0 || l->c->response->body.length > BODY_SOFT_MAX))
		l->next = l->place;
	if (l->next != 0)
		return 1;
	l->left--;
	if (p->kind == PRICE_MODEL)
		put_model(l->w, p, l->model != NULL);
	else
		put_action(l->w, p);
	return 0;
}

static void put_list(struct listing *l, const struct book *book, enum price_kind kind, const char *name)
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
		piece_of(OCTROI_VERSION), piece_of(c->config->currency), piece_of(l->model),
		piece_of(l->provider),    {numbers, sizeof(numbers)},
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
	"model", "action", "quantity", "inputTokens", "outputTokens", "unit", "counts", "variant", "serviceTier", NULL,
};

struct estimate {
	const char *model, *action;
	int64_t quantity;
	int64_t input_tokens, output_tokens;
	struct counts counts; /* what is to be priced */
	const char *variant;
	enum service_tier tier;
	enum account_unit unit;
	const struct price *price; /* of a model, while the book is held */
	int64_t price_version;
	micros cost;
	bool incomplete;
};

/* Reads all but the unit. */
static void parse_estimate(struct parse *p, const struct call *c, struct estimate *e)
{
	e->model = parse_bytes(p, "model", ITEM_MAX);
	e->action = parse_bytes(p, "action", ITEM_MAX);
	if (parse_given(p, "model") == parse_given(p, "action"))
		parse_wrong(p, "model", PARSE_ONE_OF);
	e->quantity = parse_int(p, "quantity", 1, COMMAND_QUANTITY_MAX, 1);
	if (e->action == NULL && e->quantity != 1)
		parse_wrong(p, "quantity", PARSE_ABSENT);
	e->input_tokens = parse_int(p, "inputTokens", 0, COUNTS_MAX, c->config->estimate_input_tokens);
	e->output_tokens = parse_int(p, "outputTokens", 0, COUNTS_MAX, c->config->estimate_output_tokens);
	counted_parse(p, (enum dimension)DIMENSION_CACHE_READ, &e->counts);
	e->variant = counted_parse_variant(p);
	e->tier = (enum service_tier)parse_name(p, "serviceTier", service_tier_named, TIER_STANDARD);
}

/* The terms of an action that has no price of its own, as the ledger has them. */
static struct price standard_action(const struct config *config)
{
	struct price p = {
		.kind = PRICE_ACTION,
		.credits_micros = config->action_price,
		.terms = {.margin_ppm = config->margin,
	                  .rate_ppm = config->exchange_rate,
	                  .credit_value_ppm = config->credit_value},
	};

	return p;
}

/* The figure that the guard would reserve; false when it is beyond counting. */
static bool estimate_model(const struct price *p, const struct config *config, struct estimate *e)
{
	const struct counts usual = options_estimate(config);
	struct price_charge charge;

	e->counts = use_bounds(&usual, p, e->input_tokens, e->output_tokens, &e->counts);
	if (!price_of_use(p, e->unit, &(struct price_use){&e->counts, e->tier, e->variant}, &charge))
		return false;
	e->cost = charge.cost_micros;
	e->incomplete = charge.incomplete;
	return true;
}

/* OK with cost and version, UNKNOWN_MODEL, UNKNOWN_ACTION, or INVALID_REQUEST: beyond counting. */
static enum outcome estimate(const struct book *book, const struct config *config, struct estimate *e)
{
	enum price_kind kind = e->model != NULL ? PRICE_MODEL : PRICE_ACTION;
	const struct price *p = book_price_at(book, kind, kind == PRICE_MODEL ? e->model : e->action, clock_wall_us());
	struct price standard = standard_action(config);
	bool fits;

	if (p == NULL && kind == PRICE_MODEL)
		return OUTCOME_UNKNOWN_MODEL;
	if (p == NULL && config->action_price == 0)
		return OUTCOME_UNKNOWN_ACTION;
	if (p == NULL)
		p = &standard;
	e->price_version = p->version;
	e->price = kind == PRICE_MODEL ? p : NULL;
	fits = kind == PRICE_MODEL ? estimate_model(p, config, e) : price_of_action(p, e->unit, e->quantity, &e->cost);
	return fits ? OUTCOME_OK : OUTCOME_INVALID_REQUEST;
}

/* Writes the counts beside the tokens of input and output. */
static void put_estimated(struct json_writer *w, const struct counts *all)
{
	struct counts others = *all;

	others.of[DIMENSION_INPUT] = others.of[DIMENSION_OUTPUT] = 0;
	counted_put(w, DIMENSION_INPUT, &others);
}

static void put_estimate(struct json_writer *w, const struct call *c, const struct estimate *e)
{
	if (e->model != NULL) {
		json_put_text(w, "model", e->model);
		json_put_int(w, "inputTokens", e->counts.of[DIMENSION_INPUT]);
		json_put_int(w, "outputTokens", e->counts.of[DIMENSION_OUTPUT]);
		put_estimated(w, &e->counts);
		if (e->tier != TIER_STANDARD)
			json_put_text(w, "serviceTier", service_tier_name(e->tier));
		render_put_given(w, "variant", e->variant);
		if (e->incomplete)
			json_put_bool(w, "usageIncomplete", true);
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

/* Computes and renders the estimate. */
static void answer_estimate(struct call *c, struct estimate *e)
{
	struct book *book = take_book(c);
	enum outcome outcome;
	struct json_writer w;

	if (book == NULL)
		return;
	outcome = estimate(book, c->config, e);
	if (outcome == OUTCOME_INVALID_REQUEST)
		c->field = e->model != NULL ? "outputTokens" : "quantity";
	if (outcome == OUTCOME_OK) {
		render_open(c, &w);
		put_estimate(&w, c, e);
		if (e->price != NULL)
			counted_put_lines(&w, e->price, e->unit, &(struct price_use){&e->counts, e->tier, e->variant},
			                  e->cost);
		render_close(&w);
	} else {
		render_outcome(c, outcome);
	}
	book_release(book);
}

void pricing_estimate(struct call *c)
{
	struct estimate e = {.model = NULL};
	struct parse p;

	parse_record(&p, c->request, c->body, estimate_members);
	parse_estimate(&p, c, &e);
	e.unit = (enum account_unit)parse_name(&p, "unit", price_unit_named, UNIT_MONEY);
	if (parse_ok(&p))
		answer_estimate(c, &e);
	else
		render_wrong(c, &p);
}

/* Reads the unit of the caller's account; one that nobody has seen is of money.  False, rendered, when the caller may
 * not read it, or the database does not answer. */
static bool read_unit(struct call *c, enum account_unit *unit)
{
	const struct account_key key = call_account_key(c);
	struct reader_account account = {.found = false};
	enum outcome outcome = OUTCOME_UNAVAILABLE;
	struct db *d = call_reader(c);

	if (d == NULL)
		return false;
	if (reader_account(d, c->request->arena, &key, &account) == 0)
		outcome = account.found ? call_may_read(c, d, &key, &account) : OUTCOME_OK;
	pool_give(c->readers, d);
	*unit = account.found ? (enum account_unit)account.unit : UNIT_MONEY;
	if (outcome != OUTCOME_OK)
		render_outcome(c, outcome);
	return outcome == OUTCOME_OK;
}

void pricing_estimate_get(struct call *c)
{
	struct estimate e = {.model = NULL};
	struct parse p;

	parse_query(&p, c->request);
	parse_estimate(&p, c, &e);
	if (!parse_ok(&p))
		render_wrong(c, &p);
	else if (read_unit(c, &e.unit))
		answer_estimate(c, &e);
}
