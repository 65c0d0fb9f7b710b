#include "queries/platform.h"

#include <string.h>

#include "base/check.h"
#include "db/ask.h"
#include "db/operator_alert.h"
#include "db/sql.h"
#include "ledger/grant_sql.h"
#include "ledger/hold_sql.h"
#include "ledger/names.h"
#include "ledger/sql_numbers.h"
#include "queries/view.h"

#define NOW SQL_NOW_US

/* ---- columns ----------------------------------------------------------------------------------------- */

/* The ages of open holds end at these times after they were placed; the last has no end. */
#define AGE_ENDS_US "60000000,600000000,3600000000,86400000000"
static const char *age_name(int64_t number)
{
	static const char *const names[] = {"minute", "ten_minutes", "hour", "day", "older"};

	CHECK(number >= 0 && number < (int64_t)(sizeof(names) / sizeof(names[0])));
	return names[number];
}

static const char *provider_of_event(int64_t provider)
{
	return provider == PROVIDER_CLERK ? "clerk" : "stripe";
}

/* usages.state begins with the state of a settled hold. */
static const char *names_hold_state_of_usage(int64_t state)
{
	return names_hold_state(state + HOLD_STATE_SETTLED);
}

static const struct platform_column columns[PLATFORM_LISTS][PLATFORM_COLUMNS_MAX + 1] = {
#define K(key) {#key, PLATFORM_KEY, NULL},
#define T(key) {#key, PLATFORM_TEXT, NULL},
#define I(key) {#key, PLATFORM_INT, NULL},
#define A(key) {#key, PLATFORM_TIME, NULL},
#define D(key) {#key, PLATFORM_ID, NULL},
#define N(key, name) {#key, PLATFORM_NAME, name},
#define LIST(NAME, columns) [PLATFORM_##NAME] = {columns},
#include "queries/platform_lists.def"
#undef LIST
#undef K
#undef T
#undef I
#undef A
#undef D
#undef N
};

const struct platform_column *platform_columns(enum platform_list list)
{
	CHECK(list >= 0 && list < PLATFORM_LISTS);
	return columns[list];
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

struct taking {
	const struct platform_column *columns;
	struct platform_page *page;
	int limit;
};

static int take_platform_row(struct ask *q, const struct db_row *row, void *out)
{
	struct taking *t = out;
	struct platform_row *r;

	if (t->page->count == t->limit) {
		t->page->more = true;
		return 0;
	}
	r = &t->page->rows[t->page->count++];
	for (unsigned i = 0; t->columns[i].key != NULL; i++) {
		const enum platform_kind kind = t->columns[i].kind;

		if (kind != PLATFORM_TEXT && kind != PLATFORM_KEY) {
			r->cells[i].number = db_int(row, i);
			continue;
		}
		r->cells[i].text = ask_text(q, row, i);
		if (r->cells[i].text == NULL)
			return -1;
	}
	return 0;
}

/* Takes in the rows of the current result, at most limit. */
static int take_page(struct ask *q, enum platform_list list, int limit, struct platform_page *page)
{
	struct taking t = {.columns = platform_columns(list), .page = page, .limit = limit};

	*page = (struct platform_page){.rows = arena_alloc(q->arena, (size_t)limit * sizeof(*page->rows))};
	if (page->rows == NULL)
		return -1;
	return ask_each(q, take_platform_row, &t);
}

static void sql_page_limit(struct ask *q, int limit)
{
	sql_literal(&q->sql, " LIMIT ");
	sql_int(&q->sql, (int64_t)limit + 1);
}

/* ---- lists of all accounts ------------------------------------------------------------------------------- */

static void sql_ages(struct ask *q)
{
	sql_literal(&q->sql, "SELECT a.unit,INTERVAL(" NOW "-h.created_at_us," AGE_ENDS_US
	                     ") age,COUNT(*),SUM(h.reserved_micros),SUM(h.expires_at_us<=" NOW "),MIN(h.created_at_us)"
	                     " FROM " HOLD_SQL_OPEN
	                     " h JOIN accounts a ON a.id=h.account_id GROUP BY a.unit,age ORDER BY a.unit,age");
}

static void sql_settlements(struct ask *q, const struct reader_span *span)
{
	sql_literal(&q->sql, "SELECT a.unit,u.state,u.settlement,COUNT(*),SUM(u.cost_micros) FROM usages u"
	                     " JOIN accounts a ON a.id=u.account_id WHERE u.ended_at_us>=");
	sql_int(&q->sql, span->from_us);
	sql_literal(&q->sql, " AND u.ended_at_us<");
	sql_int(&q->sql, span->to_us);
	sql_literal(&q->sql, " GROUP BY a.unit,u.state,u.settlement ORDER BY a.unit,u.state,u.settlement");
}

/* Declined statements, and top-ups whose delayed payment failed. */
static void sql_charges(struct ask *q, int limit)
{
	sql_literal(&q->sql,
	            "(SELECT a.external_id,'statement',s.seq,s.amount_minor,s.currency,s.failures,s.failure,"
	            "s.invoice_url,s.created_at_us happened FROM statements s JOIN accounts a ON a.id=s.account_id"
	            " WHERE s.state=" SQL(STATEMENT_FAILED) " ORDER BY s.created_at_us DESC");
	sql_page_limit(q, limit);
	sql_literal(&q->sql, ") UNION ALL (SELECT a.external_id,'topup',t.seq,t.amount_minor,t.currency,0,'','',"
	                     "t.created_at_us happened FROM topups t JOIN accounts a ON a.id=t.account_id"
	                     " WHERE t.state=" SQL(TOPUP_FAILED) " ORDER BY t.created_at_us DESC");
	sql_page_limit(q, limit);
	sql_literal(&q->sql, ") ORDER BY happened DESC");
}

static void sql_events(struct ask *q)
{
	sql_literal(&q->sql, "SELECT e.event_id,e.provider,e.type,COALESCE(a.external_id,''),e.state,e.note,"
	                     "e.created_at_us,e.received_at_us FROM webhook_events e LEFT JOIN accounts a ON"
	                     " a.id=e.account_id WHERE e.state IN (" SQL(EVENT_PARKED) "," SQL(
				     EVENT_WAITING) ") ORDER BY e.received_at_us DESC,e.event_id");
}

#define NOT_DONE "(" SQL(OUTBOX_PENDING) "," SQL(OUTBOX_PARKED) ")"

static void sql_outbox(struct ask *q)
{
	sql_literal(&q->sql, "SELECT a.external_id,o.seq,o.kind,o.state,o.attempts,"
	                     "IF(o.state=" SQL(OUTBOX_PENDING) ",o.next_at_us,0),o.error,o.created_at_us");
	sql_literal(&q->sql, " FROM outbox o JOIN accounts a ON a.id=o.account_id WHERE o.state IN " NOT_DONE
	                     " ORDER BY o.created_at_us DESC,o.seq DESC");
}

static void sql_of_all(struct ask *q, enum platform_list list, const struct reader_span *span, int limit)
{
	if (list == PLATFORM_STATES)
		sql_literal(&q->sql, "SELECT unit,mode,status,status,COUNT(*),SUM(balance_micros),SUM(held_micros),"
		                     "SUM(open_holds),SUM(balance_micros<0) FROM accounts GROUP BY unit,mode,status"
		                     " ORDER BY unit,mode,status");
	else if (list == PLATFORM_AGES)
		sql_ages(q);
	else if (list == PLATFORM_SETTLEMENTS)
		sql_settlements(q, span);
	else if (list == PLATFORM_CHARGES)
		sql_charges(q, limit);
	else if (list == PLATFORM_OUTBOX)
		sql_outbox(q);
	else if (list == PLATFORM_EVENTS)
		sql_events(q);
	else if (list == PLATFORM_OPERATOR)
		sql_literal(&q->sql,
		            "SELECT kind,subject,detail,value,bound,ended_at_us,created_at_us FROM operator_alerts"
		            " ORDER BY id DESC");
	else if (list == PLATFORM_ALERTS)
		sql_literal(
			&q->sql,
			"SELECT a.external_id,l.kind,l.threshold_micros,l.threshold_percent,l.limit_kind,l.member,"
			"l.amount_micros,l.balance_micros,l.expires_at_us,l.created_at_us FROM alerts l"
			" JOIN accounts a ON a.id=l.account_id ORDER BY l.created_at_us DESC,l.account_id,l.seq DESC");
	else
		sql_literal(&q->sql, "SELECT v.id,v.starts_at_us,v.margin_ppm,v.rate_ppm,v.credit_value_ppm,"
		                     "COALESCE(p.prices,0),COALESCE(p.first,''),v.note,v.created_at_us"
		                     " FROM price_versions v LEFT JOIN (SELECT version,COUNT(*) prices,MIN(item) first"
		                     " FROM prices GROUP BY version) p ON p.version=v.id ORDER BY v.id DESC");
}

/* ---- lists of one account ---------------------------------------------------------------------------------- */

static void sql_of_account(struct ask *q, enum platform_list list, const struct account_key *key)
{
	if (list == PLATFORM_GRANTS)
		sql_literal(&q->sql, "SELECT g.seq,g.type,g.amount_micros," GRANT_SQL_REMAINING
		                     ",g.expires_at_us,g.created_at_us FROM grants g JOIN accounts a ON"
		                     " a.id=g.account_id WHERE g.remaining_micros>0 AND g.account_id=");
	else if (list == PLATFORM_HOLDS)
		sql_literal(&q->sql, "SELECT seq,IF(kind=" SQL(PRICE_MODEL) ",item,''),IF(kind=" SQL(
					     PRICE_MODEL) ",'',item),member,reserved_micros,created_at_us,expires_at_us"
		                                          " FROM " HOLD_SQL_OPEN " h WHERE account_id=");
	else if (list == PLATFORM_ORDERS)
		sql_literal(&q->sql, "SELECT seq,state,amount_minor,currency,refunded_micros,disputed_micros,"
		                     "created_at_us,paid_at_us FROM topups WHERE account_id=");
	else if (list == PLATFORM_STATEMENTS)
		sql_literal(&q->sql, "SELECT seq,state,from_us,to_us,amount_minor,currency,failures,failure,"
		                     "created_at_us,paid_at_us FROM statements WHERE account_id=");
	else
		sql_literal(
			&q->sql,
			"SELECT kind,threshold_micros,threshold_percent,limit_kind,member,amount_micros,balance_micros,"
			"expires_at_us,created_at_us FROM alerts WHERE account_id=");
	ask_key(q, key);
	/* Grants in the order in which they are spent. */
	if (list == PLATFORM_GRANTS)
		sql_literal(&q->sql, " ORDER BY g.priority,g.expires_at_us=0,g.expires_at_us,g.seq");
	else
		sql_literal(&q->sql, " ORDER BY seq DESC");
}

int platform_read(struct db *d, struct arena *a, enum platform_list list, const struct account_key *key,
                  const struct reader_span *span, int limit, struct platform_page *page)
{
	struct ask q;
	int result = -1;

	CHECK(limit > 0 && (key != NULL) == (list >= PLATFORM_GRANTS) &&
	      (span != NULL) == (list == PLATFORM_SETTLEMENTS));
	CHECK(list != PLATFORM_ACCOUNTS);
	ask_init(&q, d, a);
	if (key != NULL)
		sql_of_account(&q, list, key);
	else
		sql_of_all(&q, list, span, limit);
	sql_page_limit(&q, limit);
	if (ask_send(&q) == 0)
		result = take_page(&q, list, limit, page);
	return ask_end(&q, result);
}

/* ---- accounts ---------------------------------------------------------------------------------------------- */

static void sql_found(struct ask *q, const struct platform_search *search)
{
	if (search->status >= 0) {
		sql_literal(&q->sql, " AND a.status=");
		sql_int(&q->sql, search->status);
	}
	if (search->debt)
		sql_literal(&q->sql, " AND a.balance_micros<0");
	if (search->match == NULL)
		return;
	sql_literal(&q->sql, " AND (LOCATE(");
	sql_text(&q->sql, search->match);
	sql_literal(&q->sql, ",a.external_id)>0 OR LOCATE(");
	sql_text(&q->sql, search->match);
	sql_literal(&q->sql, ",COALESCE(p.email,''))>0 OR LOCATE(");
	sql_text(&q->sql, search->match);
	sql_literal(&q->sql, ",COALESCE(p.name,''))>0)");
}

static void sql_behind(struct ask *q, const struct platform_search *search)
{
	if (search->after == NULL)
		return;
	sql_literal(&q->sql, " AND id>");
	ask_key(q, search->after);
}

/* Two statements: the accounts that are found, and the last one that is looked at, if others follow. */
static void sql_search(struct ask *q, const struct platform_search *search)
{
	sql_literal(&q->sql, "SELECT a.external_id,a.unit,a.mode,a.status,a.status,COALESCE(w.plan,''),"
	                     "COALESCE(p.email,''),COALESCE(p.name,''),a.balance_micros,a.held_micros,a.open_holds,"
	                     "a.created_at_us FROM (SELECT id FROM accounts WHERE TRUE");
	sql_behind(q, search);
	sql_literal(&q->sql, " ORDER BY id LIMIT ");
	sql_int(&q->sql, PLATFORM_SCAN_MAX);
	sql_literal(&q->sql, ") s JOIN accounts a ON a.id=s.id LEFT JOIN workspaces w ON w.account_id=a.id"
	                     " LEFT JOIN profiles p ON p.account_id=a.id WHERE TRUE");
	sql_found(q, search);
	sql_literal(&q->sql, " ORDER BY a.id");
	sql_page_limit(q, search->limit);
	sql_literal(&q->sql, ";SELECT external_id FROM accounts WHERE TRUE");
	sql_behind(q, search);
	sql_literal(&q->sql, " ORDER BY id LIMIT ");
	sql_int(&q->sql, PLATFORM_SCAN_MAX - 1);
	sql_literal(&q->sql, ",2");
}

/* The first of two rows, if there are two. */
struct last {
	const char *name;
	int rows;
};

static int take_last(struct ask *q, const struct db_row *row, void *out)
{
	struct last *last = out;

	if (last->rows++ == 0)
		last->name = ask_text(q, row, 0);
	return last->name != NULL ? 0 : -1;
}

int platform_accounts(struct db *d, struct arena *a, const struct platform_search *search, struct platform_page *page,
                      const char **next)
{
	struct last last = {.name = ""};
	struct ask q;
	int result = -1;

	CHECK(search->limit > 0);
	ask_init(&q, d, a);
	sql_search(&q, search);
	if (ask_send(&q) == 0 && take_page(&q, PLATFORM_ACCOUNTS, search->limit, page) == 0 && ask_next(&q) == 0)
		result = ask_each(&q, take_last, &last);
	if (result == 0 && page->more)
		*next = page->rows[page->count - 1].cells[0].text;
	else
		*next = last.rows == 2 ? last.name : "";
	return ask_end(&q, result);
}
