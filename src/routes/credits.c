/*
 * credits: an account as its owner sees it.
 */
#include "base/zone.h"
#include "ledger/code.h"
#include "options.h"
#include "prices/topup_bonus.h"
#include "queries/overview.h"
#include "queries/reader.h"
#include "routes/api/call.h"
#include "routes/api/cursor.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"
#include "routes/overviews.h"
#include "routes/people.h"
#include "routes/routes.h"
#include "routes/shared_keys.h"
#include "routes/show.h"

#include <string.h>

#define PAGE_DEFAULT 20
#define PAGE_MAX 100
#define ITEM_MAX (PRICE_ITEM_MAX - 1)

/* The member whose rows alone the caller sees; NULL for a caller that sees all of the account. */
static const char *own_member(const struct call *c)
{
	return c->member[0] != '\0' ? c->member : NULL;
}

static bool is_period_due(const struct reader_account *a)
{
	return !a->found || a->due_at_us <= a->now_us;
}

/* ---- GET /api/credits ------------------------------------------------------------------------ */

static int read_overview(struct call *c, const struct account_key *key, struct overview *out)
{
	int result = overview_init(out, c->request->arena, key, own_member(c));

	if (result == 0)
		result = overviews_read(c->overviews, out, c->request->deadline_us);
	if (result < 0)
		render_outcome(c, OUTCOME_UNAVAILABLE);
	return result;
}

/* Compares low_balance with the balance if prepaid, with show_available if postpaid. */
static bool is_low(const struct call *c, const struct reader_account *a)
{
	int64_t left = a->mode == MODE_POSTPAID ? show_available(a) : a->balance_micros;

	return left < c->config->low_balance;
}

/* The account's code, as people read it: "" where referrals are not rewarded.  False, rendered, on a fault. */
static bool make_referral_code(struct call *c, const struct account_key *account, char shown[CODE_SHOWN_MAX])
{
	unsigned char key[DIGEST_BYTES];
	char code[CODE_MAX];

	shown[0] = '\0';
	if (c->config->referral_amount == 0)
		return true;
	if (!shared_keys_find(c, SECRET_REFERRAL, key))
		return false;
	code_referral(key, account, code);
	code_show(code, shown);
	return true;
}

/* The amount that the caller itself can still spend, by the guard's own verdict: within limits and quotas, without the
 * amounts reserved for others.  False, rendered, on a fault, and for a member that was removed. */
static bool ask_spendable(struct call *c, const struct account_key *key, micros *spendable)
{
	struct command command = {
		.kind = COMMAND_CHECK,
		.account = *key,
		.account_id = c->account,
		.check = {.model = ""},
	};
	const struct answer *a = &command.answer;

	call_asks(c, &command);
	ledger_submit(c->ledger, &command, c->request->deadline_us);
	if (a->outcome == OUTCOME_UNAVAILABLE || a->outcome == OUTCOME_FORBIDDEN) {
		render_outcome(c, a->outcome);
		return false;
	}
	*spendable = a->outcome != OUTCOME_ACCOUNT_SUSPENDED && a->available_micros > 0 ? a->available_micros : 0;
	return true;
}

static void put_credits_member(struct json_writer *w, const struct call *c, const struct overview *o)
{
	if (!o->member_found || o->member.removed_at_us != 0)
		return;
	json_open_record(w, "member");
	show_member(w, c, &o->account, &o->member);
	json_close_record(w);
}

/* The tiers of topup_bonus, where there are any. */
static void put_topup_bonus(struct json_writer *w, const struct call *c)
{
	struct topup_bonus bonus;

	if (topup_bonus_read(&bonus, c->config->topup_bonus) != 0 || bonus.count == 0)
		return;
	json_open_list(w, "topupBonus");
	for (int i = 0; i < bonus.count; i++) {
		json_open_record(w, NULL);
		json_put_int(w, "amount", bonus.tiers[i].amount);
		json_put_int(w, "percent", bonus.tiers[i].percent);
		json_close_record(w);
	}
	json_close_list(w);
}

static void put_overview(struct json_writer *w, const struct call *c, const struct account_key *key,
                         const struct overview *o, const char *referral_code)
{
	const struct reader_account *a = &o->account;
	char formatted[RENDER_AMOUNT_MAX];

	render_amount(c, a->unit, a->balance_micros, formatted);
	json_put_text(w, "account", a->external_id);
	json_put_text(w, "mode", names_mode(a->mode));
	json_put_text(w, "unit", price_unit_name(a->unit));
	json_put_text(w, "currency", c->config->currency);
	json_put_text(w, "timeZone", zone_name(options_zone_of(c->config, a)));
	json_put_text(w, "balanceFormatted", formatted);
	show_balance(w, a);
	json_put_bool(w, "low", is_low(c, a));
	json_put_bool(w, "hasByok", a->byok != 0);
	show_status(w, a);
	show_plan(w, a);
	show_limits_if_any(w, c, a);
	show_statement(w, a);
	put_credits_member(w, c, o);
	if (referral_code[0] != '\0')
		json_put_text(w, "referralCode", referral_code);
	put_topup_bonus(w, c);
	json_open_list(w, "transactions");
	for (int i = 0; i < o->transaction_count; i++)
		show_transaction(w, NULL, key, a->unit, &o->transactions[i]);
	json_close_list(w);
	json_open_list(w, "usages");
	for (int i = 0; i < o->usage_count; i++)
		show_usage(w, key, a->unit, &o->usages[i]);
	json_close_list(w);
}

void credits_show(struct call *c)
{
	struct account_key key = call_account_key(c);
	struct overview overview;
	micros spendable = 0;
	char code[CODE_SHOWN_MAX];
	struct json_writer w;

	if (read_overview(c, &key, &overview) < 0)
		return;
	if (is_period_due(&overview.account) && (!call_touch(c, &key) || read_overview(c, &key, &overview) < 0))
		return;
	/* Just made, but not found: the server reads from a lagging copy. */
	if (!overview.account.found) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	if (overview.account.workspace.found && !ask_spendable(c, &key, &spendable))
		return;
	if (!make_referral_code(c, &key, code))
		return;
	render_open(c, &w);
	put_overview(&w, c, &key, &overview, code);
	if (overview.account.workspace.found)
		json_put_int(&w, "spendableMicros", spendable);
	render_close(&w);
}

/* ---- lists ----------------------------------------------------------------------------------- */

struct page {
	struct account_key key;
	struct reader_account account;
	int64_t before_seq, next_seq; /* next_seq: where the page after begins */
	int limit, count;
	bool more;
};

static void parse_page(struct parse *p, const struct call *c, enum cursor_kind kind, struct page *page)
{
	const char *cursor;

	memset(page, 0, sizeof(*page));
	page->key = call_account_key(c);
	page->limit = (int)parse_int(p, "limit", 1, PAGE_MAX, PAGE_DEFAULT);
	cursor = parse_text(p, "cursor", 1, 64);
	if (cursor != NULL && cursor_parse(cursor, kind, &page->key, &page->before_seq) < 0)
		parse_wrong(p, "cursor", PARSE_CURSOR);
}

/* Due work is done first, so that a list shows it.  A list does not make accounts. */
static struct db *open_page(struct call *c, struct page *page)
{
	struct db *d = call_reader(c);
	enum outcome outcome = OUTCOME_UNAVAILABLE;

	if (d == NULL)
		return NULL;
	if (reader_account(d, c->request->arena, &page->key, &page->account) == 0)
		outcome = call_may_read(c, d, &page->key, &page->account);
	if (outcome != OUTCOME_OK)
		goto fail;
	if (!page->account.found || !is_period_due(&page->account))
		return d;
	pool_give(c->readers, d);
	return call_touch(c, &page->key) ? call_reader(c) : NULL;
fail:
	pool_give(c->readers, d);
	render_outcome(c, outcome);
	return NULL;
}

static void put_next(struct json_writer *w, const struct page *page, enum cursor_kind kind)
{
	char cursor[CURSOR_MAX];

	if (!page->more) {
		json_put_null(w, "nextCursor");
		return;
	}
	cursor_format(kind, &page->key, page->next_seq, cursor);
	json_put_text(w, "nextCursor", cursor);
}

void credits_transactions(struct call *c)
{
	struct reader_transaction *rows = NULL;
	struct json_writer w;
	struct page page;
	struct parse p;
	struct db *d;
	int result;

	parse_query(&p, c->request);
	parse_page(&p, c, CURSOR_TRANSACTIONS, &page);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	d = open_page(c, &page);
	if (d == NULL)
		return;
	result = reader_transactions(d, c->request->arena, &page.key, page.before_seq, page.limit, &rows, &page.count,
	                             &page.more);
	pool_give(c->readers, d);
	if (result < 0) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	render_open(c, &w);
	json_open_list(&w, "items");
	for (int i = 0; i < page.count; i++)
		show_transaction(&w, NULL, &page.key, page.account.unit, &rows[i]);
	json_close_list(&w);
	page.next_seq = page.count > 0 ? rows[page.count - 1].seq : 0;
	put_next(&w, &page, CURSOR_TRANSACTIONS);
	render_close(&w);
}

/* book NULL: without the lines of each usage. */
static void render_usages(struct call *c, const struct book *book, const struct page *page,
                          const struct reader_usage *rows)
{
	struct json_writer w;

	render_open(c, &w);
	json_open_list(&w, "items");
	for (int i = 0; i < page->count; i++) {
		json_open_record(&w, NULL);
		show_usage_members(&w, &page->key, page->account.unit, &rows[i]);
		if (book != NULL)
			show_usage_lines(&w, book, (enum account_unit)page->account.unit, &rows[i]);
		json_close_record(&w);
	}
	json_close_list(&w);
	put_next(&w, page, CURSOR_USAGES);
	render_close(&w);
}

static void render_with_lines(struct call *c, const struct page *page, const struct reader_usage *rows)
{
	struct book *book = ledger_book(c->ledger, 0, c->request->deadline_us);

	if (book == NULL) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	render_usages(c, book, page, rows);
	book_release(book);
}

void credits_usages(struct call *c)
{
	struct reader_usage_filter filter = {NULL, NULL, NULL};
	struct reader_usage *rows = NULL;
	struct page page;
	struct parse p;
	struct db *d;
	bool lines;
	int result;

	parse_query(&p, c->request);
	parse_page(&p, c, CURSOR_USAGES, &page);
	if (!people_parse_member(&p, c, &filter.member))
		return;
	filter.model = parse_bytes(&p, "model", ITEM_MAX);
	filter.action = parse_bytes(&p, "action", ITEM_MAX);
	lines = parse_int(&p, "lines", 0, 1, 0) == 1;
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	d = open_page(c, &page);
	if (d == NULL)
		return;
	result = reader_usages(d, c->request->arena, &page.key, page.before_seq, &filter, page.limit, &rows,
	                       &page.count, &page.more, &page.next_seq);
	pool_give(c->readers, d);
	if (result < 0) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	if (lines)
		render_with_lines(c, &page, rows);
	else
		render_usages(c, NULL, &page, rows);
}
