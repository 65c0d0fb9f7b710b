/*
 * view: the SELECTs of readers for accounts, transactions, usages and people, and the functions that take their rows
 * in.  For reader.c, which reads one account, and overview.c, which reads many.
 */
#ifndef OCTROI_QUERIES_VIEW_H
#define OCTROI_QUERIES_VIEW_H

#include "db/ask.h"
#include "db/sql.h"
#include "ledger/grant_sql.h"
#include "ledger/sql_numbers.h"
#include "queries/shown.h"

/* The columns that view_account takes, of an account alias a, with VIEW_ACCOUNT_JOINS.  The last column is the unspent
 * rest of the grants that the allowances of this period name. */
#define VIEW_WORKSPACE_COLUMNS \
	",w.time_zone,w.plan,w.next_plan,w.changing,w.period_start_us,w.period_end_us,w.granted_micros," \
	"w.carried_micros,w.reserved_micros,w.managers,w.members,w.daily_limit_micros," \
	"w.monthly_limit_micros,w.day_until_us,w.day_micros,w.month_until_us,w.month_micros," \
	"w.statement_at_us,w.past_due_at_us,w.suspend_at_us,w.arrears_micros,COALESCE(n.seats_to,0)," \
	"(SELECT COALESCE(SUM(" GRANT_SQL_REMAINING "),0) FROM allowances l JOIN grants g" \
	" ON g.account_id=l.account_id AND g.seq=l.grant_seq" \
	" WHERE l.account_id=w.account_id AND l.period_start_us=w.period_start_us)"
#define VIEW_ACCOUNT_SELECT \
	"SELECT " SQL_NOW_US ",a.id IS NOT NULL,a.unit," \
	"a.mode,a.status,a.byok,a.balance_micros,a.held_micros,a.hard_limit_micros," \
	"a.soft_limit_micros,a.open_holds,IF(a.open_holds>0,LEAST(a.due_at_us,a.holds_due_at_us),a.due_at_us)," \
	"a.created_at_us,a.external_id," \
	"p.email,p.name,p.locale,p.time_zone,IF(w.plan<>'',w.plan,b.plan)" VIEW_WORKSPACE_COLUMNS
#define VIEW_ACCOUNT_JOINS \
	" LEFT JOIN profiles p ON p.account_id=a.id" \
	" LEFT JOIN billing b ON b.account_id=a.id" \
	" LEFT JOIN workspaces w ON w.account_id=a.id AND a.workspace=1" \
	" LEFT JOIN plans n ON n.name=w.plan AND n.version=w.plan_version"
ask_taker view_account;

/* The columns that view_transaction takes. */
#define VIEW_TRANSACTION_SELECT \
	"SELECT seq,type,amount_micros,balance_before_micros,balance_after_micros,created_at_us," \
	"description,reference,metadata"
ask_taker view_transaction;
/* Adds a SELECT of the newest first, below before_seq (0: from the newest).  It has one row more than the limit, which
 * tells if others follow.  The last column is tag, for the caller. */
void view_ask_transactions(struct ask *q, int tag, const struct account_key *key, int64_t before_seq, int limit);

/* A hold that was released, or expired at no cost, was never used.  alias is that of usages, as "u.", or "". */
#define VIEW_IS_USED(alias) alias "state<>" SQL(USAGE_RELEASED) " AND " alias "settlement<>" SQL(SETTLEMENT_NONE)
#define VIEW_WAS_USED " FROM usages WHERE " VIEW_IS_USED("") " AND account_id="

/* The columns that view_usage takes. */
#define VIEW_USAGE_SELECT \
	"SELECT seq,kind,settlement,cost_micros,created_at_us,ended_at_us,quantity,source," \
	"input_tokens,cache_read_tokens,cache_write_tokens+cache_write_1h_tokens,output_tokens," \
	"item,member,conversation_id,IF(settled_message_id='',message_id,settled_message_id)," \
	"service_tier,incomplete,variant,counts,price_version,cache_write_1h_tokens,has_usage,reported"
ask_taker view_usage;
/* Adds a SELECT as view_ask_transactions does, but looks through at most VIEW_SCAN_MAX numbers of holds.  A page may
 * have fewer rows than its limit, or none, though others follow. */
#define VIEW_SCAN_MAX 1000
void view_ask_usages(struct ask *q, int tag, const struct account_key *key, int64_t before_seq,
                     const struct reader_usage_filter *filter, int limit);

/* Adds " AND seq>…", for the VIEW_SCAN_MAX numbers of holds below before_seq (0: the newest). */
void view_ask_scanned(struct ask *q, const struct account_key *key, int64_t before_seq);

ask_taker view_member;
/* Adds "SELECT ... WHERE account_id=...", to which the caller adds further conditions. */
void view_ask_members(struct ask *q, int tag, const struct account_key *key);

/* Adds "=", and the text. */
void view_ask_equals(struct ask *q, const char *text);

#endif
