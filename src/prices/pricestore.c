#include "prices/pricestore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "db/operator_alert.h"
#include "db/sql.h"
#include "prices/book.h"
#include "prices/planstore.h"

#define ATTEMPTS_MAX 20
#define ROWS_PER_INSERT 50 /* some 50 KB, and at most PRICE_LINES_MAX lines in each, below any max_allowed_packet */
#define LINES_BYTES_MAX ((size_t)16384) /* as prices.price_lines */
#define STATEMENT_BYTES_MAX ((size_t)1024 * 1024)

/* A transaction that adds one version. */
struct writing {
	struct db *d;
	const struct pricestore_change *change;
	struct pricestore_report *report;
	struct book *book; /* as before this version; NULL until read */
	struct buf sql;
	int64_t now_us;
	bool unknown; /* a COMMIT was not answered; committing is its report */
	struct pricestore_report committing;
};

static enum db_result run_statement(struct writing *w)
{
	enum db_result result = db_query(w->d, &w->sql);

	return result == DB_OK ? db_finish(w->d) : result;
}

/* Begins, and reads the database's clock and the highest version. */
static enum db_result begin_change(struct writing *w)
{
	enum db_result result;
	struct db_row row;
	bool more;

	buf_reset(&w->sql);
	sql_literal(&w->sql, "BEGIN; SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED),"
	                     " COALESCE(MAX(id), 0) FROM price_versions");
	result = db_query(w->d, &w->sql);
	if (result == DB_OK)
		result = db_next(w->d, &more);
	if (result == DB_OK && db_row(w->d, &row) == 1) {
		w->now_us = db_int(&row, 0);
		w->report->version = db_int(&row, 1) + 1;
	}
	if (result != DB_OK)
		db_finish(w->d);
	return result == DB_OK ? db_finish(w->d) : result;
}

/* Claims the version's number.  Waits for another writer of that number, and then returns DB_DUPLICATE. */
static enum db_result claim(struct writing *w)
{
	const struct price_terms *terms = &w->change->terms;

	buf_reset(&w->sql);
	sql_literal(&w->sql, "INSERT INTO price_versions (id, starts_at_us, margin_ppm, rate_ppm,"
	                     " credit_value_ppm, note, created_at_us) VALUES (");
	sql_int(&w->sql, w->report->version);
	sql_literal(&w->sql, ",");
	sql_int(&w->sql, w->report->starts_at_us);
	sql_literal(&w->sql, ",");
	sql_int(&w->sql, terms->margin_ppm);
	sql_literal(&w->sql, ",");
	sql_int(&w->sql, terms->rate_ppm);
	sql_literal(&w->sql, ",");
	sql_int(&w->sql, terms->credit_value_ppm);
	sql_literal(&w->sql, ",");
	sql_text(&w->sql, w->change->note);
	sql_literal(&w->sql, ",");
	sql_int(&w->sql, w->now_us);
	sql_literal(&w->sql, ")");
	return run_statement(w);
}

static bool same_terms(const struct price_terms *a, const struct price_terms *b)
{
	return a->margin_ppm == b->margin_ppm && a->rate_ppm == b->rate_ppm &&
	       a->credit_value_ppm == b->credit_value_ppm;
}

static bool same_figures(const struct price *a, const struct price *b)
{
	if (strcmp(a->provider, b->provider) != 0 || a->credits_micros != b->credits_micros ||
	    a->line_count != b->line_count)
		return false;
	for (int i = 0; i < a->line_count; i++) {
		const struct price_line *x = &a->lines[i], *y = &b->lines[i];

		if (x->dimension != y->dimension || x->tier != y->tier || x->above_tokens != y->above_tokens ||
		    strcmp(x->variant, y->variant) != 0 || x->mantissa != y->mantissa || x->scale != y->scale)
			return false;
	}
	return true;
}

static bool differs(const struct writing *w, const struct price *p)
{
	const struct price *old = book_price_at(w->book, p->kind, p->item, w->report->starts_at_us);

	return old == NULL || !same_terms(&old->terms, &w->change->terms) || !same_figures(old, p);
}

static void add_row(struct writing *w, const struct price *p, struct buf *lines)
{
	struct price checked = *p;

	checked.terms = w->change->terms;
	CHECK(price_valid(&checked));
	buf_reset(lines);
	if (p->kind == PRICE_MODEL)
		price_write_lines(p, lines);
	CHECK(buf_ok(lines));
	sql_literal(&w->sql, "(");
	sql_int(&w->sql, p->kind);
	sql_literal(&w->sql, ",");
	sql_text(&w->sql, p->item);
	sql_literal(&w->sql, ",");
	sql_int(&w->sql, w->report->version);
	sql_literal(&w->sql, ",");
	sql_text(&w->sql, p->provider);
	sql_literal(&w->sql, ",");
	sql_int(&w->sql, p->credits_micros);
	sql_literal(&w->sql, ",");
	sql_text(&w->sql, buf_text(lines));
	sql_literal(&w->sql, ")");
}

/* Inserts the prices that differ, ROWS_PER_INSERT at a time. */
static enum db_result insert_prices(struct writing *w)
{
	enum db_result result = DB_OK;
	struct buf lines;
	int rows = 0;

	buf_init(&lines, LINES_BYTES_MAX);
	for (size_t i = 0; i < w->change->count && result == DB_OK; i++) {
		const struct price *p = &w->change->prices[i];

		if (!differs(w, p)) {
			w->report->unchanged++;
			continue;
		}
		if (rows == 0) {
			buf_reset(&w->sql);
			sql_literal(&w->sql, "INSERT INTO prices (kind, item, version, provider,"
			                     " credits_micros, price_lines) VALUES ");
		} else {
			sql_literal(&w->sql, ",");
		}
		add_row(w, p, &lines);
		w->report->stored++;
		if (++rows == ROWS_PER_INSERT) {
			result = run_statement(w);
			rows = 0;
		}
	}
	if (rows > 0 && result == DB_OK)
		result = run_statement(w);
	buf_free(&lines);
	return result;
}

static int stop_at_price(void *context, const struct price *p)
{
	(void)context;
	(void)p;
	return 1;
}

/* The first prices of all are no news. */
static enum db_result tell_operator(struct writing *w)
{
	char subject[32];
	struct operator_alert alert = {.kind = OPERATOR_PRICE_CHANGED,
	                               .subject = subject,
	                               .detail = w->change->note,
	                               .arming = w->report->version};

	if (w->report->stored == 0 || book_each_row(w->book, stop_at_price, NULL) == 0)
		return DB_OK;
	(void)snprintf(subject, sizeof(subject), "version %lld", (long long)w->report->version);
	alert.value = w->report->stored;
	buf_reset(&w->sql);
	operator_alert_sql(&w->sql, &alert);
	return run_statement(w);
}

static int stop_change(void *context, const struct plan *p)
{
	(void)context;
	(void)p;
	return 1;
}

static enum db_result insert_plans(struct writing *w)
{
	const struct pricestore_change *c = w->change;
	struct planstore_report plans = {0};
	enum db_result result = DB_OK;

	if (!c->first_plans || book_each_plan(w->book, stop_change, NULL) == 0)
		result = planstore_insert(w->d, &w->sql, w->book, w->report->version, c->plans, c->plan_count, &plans);
	w->report->stored += plans.stored;
	w->report->unchanged += plans.unchanged;
	return result;
}

static enum db_result commit(struct writing *w)
{
	enum db_result result;

	buf_reset(&w->sql);
	sql_literal(&w->sql, "COMMIT");
	result = run_statement(w);
	w->unknown = result == DB_LOST;
	w->committing = *w->report;
	return result;
}

/* An unanswered COMMIT has taken place if nothing differs any more. */
static enum pricestore_result settle_unknown(struct writing *w, enum pricestore_result outcome)
{
	if (!w->unknown || outcome != PRICESTORE_UNCHANGED)
		return outcome;
	*w->report = w->committing;
	return PRICESTORE_STORED;
}

/* One attempt.  The caller rolls back a transaction that is still open afterwards. */
static enum db_result attempt_change(struct writing *w, enum pricestore_result *outcome)
{
	enum db_result result;

	*w->report = (struct pricestore_report){0};
	*outcome = PRICESTORE_FAULT;
	result = begin_change(w);
	if (result != DB_OK)
		return result;
	w->report->starts_at_us = w->change->starts_at_us != 0 ? w->change->starts_at_us : w->now_us;
	if (w->report->starts_at_us < w->now_us) {
		*outcome = PRICESTORE_PAST;
		return DB_OK;
	}
	result = claim(w);
	if (result != DB_OK)
		return result == DB_DUPLICATE ? DB_RETRY : result;
	w->book = book_load(w->d);
	if (w->book == NULL)
		return db_connected(w->d) ? DB_FAULT : DB_LOST;
	result = insert_prices(w);
	if (result == DB_OK)
		result = tell_operator(w);
	if (result == DB_OK)
		result = insert_plans(w);
	if (result != DB_OK)
		return result;
	*outcome = w->report->stored > 0 ? PRICESTORE_STORED : PRICESTORE_UNCHANGED;
	return w->report->stored > 0 && !w->change->dry_run ? commit(w) : DB_OK;
}

enum pricestore_result pricestore_add(struct db *d, const struct pricestore_change *change,
                                      struct pricestore_report *report)
{
	struct writing w = {.d = d, .change = change, .report = report};
	enum pricestore_result outcome = PRICESTORE_FAULT;
	enum db_result result = DB_RETRY;

	CHECK(!db_in_transaction(d));
	buf_init(&w.sql, STATEMENT_BYTES_MAX);
	for (int i = 0; i < ATTEMPTS_MAX && (result == DB_RETRY || result == DB_LOST); i++) {
		result = attempt_change(&w, &outcome);
		db_rollback(d);
		book_release(w.book);
		w.book = NULL;
	}
	buf_free(&w.sql);
	if (result == DB_OK)
		return settle_unknown(&w, outcome);
	log_event(LOG_LEVEL_ERROR, "prices_not_stored", LOG_TEXT("message", db_error(d)));
	return PRICESTORE_FAULT;
}

/* The prices that a new set of terms changes at one start. */
struct repricing {
	const struct price_terms *terms;
	const struct book *book;
	int64_t at_us;   /* the start that is being collected by take_starting */
	int64_t next_us; /* the earliest start after it of a price with other terms */
	struct price *prices;
	size_t count, capacity;
};

static void collect_prices(struct repricing *r, const struct price *p)
{
	if (r->count == r->capacity) {
		r->capacity = r->capacity == 0 ? 256 : r->capacity * 2;
		r->prices = reallocarray(r->prices, r->capacity, sizeof(r->prices[0]));
		CHECK(r->prices != NULL);
	}
	r->prices[r->count++] = *p;
}

static int take_in_force(void *context, const struct price *p)
{
	struct repricing *r = context;

	if (!same_terms(&p->terms, r->terms))
		collect_prices(r, p);
	return 0;
}

/* Collects a price that begins at at_us, unless a later version replaces it there. */
static int take_starting(void *context, const struct price *p)
{
	struct repricing *r = context;
	const struct price *winner;

	if (p->starts_at_us < r->at_us)
		return 0;
	winner = book_price_at(r->book, p->kind, p->item, p->starts_at_us);
	if (winner != p || same_terms(&p->terms, r->terms))
		return 0;
	if (p->starts_at_us == r->at_us)
		collect_prices(r, p);
	else if (p->starts_at_us < r->next_us)
		r->next_us = p->starts_at_us;
	return 0;
}

static enum pricestore_result store_collected(struct db *d, struct repricing *r, int64_t starts_at_us,
                                              struct pricestore_report *report)
{
	struct pricestore_change change = {
		.terms = *r->terms,
		.starts_at_us = starts_at_us,
		.note = "margin, exchange rate or credit value changed",
		.prices = r->prices,
		.count = r->count,
	};
	enum pricestore_result result = PRICESTORE_UNCHANGED;

	if (r->count > 0)
		result = pricestore_add(d, &change, report);
	r->count = 0;
	return result;
}

static int database_now(struct db *d, int64_t *now_us)
{
	struct buf sql;
	int result;

	buf_init(&sql, 256);
	sql_literal(&sql, "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)");
	result = db_read_int(d, &sql, now_us);
	buf_free(&sql);
	return result;
}

static enum pricestore_result reprice_book(struct db *d, struct repricing *r, int64_t now_us,
                                           struct pricestore_report *report)
{
	enum pricestore_result result, outcome;

	book_each(r->book, now_us, take_in_force, r);
	outcome = store_collected(d, r, 0, report);
	r->next_us = now_us + 1;
	while (r->next_us < INT64_MAX && outcome != PRICESTORE_FAULT) {
		r->at_us = r->next_us;
		r->next_us = INT64_MAX;
		book_each_row(r->book, take_starting, r);
		result = store_collected(d, r, r->at_us, report);
		/* A start that passed in the meantime is PRICESTORE_PAST; the next call finds its prices in force. */
		if (result == PRICESTORE_STORED || result == PRICESTORE_FAULT)
			outcome = result;
	}
	return outcome;
}

enum pricestore_result pricestore_reprice(struct db *d, const struct price_terms *terms,
                                          struct pricestore_report *report)
{
	struct repricing r = {.terms = terms};
	enum pricestore_result outcome = PRICESTORE_FAULT;
	struct book *book = book_load(d);
	int64_t now_us;

	*report = (struct pricestore_report){0};
	r.book = book;
	if (book != NULL && database_now(d, &now_us) == 0)
		outcome = reprice_book(d, &r, now_us, report);
	book_release(book);
	free(r.prices);
	return outcome;
}
