/*
 * usages: one usage and the lines that it was charged by.
 */
#include <string.h>

#include "base/id.h"
#include "prices/book.h"
#include "queries/reader.h"
#include "routes/api/call.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"
#include "routes/counted.h"
#include "routes/routes.h"
#include "routes/show.h"

/* Reads the usage of the path, which must be the caller's own.  False, rendered, when there is none, or on a fault. */
static bool read_usage(struct call *c, struct account_key *key, struct reader_account *account, struct reader_usage **u)
{
	const struct reader_usage_filter filter = {.member = c->member[0] != '\0' ? c->member : NULL};
	enum outcome outcome = OUTCOME_UNAVAILABLE;
	struct account_key own = call_account_key(c);
	struct db *d;
	int64_t seq, next_seq;
	int count = 0;
	bool more;

	if (id_public_parse(c->segment[0], strlen(c->segment[0]), key, &seq) < 0 ||
	    memcmp(key->bytes, own.bytes, sizeof(own.bytes)) != 0) {
		render_outcome(c, OUTCOME_NOT_FOUND);
		return false;
	}
	d = call_reader(c);
	if (d == NULL)
		return false;
	if (reader_account(d, c->request->arena, key, account) == 0)
		outcome = call_may_read(c, d, key, account);
	if (outcome == OUTCOME_OK &&
	    reader_usages(d, c->request->arena, key, seq + 1, &filter, 1, u, &count, &more, &next_seq) < 0)
		outcome = OUTCOME_UNAVAILABLE;
	pool_give(c->readers, d);
	if (outcome == OUTCOME_OK && (count == 0 || (*u)->seq != seq))
		outcome = OUTCOME_NOT_FOUND;
	if (outcome != OUTCOME_OK)
		render_outcome(c, outcome);
	return outcome == OUTCOME_OK;
}

/* The counts of the usage, with those that have columns. */
static struct counts counts_of(const struct reader_usage *u)
{
	struct counts counts = {{0}};

	(void)counts_read(&counts, u->counts, strlen(u->counts));
	counts.of[DIMENSION_INPUT] = u->input_tokens;
	counts.of[DIMENSION_CACHE_READ] = u->cache_read_tokens;
	counts.of[DIMENSION_CACHE_WRITE] = u->cache_write_tokens - u->cache_write_1h_tokens;
	counts.of[DIMENSION_CACHE_WRITE_1H] = u->cache_write_1h_tokens;
	counts.of[DIMENSION_OUTPUT] = u->output_tokens;
	return counts;
}

/* Writes a charge that has one line: an action, a reservation, the provider's own cost. */
static void put_single(struct json_writer *w, const char *dimension, const struct reader_usage *u)
{
	json_open_list(w, "lines");
	if (u->cost_micros != 0) {
		json_open_record(w, NULL);
		json_put_text(w, "dimension", dimension);
		if (u->kind == PRICE_ACTION)
			json_put_int(w, "count", u->quantity);
		json_put_int(w, "costMicros", u->cost_micros);
		json_close_record(w);
	}
	json_close_list(w);
}

static void put_lines(struct json_writer *w, const struct book *book, enum account_unit unit,
                      const struct reader_usage *u)
{
	const struct price *p = book_price_of_version(book, PRICE_MODEL, u->item, u->price_version);
	const struct counts counts = counts_of(u);
	const bool known = u->service_tier >= 0 && u->service_tier < TIER_COUNT;
	const struct price_use use = {&counts, known ? (enum service_tier)u->service_tier : TIER_STANDARD, u->variant};

	if (u->kind == PRICE_ACTION)
		put_single(w, "actions", u);
	else if (u->reported)
		put_single(w, "providerCost", u);
	else if (u->source == SOURCE_BYOK || u->has_usage == 0 || p == NULL || !known)
		put_single(w, "reserved", u);
	else
		counted_put_lines(w, p, unit, &use, u->cost_micros);
}

void usages_show(struct call *c)
{
	struct reader_account account;
	struct reader_usage *u = NULL;
	struct account_key key;
	struct json_writer w;
	struct book *book;

	if (!read_usage(c, &key, &account, &u))
		return;
	book = ledger_book(c->ledger, 0, c->request->deadline_us);
	if (book == NULL) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	render_open(c, &w);
	show_usage_members(&w, &key, account.unit, u);
	json_put_int(&w, "priceVersion", u->price_version);
	put_lines(&w, book, (enum account_unit)account.unit, u);
	render_close(&w);
	book_release(book);
}
