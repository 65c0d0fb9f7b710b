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
	show_usage_lines(&w, book, (enum account_unit)account.unit, u);
	render_close(&w);
	book_release(book);
}
