#include "queries/insight.h"

#include <string.h>

#include "base/check.h"
#include "db/ask.h"
#include "db/sql.h"
#include "ledger/sql_numbers.h"
#include "queries/view.h"

#define UNSETTLED SQL(STATEMENT_OPEN) "," SQL(STATEMENT_SENT) "," SQL(STATEMENT_FAILED)
/* Statements that were charged: failed or paid, or declined and settled otherwise since. */
#define CHARGED "(state IN (" SQL(STATEMENT_FAILED) "," SQL(STATEMENT_PAID) ") OR failures>0)"
#define MONEY_IN SQL(TRANSACTION_TOP_UP) "," SQL(TRANSACTION_PAYMENT)
#define GIVEN \
	SQL(TRANSACTION_SIGNUP_BONUS) \
	"," SQL(TRANSACTION_PROMO_BONUS) "," SQL(TRANSACTION_REFERRAL_BONUS) "," SQL( \
		TRANSACTION_PLAN_ALLOWANCE) "," SQL(TRANSACTION_TOP_UP_BONUS)
#define OF_USE SQL(ENTRY_USAGE) "," SQL(ENTRY_REVERSAL)
#define OF_PERIOD SQL(ALLOWANCE_PERIOD)
#define USED VIEW_IS_USED("u.")
/* Use at the platform's price; use of the customer's own key is left out. */
#define OF_PLATFORM USED " AND u.source=" SQL(SOURCE_PLATFORM)

static void sql_used_span(struct ask *q, const struct reader_span *span)
{
	sql_literal(&q->sql, " AND u.ended_at_us>=");
	sql_int(&q->sql, span->from_us);
	sql_literal(&q->sql, " AND u.ended_at_us<");
	sql_int(&q->sql, span->to_us);
	if (span->member == NULL)
		return;
	sql_literal(&q->sql, " AND u.member=");
	sql_text(&q->sql, span->member);
}

static int take_one_int(struct ask *q, const struct db_row *row, void *out)
{
	(void)q;
	*(int64_t *)out = db_int(row, 0);
	return 0;
}

int insight_now(struct db *d, int64_t *now_us)
{
	struct ask q;
	int result = -1;

	ask_init(&q, d, NULL);
	sql_literal(&q.sql, "SELECT " SQL_NOW_US);
	if (ask_send(&q) == 0 && ask_rows(&q, 1, take_one_int, now_us, sizeof(*now_us)) == 1)
		result = 0;
	return ask_end(&q, result);
}

/* ---- days ---------------------------------------------------------------------------------------- */

struct days {
	int64_t *cost;
	int count;
};

static int take_day_cost(struct ask *q, const struct db_row *row, void *out)
{
	const struct days *days = out;
	const int64_t day = db_int(row, 0) - 1; /* INTERVAL counts from 1 */

	(void)q;
	CHECK(day >= 0 && day < days->count);
	days->cost[day] = db_int(row, 1);
	return 0;
}

int insight_days(struct db *d, const struct account_key *key, const char *member, const int64_t *starts_us, int count,
                 int64_t to_us, int64_t *cost_micros)
{
	const struct reader_span span = {.member = member, .from_us = starts_us[0], .to_us = to_us};
	struct days days = {.cost = cost_micros, .count = count};
	struct ask q;
	int result = -1;

	memset(cost_micros, 0, (size_t)count * sizeof(*cost_micros));
	ask_init(&q, d, NULL);
	sql_literal(&q.sql, "SELECT INTERVAL(u.ended_at_us");
	for (int i = 0; i < count; i++) {
		sql_literal(&q.sql, ",");
		sql_int(&q.sql, starts_us[i]);
	}
	sql_literal(&q.sql, ") day,SUM(u.cost_micros) FROM usages u WHERE " USED " AND u.account_id=");
	ask_key(&q, key);
	sql_used_span(&q, &span);
	sql_literal(&q.sql, " GROUP BY day");
	if (ask_send(&q) == 0)
		result = ask_each(&q, take_day_cost, &days);
	return ask_end(&q, result);
}

/* ---- an account ---------------------------------------------------------------------------------- */

static int take_debt(struct ask *q, const struct db_row *row, void *out)
{
	struct insight_account *i = out;

	(void)q;
	i->stated_micros = db_int(row, 0);
	i->unpaid_micros = db_int(row, 1);
	i->customer = db_int(row, 2) != 0;
	i->overdue_micros = db_int(row, 3);
	return 0;
}

static int take_charged(struct ask *q, const struct db_row *row, void *out)
{
	struct insight_account *i = out;

	i->charged_state = db_int(row, 0);
	i->failure = ask_text(q, row, 1);
	i->invoice_url = ask_text(q, row, 2);
	return i->failure != NULL && i->invoice_url != NULL ? 0 : -1;
}

static int take_paid(struct ask *q, const struct db_row *row, void *out)
{
	struct insight_account *i = out;

	(void)q;
	i->paid_type = db_int(row, 0);
	i->paid_micros = db_int(row, 1);
	i->paid_at_us = db_int(row, 2);
	return 0;
}

static int take_used(struct ask *q, const struct db_row *row, void *out)
{
	struct insight_account *i = out;

	i->used_kind = db_int(row, 0);
	i->used_item = ask_text(q, row, 1);
	return i->used_item != NULL ? 0 : -1;
}

/* Adds four statements, each with the account's key. */
static void sql_account_facts(struct ask *q, const struct account_key *key)
{
	sql_literal(&q->sql, "SELECT COALESCE((SELECT stated_micros FROM workspaces WHERE account_id=one.id),0),"
	                     "COALESCE((SELECT SUM(amount_micros) FROM statements WHERE account_id=one.id"
	                     " AND state IN"
	                     " (" UNSETTLED ")),0),EXISTS(SELECT 1 FROM billing WHERE account_id=one.id AND"
	                     " customer_id<>''),COALESCE((SELECT overdue_micros FROM workspaces WHERE"
	                     " account_id=one.id),0) FROM (SELECT ");
	ask_key(q, key);
	sql_literal(&q->sql, " id) one;SELECT state,failure,invoice_url FROM statements WHERE account_id=");
	ask_key(q, key);
	sql_literal(&q->sql, " AND " CHARGED " ORDER BY seq DESC LIMIT 1;"
	                     "SELECT type,amount_micros,created_at_us FROM transactions WHERE account_id=");
	ask_key(q, key);
	sql_literal(&q->sql, " AND type IN (" MONEY_IN ") ORDER BY seq DESC LIMIT 1;"
	                     "SELECT u.kind,u.item FROM usages u WHERE u.account_id=");
	ask_key(q, key);
	sql_literal(&q->sql, " AND " OF_PLATFORM);
	view_ask_scanned(q, key, 0);
	sql_literal(&q->sql, " ORDER BY u.seq DESC LIMIT 1");
}

int insight_account(struct db *d, struct arena *a, const struct account_key *key, struct insight_account *out)
{
	ask_taker *const takers[] = {take_debt, take_charged, take_paid, take_used};
	struct ask q;
	int result;

	*out = (struct insight_account){.charged_state = -1, .failure = "", .invoice_url = "", .used_item = ""};
	ask_init(&q, d, a);
	sql_account_facts(&q, key);
	result = ask_send(&q);
	for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]) && result == 0; i++) {
		if (i > 0)
			result = ask_next(&q);
		if (result == 0 && ask_rows(&q, 1, takers[i], out, sizeof(*out)) < 0)
			result = -1;
	}
	return ask_end(&q, result);
}

/* ---- usages ------------------------------------------------------------------------------------------ */

struct visiting {
	void (*visit)(void *context, const struct insight_usage *u);
	void *context;
	int64_t left;
	bool more;
};

static int take_last_used(struct ask *q, const struct db_row *row, void *out)
{
	struct visiting *v = out;
	struct insight_usage u;

	(void)q;
	if (v->left == 0) {
		v->more = true;
		return 0;
	}
	v->left--;
	for (unsigned i = 0; i < INSIGHT_CLASSES; i++)
		u.tokens[i] = db_int(row, i);
	u.cost_micros = db_int(row, INSIGHT_CLASSES);
	u.service_tier = db_int(row, INSIGHT_CLASSES + 1);
	u.variant = row->field[INSIGHT_CLASSES + 2];
	u.counts = row->field[INSIGHT_CLASSES + 3];
	v->visit(v->context, &u);
	return 0;
}

int insight_usages(struct db *d, const struct account_key *key, const struct reader_span *span, const char *model,
                   int64_t limit, void (*visit)(void *context, const struct insight_usage *u), void *context,
                   bool *more)
{
	struct visiting v = {.visit = visit, .context = context, .left = limit};
	struct ask q;
	int result = -1;

	CHECK(limit > 0);
	ask_init(&q, d, NULL);
	sql_literal(&q.sql,
	            "SELECT"
	            " u.input_tokens,u.cache_read_tokens,u.cache_write_tokens,u.cache_write_1h_tokens,"
	            "u.output_tokens,u.cost_micros,u.service_tier,u.variant,u.counts FROM usages u WHERE " OF_PLATFORM
	            " AND u.kind=" SQL(PRICE_MODEL) " AND u.account_id=");
	ask_key(&q, key);
	sql_used_span(&q, span);
	if (model != NULL) {
		sql_literal(&q.sql, " AND u.item=");
		sql_text(&q.sql, model);
	}
	/* With this order the database reads by the index of ended_at_us, and not through the whole history. */
	sql_literal(&q.sql, " ORDER BY u.ended_at_us DESC,u.seq DESC LIMIT ");
	sql_int(&q.sql, limit + 1);
	if (ask_send_stream(&q) == 0)
		result = ask_each(&q, take_last_used, &v);
	*more = v.more;
	return ask_end(&q, result);
}

/* ---- lists ------------------------------------------------------------------------------------------- */

/* Sends the statement, and reads the rows of a page. */
static int read_usage_rows(struct ask *q, int limit, ask_taker *take, size_t size, void **rows, int *count, bool *more)
{
	CHECK(limit > 0);
	*rows = NULL;
	*count = 0;
	*more = false;
	return ask_send(q) < 0 ? -1 : ask_page(q, limit, take, size, rows, count, more);
}

static void sql_limit(struct ask *q, int limit)
{
	sql_literal(&q->sql, " LIMIT ");
	sql_int(&q->sql, (int64_t)limit + 1);
}

static int take_member_action(struct ask *q, const struct db_row *row, void *out)
{
	struct insight_action *r = out;
	int64_t *const numbers[] = {&r->role,         &r->kind,          &r->requests,   &r->quantity,
	                            &r->input_tokens, &r->output_tokens, &r->cost_micros};

	r->member = ask_text(q, row, 0);
	r->item = ask_text(q, row, 1);
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		*numbers[i] = db_int(row, 2 + i);
	return r->member != NULL && r->item != NULL ? 0 : -1;
}

int insight_members(struct db *d, struct arena *a, const struct account_key *key, const struct reader_span *span,
                    int limit, struct insight_action **rows, int *count, bool *more)
{
	struct ask q;
	void *list = NULL;
	int result;

	ask_init(&q, d, a);
	sql_literal(&q.sql, "SELECT u.member,u.item,COALESCE(MAX(m.role),-1),u.kind,COUNT(*),SUM(u.quantity),"
	                    "SUM(u.input_tokens+u.cache_read_tokens+u.cache_write_tokens+u.cache_write_1h_tokens),"
	                    "SUM(u.output_tokens),SUM(u.cost_micros) cost FROM usages u LEFT JOIN members m ON"
	                    " m.account_id=u.account_id AND m.member_id=u.member WHERE " USED " AND u.account_id=");
	ask_key(&q, key);
	sql_used_span(&q, span);
	sql_literal(&q.sql, " GROUP BY u.member,u.kind,u.item ORDER BY cost DESC,u.member,u.kind,u.item");
	sql_limit(&q, limit);
	result = read_usage_rows(&q, limit, take_member_action, sizeof(**rows), &list, count, more);
	*rows = list;
	return ask_end(&q, result);
}

static int take_workspace(struct ask *q, const struct db_row *row, void *out)
{
	struct insight_workspace *w = out;
	int64_t *const numbers[] = {&w->unit,          &w->managers,       &w->members,     &w->period_start_us,
	                            &w->period_end_us, &w->allowed_micros, &w->used_micros, &w->now_us};

	w->account = ask_text(q, row, 0);
	w->plan = ask_text(q, row, 1);
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		*numbers[i] = db_int(row, 2 + i);
	return w->account != NULL && w->plan != NULL ? 0 : -1;
}

int insight_workspaces(struct db *d, struct arena *a, const struct account_key *after, int limit,
                       struct insight_workspace **rows, int *count, bool *more)
{
	struct ask q;
	void *list = NULL;
	int result;

	ask_init(&q, d, a);
	sql_literal(&q.sql, "SELECT"
	                    " a.external_id,w.plan,a.unit,w.managers,w.members,w.period_start_us,w.period_end_us,"
	                    "w.granted_micros+w.carried_micros,(SELECT COALESCE(SUM(u.cost_micros),0) FROM usages u"
	                    " WHERE u.account_id=w.account_id AND " USED " AND u.ended_at_us>=w.period_start_us"
	                    " AND u.ended_at_us<w.period_end_us)," SQL_NOW_US
	                    " FROM workspaces w JOIN accounts a ON a.id=w.account_id WHERE w.plan<>''");
	if (after != NULL) {
		sql_literal(&q.sql, " AND w.account_id>");
		ask_key(&q, after);
	}
	sql_literal(&q.sql, " ORDER BY w.account_id");
	sql_limit(&q, limit);
	result = read_usage_rows(&q, limit, take_workspace, sizeof(**rows), &list, count, more);
	*rows = list;
	return ask_end(&q, result);
}

/* ---- margin ------------------------------------------------------------------------------------------ */

/* Adds the expression of a part's name; the tables are usages u, accounts a, workspaces w. */
static void sql_name(struct ask *q, enum insight_grouping by)
{
	switch (by) {
	case INSIGHT_PLAN:
		sql_literal(&q->sql, "COALESCE(w.plan,'')");
		return;
	case INSIGHT_WORKSPACE:
		sql_literal(&q->sql, "a.external_id");
		return;
	case INSIGHT_MODEL:
		sql_literal(&q->sql, "u.item");
		return;
	case INSIGHT_DAY:
		sql_literal(&q->sql, "DATE(FROM_UNIXTIME(u.ended_at_us DIV 1000000))");
		return;
	}
	UNREACHABLE("no such grouping");
}

/* Names of all tables compare bytewise. */
static void sql_after(struct ask *q, const char *after)
{
	if (after == NULL)
		return;
	sql_literal(&q->sql, " HAVING grouped>");
	sql_text(&q->sql, after);
}

#define OF_ACCOUNT \
	" JOIN accounts a ON a.id=u.account_id LEFT JOIN workspaces w ON w.account_id=u.account_id AND" \
	" a.workspace=1" \
	" LEFT JOIN price_versions v ON v.id=u.price_version WHERE " OF_PLATFORM

static void sql_use(struct ask *q, const struct reader_span *span, enum insight_grouping by, const char *after)
{
	sql_literal(&q->sql, "SELECT CAST(");
	sql_name(q, by);
	sql_literal(&q->sql, " AS BINARY) grouped,0 part,a.unit unit,u.kind kind,COALESCE(v.margin_ppm,0) margin,"
	                     "COALESCE(v.credit_value_ppm,0) value,COUNT(*) requests,SUM(u.cost_micros) cost"
	                     " FROM usages u" OF_ACCOUNT);
	sql_used_span(q, span);
	sql_literal(&q->sql, " GROUP BY grouped,unit,kind,margin,value");
	sql_after(q, after);
}

/* Joins from the entry to the usage and the grant, by their keys.  There is no index for the other direction. */
static void sql_given(struct ask *q, const struct reader_span *span, enum insight_grouping by, const char *after)
{
	sql_literal(&q->sql, " UNION ALL SELECT STRAIGHT_JOIN CAST(");
	sql_name(q, by);
	sql_literal(&q->sql, " AS BINARY) grouped,1,a.unit unit,u.kind kind,COALESCE(v.margin_ppm,0) margin,"
	                     "COALESCE(v.credit_value_ppm,0) value,0,SUM(-e.amount_micros)"
	                     " FROM entries e JOIN grants g ON g.account_id=e.account_id AND g.seq=e.grant_seq"
	                     " AND e.kind IN (" OF_USE ") AND g.type IN (" GIVEN ") JOIN usages u ON"
	                     " u.account_id=e.account_id AND u.seq=e.usage_seq" OF_ACCOUNT);
	sql_used_span(q, span);
	sql_literal(&q->sql, " GROUP BY grouped,unit,kind,margin,value");
	sql_after(q, after);
}

static void sql_fees(struct ask *q, const struct reader_span *span, enum insight_grouping by, const char *after)
{
	if (by == INSIGHT_MODEL)
		return;
	sql_literal(&q->sql, " UNION ALL SELECT CAST(");
	if (by == INSIGHT_PLAN)
		sql_literal(&q->sql, "l.plan");
	else if (by == INSIGHT_DAY)
		sql_literal(&q->sql, "DATE(FROM_UNIXTIME(l.period_start_us DIV 1000000))");
	else
		sql_literal(&q->sql, "a.external_id");
	sql_literal(&q->sql, " AS BINARY) grouped,2,0,0,0,0,0,SUM(n.fee_minor) FROM allowances l"
	                     " JOIN plans n ON n.name=l.plan AND n.version=l.plan_version"
	                     " JOIN accounts a ON a.id=l.account_id WHERE l.reason=" OF_PERIOD
	                     " AND n.fee_minor>0 AND l.period_start_us>=");
	sql_int(&q->sql, span->from_us);
	sql_literal(&q->sql, " AND l.period_start_us<");
	sql_int(&q->sql, span->to_us);
	sql_literal(&q->sql, " GROUP BY grouped");
	sql_after(q, after);
}

static int take_part(struct ask *q, const struct db_row *row, void *out)
{
	struct insight_part *p = out;
	int64_t *const numbers[] = {&p->part,     &p->unit,       &p->kind, &p->margin_ppm, &p->credit_value_ppm,
	                            &p->requests, &p->cost_micros};

	p->name = ask_text(q, row, 0);
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		*numbers[i] = db_int(row, 1 + i);
	return p->name != NULL ? 0 : -1;
}

int insight_margin(struct db *d, struct arena *a, const struct reader_span *span, enum insight_grouping by,
                   const char *after, int limit, struct insight_part **rows, int *count, bool *more)
{
	struct ask q;
	void *list = NULL;
	int result;

	ask_init(&q, d, a);
	sql_use(&q, span, by, after);
	sql_given(&q, span, by, after);
	sql_fees(&q, span, by, after);
	sql_literal(&q.sql, " ORDER BY grouped,part,unit,kind,margin,value");
	sql_limit(&q, limit);
	result = read_usage_rows(&q, limit, take_part, sizeof(**rows), &list, count, more);
	*rows = list;
	return ask_end(&q, result);
}
