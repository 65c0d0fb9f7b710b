/*
 * Checks the sums of plans, people, limits and statements.  Each check is one statement of SQL that answers the wrong
 * rows, and none on a sound ledger.
 *
 * The sum of a window that has ended is not checked: it counts nothing any more, and begins anew with the next cost.
 */
#include "audit/audit_state.h"
#include "db/sql.h"
#include "ledger/hold_sql.h"
#include "ledger/sql_numbers.h"

/* clang-format off */
/* The greatest length of a day (25 hours) and a month (33 days): a change of time zones can add a day and more to a
 * period.  An account's windows may count twice as long: a limit starts with the use so far today, in another zone. */
#define DAY_US "90000000000"
#define MONTH_US "2851200000000"
#define TWO_DAYS_US "180000000000"
#define TWO_MONTHS_US "5702400000000"

/* The rest of each member's quota, after its use and holds, in the plan's period that workspace w is in. */
#define QUOTA_LEFT \
	"GREATEST(0, m.quota_micros - IF(m.period_until_us > w.period_start_us, m.period_micros, 0) -" \
	" m.held_micros)"

/* The most that a window may count of usage u.  A window that started with earlier use may count all of capture k,
 * which was charged before u was settled late. */
#define COUNTED "GREATEST(u.cost_micros, COALESCE(k.amount_micros, 0))"

static const struct audit_query queries[] = {
	/* ---- the account's workspace */
	{"workspace", "accounts",
	 "SELECT a.id AS account_id, 'workspace' AS name, 'it says that it has one, but there is none' AS"
	 " detail FROM"
	 " accounts a LEFT JOIN workspaces w ON w.account_id = a.id WHERE a.workspace <> 0 AND w.account_id"
	 " IS NULL"},
	{"workspace", "workspaces",
	 "SELECT w.account_id, 'workspace' AS name, 'its account says that it has none' AS detail FROM workspaces w"
	 " LEFT JOIN accounts a ON a.id = w.account_id WHERE COALESCE(a.workspace, 0) <> 1"},
	{"workspace", "workspaces",
	 "SELECT w.account_id, 'people' AS name, CONCAT(w.managers, ' managers and ', w.members, ' members, but ',"
	 " COALESCE(m.managers, 0), ' and ', COALESCE(m.members, 0), ' are there') AS detail FROM workspaces w LEFT"
	 " JOIN (SELECT account_id, SUM(role = " SQL(ROLE_MANAGER) ") AS managers, SUM(role = " SQL(ROLE_MEMBER)
	 ") AS members FROM members WHERE"
	 " removed_at_us = 0 GROUP BY account_id) m ON m.account_id = w.account_id WHERE w.managers <>"
	 " COALESCE(m.managers, 0) OR w.members <> COALESCE(m.members, 0)"},
	{"reserved", "workspaces",
	 "SELECT w.account_id, 'reserved' AS name, CONCAT('reserved_micros is ', w.reserved_micros, ', but its"
	 " members'' quotas leave ', COALESCE(m.rest, 0)) AS detail FROM workspaces w LEFT JOIN (SELECT"
	 " m.account_id,"
	 " SUM(" QUOTA_LEFT ") AS rest FROM members m JOIN workspaces w ON w.account_id = m.account_id"
	 " WHERE m.removed_at_us = 0 GROUP BY m.account_id) m ON m.account_id = w.account_id WHERE"
	 " w.reserved_micros"
	 " <> COALESCE(m.rest, 0)"},
	{"due", "accounts",
	 "SELECT a.id AS account_id, 'workspace' AS name, CONCAT('due_at_us is ', a.due_at_us, ', but a"
	 " period ends at"
	 " ', w.period_end_us, ', a statement is due at ', w.statement_at_us, ', a suspension at ',"
	 " w.suspend_at_us)"
	 " AS detail FROM workspaces w JOIN accounts a ON a.id = w.account_id WHERE (w.period_end_us <> 0 AND"
	 " w.period_end_us < a.due_at_us) OR (w.statement_at_us <> 0 AND w.statement_at_us < a.due_at_us) OR"
	 " (w.suspend_at_us <> 0 AND w.suspend_at_us < a.due_at_us)"},

	/* ---- people */
	{"member", "members",
	 "SELECT m.account_id, CONCAT('member ', m.member_id) AS name, CONCAT('held_micros is ',"
	 " m.held_micros, ', but"
	 " its open holds reserve ', COALESCE(h.held, 0)) AS detail FROM members m JOIN workspaces w ON"
	 " w.account_id ="
	 " m.account_id LEFT JOIN (SELECT m.account_id, m.member_id, SUM(h.reserved_micros) AS held FROM members m"
	 " JOIN " HOLD_SQL_OPEN " h ON h.account_id = m.account_id AND h.member = m.member_id AND h.seq > m.from_seq"
	 " GROUP BY"
	 " m.account_id, m.member_id) h ON h.account_id = m.account_id AND h.member_id = m.member_id WHERE"
	 " m.held_micros <> COALESCE(h.held, 0)"},
	{"member", "members",
	 "SELECT account_id, CONCAT('member ', member_id) AS name, CONCAT('role ', role, ', quota ', quota_micros,"
	 " IF(removed_at_us <> 0, ', though it has left', '')) AS detail FROM members"
	 " WHERE role NOT IN (" SQL(ROLE_MEMBER) ", " SQL(ROLE_MANAGER) ") OR"
	 " quota_micros < 0 OR (removed_at_us <> 0 AND quota_micros <> 0)"},
	{"limit", "members",
	 "SELECT account_id, CONCAT('member ', member_id) AS name, CONCAT('limits ', limit_micros, ', ',"
	 " daily_limit_micros, ', ', monthly_limit_micros, '; used ', period_micros, ', ', day_micros, ', ',"
	 " month_micros) AS detail FROM members WHERE LEAST(limit_micros, daily_limit_micros,"
	 " monthly_limit_micros) <"
	 " -1 OR LEAST(period_micros, day_micros, month_micros, held_micros) < 0"},
	{"limit", "workspaces",
	 "SELECT account_id, 'limits' AS name, CONCAT('limits ', daily_limit_micros, ', ', monthly_limit_micros, ';"
	 " used ', day_micros, ', ', month_micros) AS detail FROM workspaces WHERE LEAST(daily_limit_micros,"
	 " monthly_limit_micros) < -1 OR LEAST(day_micros, month_micros) < 0"},

	/* ---- windows: they count no more than the usages */
	{"window", "workspaces",
	 "SELECT w.account_id, 'windows' AS name, CONCAT('used ', w.day_micros, ' today and ',"
	 " w.month_micros, ' this"
	 " month, but its usages come to ', COALESCE(u.day, 0), ' and ', COALESCE(u.month, 0)) AS detail"
	 " FROM workspaces w LEFT JOIN (SELECT w.account_id, SUM(IF(u.ended_at_us >= w.day_until_us - " TWO_DAYS_US
	 ", " COUNTED ", 0)) AS day, SUM(IF(u.ended_at_us >= w.month_until_us - " TWO_MONTHS_US ", " COUNTED ", 0))"
	 " AS month FROM workspaces w JOIN usages u ON u.account_id = w.account_id"
	 " LEFT JOIN captures k ON u.settlement = " SQL(SETTLEMENT_LATE)
	 " AND k.account_id = u.account_id AND k.seq = u.seq GROUP BY w.account_id) u"
	 " ON u.account_id = w.account_id WHERE (w.day_until_us > " SQL_NOW_US " AND w.day_micros > COALESCE(u.day, 0))"
	 " OR (w.month_until_us > " SQL_NOW_US " AND w.month_micros > COALESCE(u.month, 0))"},
	{"window", "members",
	 "SELECT m.account_id, CONCAT('member ', m.member_id) AS name, CONCAT('used ', m.day_micros, ' today, ',"
	 " m.month_micros, ' this month and ', m.period_micros, ' this period, but its usages come to ',"
	 " COALESCE(u.day, 0), ', ', COALESCE(u.month, 0), ' and ', COALESCE(u.period, 0)) AS detail FROM members m"
	 " LEFT JOIN (SELECT m.account_id, m.member_id,"
	 " SUM(IF(u.ended_at_us >= m.day_until_us - " DAY_US ", " COUNTED ", 0)) AS day,"
	 " SUM(IF(u.ended_at_us >= m.month_until_us - " MONTH_US ", " COUNTED ", 0)) AS month,"
	 " SUM(IF(u.ended_at_us >= m.period_until_us - " MONTH_US ", " COUNTED ", 0)) AS period"
	 " FROM members m JOIN workspaces w ON w.account_id = m.account_id JOIN usages u ON u.account_id ="
	 " m.account_id AND u.member = m.member_id LEFT JOIN captures k ON u.settlement = " SQL(SETTLEMENT_LATE)
	 " AND k.account_id ="
	 " u.account_id AND k.seq = u.seq GROUP BY m.account_id, m.member_id) u ON u.account_id ="
	 " m.account_id AND u.member_id = m.member_id"
	 " WHERE (m.day_until_us > " SQL_NOW_US " AND m.day_micros > COALESCE(u.day, 0))"
	 " OR (m.month_until_us > " SQL_NOW_US " AND m.month_micros > COALESCE(u.month, 0))"
	 " OR (m.period_until_us > " SQL_NOW_US " AND m.period_micros > COALESCE(u.period, 0))"},

	/* ---- charges for expired holds */
	{"capture", "captures",
	 "SELECT c.account_id, CONCAT('seq ', c.seq) AS name, CONCAT(c.amount_micros, ' micros, ', c.debt_micros,"
	 " ' of them debt, but its entries ', c.entry_first, ' to ', c.entry_last, ' took ', COALESCE(-e.total, 0),"
	 " ' and ', COALESCE(-e.debt, 0)) AS detail FROM captures c LEFT JOIN (SELECT c.account_id, c.seq,"
	 " SUM(e.amount_micros) AS total, SUM(IF(e.grant_seq = 0, e.amount_micros, 0)) AS debt, SUM(e.kind <> "
	 SQL(ENTRY_USAGE) " OR"
	 " e.usage_seq <> c.seq) AS others FROM captures c JOIN entries e ON e.account_id = c.account_id AND e.seq"
	 " BETWEEN c.entry_first AND c.entry_last GROUP BY c.account_id, c.seq) e ON"
	 " e.account_id = c.account_id AND e.seq = c.seq"
	 " WHERE c.amount_micros <> COALESCE(-e.total, 0) OR c.debt_micros <> COALESCE(-e.debt, 0) OR"
	 " COALESCE(e.others, 1) <> 0"},

	/* ---- allowances */
	{"allowance", "allowances",
	 "SELECT l.account_id, CONCAT('seq ', l.seq) AS name, CONCAT(l.amount_micros, ' micros until ',"
	 " l.period_end_us, ', but its grant ', l.grant_seq, ' is ', COALESCE(CONCAT('of type ', g.type, ', ',"
	 " g.amount_micros, ' micros until ', g.expires_at_us), 'not there'), ' and its transaction ',"
	 " l.transaction_seq, ' is ', COALESCE(CONCAT('of type ', x.type, ', ', x.amount_micros, ' micros, grant ',"
	 " x.grant_seq), 'not there')) AS detail FROM allowances l LEFT JOIN grants g ON g.account_id ="
	 " l.account_id"
	 " AND g.seq = l.grant_seq LEFT JOIN transactions x ON x.account_id = l.account_id AND x.seq ="
	 " l.transaction_seq WHERE IF(l.reason = " SQL(ALLOWANCE_LESS)
	 ", l.amount_micros > 0 OR l.grant_seq <> 0 OR (l.amount_micros = 0) <>"
	 " (l.transaction_seq = 0) OR (l.amount_micros < 0 AND (x.seq IS NULL OR x.type <> "
	 SQL(TRANSACTION_REFUND) " OR x.amount_micros <>"
	 " l.amount_micros)), IF(l.amount_micros = 0, l.grant_seq <> 0 OR l.transaction_seq <> 0, l.amount_micros"
	 " < 0 OR g.seq IS NULL OR x.seq IS NULL OR g.type <> " SQL(TRANSACTION_PLAN_ALLOWANCE) " OR x.type <> "
	 SQL(TRANSACTION_PLAN_ALLOWANCE) " OR g.amount_micros <> l.amount_micros"
	 " OR x.amount_micros <> l.amount_micros OR x.grant_seq <> g.seq OR g.expires_at_us <> l.period_end_us OR"
	 " x.created_at_us <> l.created_at_us))"},
	{"allowance", "grants",
	 "SELECT x.account_id, CONCAT('seq ', x.grant_seq) AS name, CONCAT('a plan''s allowance, transaction"
	 " ', x.seq,"
	 " ', that ', COUNT(l.seq), ' rows of allowances account for') AS detail FROM transactions x LEFT JOIN"
	 " allowances l ON l.account_id = x.account_id AND l.transaction_seq = x.seq WHERE x.type = "
	 SQL(TRANSACTION_PLAN_ALLOWANCE) " AND x.actor ="
	 " 'plan' GROUP BY x.account_id, x.seq, x.grant_seq HAVING COUNT(l.seq) <> 1"},
	{"allowance", "workspaces",
	 "SELECT w.account_id, 'period' AS name, CONCAT('granted ', w.granted_micros, ', carried ',"
	 " w.carried_micros,"
	 " ', but its allowances come to ', COALESCE(l.granted, 0), ' and ', COALESCE(l.carried, 0)) AS detail FROM"
	 " workspaces w LEFT JOIN (SELECT account_id, period_start_us, SUM(IF(reason = " SQL(ALLOWANCE_CARRIED)
	 ", 0, amount_micros)) AS"
	 " granted, SUM(IF(reason = " SQL(ALLOWANCE_CARRIED)
	 ", amount_micros, 0)) AS carried FROM allowances GROUP BY account_id,"
	 " period_start_us) l ON l.account_id = w.account_id AND l.period_start_us = w.period_start_us WHERE"
	 " w.plan <>"
	 " '' AND (w.granted_micros <> COALESCE(l.granted, -1) OR w.carried_micros <> COALESCE(l.carried, 0))"},
	{"allowance", "workspaces",
	 "SELECT w.account_id, 'numbers' AS name, CONCAT('allowance_seq is ', w.allowance_seq, ', but there are ',"
	 " COALESCE(l.n, 0), ' allowances, the last with seq ', COALESCE(l.last, 0)) AS detail FROM"
	 " workspaces w LEFT"
	 " JOIN (SELECT account_id, COUNT(*) AS n, MAX(seq) AS last FROM allowances GROUP BY account_id) l ON"
	 " l.account_id = w.account_id WHERE w.allowance_seq <> COALESCE(l.n, 0) OR w.allowance_seq <>"
	 " COALESCE(l.last, 0)"},
	{"period", "workspaces",
	 "SELECT w.account_id, 'period' AS name, CONCAT('plan ', w.plan, ' from ', w.period_start_us, ' to ',"
	 " w.period_end_us, ', but its allowances say ', COALESCE(CONCAT(l.plan, ' from ',"
	 " l.period_start_us, ' to ',"
	 " l.period_end_us), 'nothing')) AS detail FROM workspaces w LEFT JOIN allowances l ON l.account_id ="
	 " w.account_id AND l.seq = (SELECT MAX(n.seq) FROM allowances n WHERE n.account_id = w.account_id AND"
	 " n.reason IN (" SQL(ALLOWANCE_PERIOD) ", " SQL(ALLOWANCE_UPGRADE) ", " SQL(ALLOWANCE_LESS)
	 ")) WHERE IF(w.plan = '', w.period_end_us <> 0, l.seq IS NULL OR l.plan <> w.plan OR"
	 " l.plan_version <> w.plan_version OR l.period_start_us <> w.period_start_us OR l.period_end_us <>"
	 " w.period_end_us)"},
	{"period", "allowances",
	 "SELECT account_id, CONCAT('period from ', period_start_us) AS name, CONCAT(SUM(reason = "
	 SQL(ALLOWANCE_PERIOD) "), ' allowances"
	 " begin it and ', SUM(reason = " SQL(ALLOWANCE_CARRIED)
	 "), ' carry over; it ends at ', MIN(period_end_us), ' to ',"
	 " MAX(period_end_us)) AS detail FROM allowances GROUP BY account_id, period_start_us HAVING"
	 " SUM(reason = " SQL(ALLOWANCE_PERIOD) ")"
	 " <> 1 OR SUM(reason = " SQL(ALLOWANCE_CARRIED)
	 ") > 1 OR MIN(period_end_us) <> MAX(period_end_us) OR MIN(period_end_us) <="
	 " period_start_us OR MIN(reason) < " SQL(ALLOWANCE_PERIOD) " OR MAX(reason) > " SQL(ALLOWANCE_LESS)
	 " OR MIN(created_at_us) < period_start_us OR"
	 " MAX(created_at_us) >= MAX(period_end_us)"},
	/* A carried amount comes from the period before, so that period must be there and end here.  A paid period may
	 * cut short a period that another subscription, or a person, began. */
	{"period", "allowances",
	 "SELECT account_id, CONCAT('period from ', period_start_us) AS name, CONCAT('the one before ended at ',"
	 " COALESCE(before_us, 'no time')) AS detail FROM (SELECT account_id, period_start_us, carried,"
	 " paid, LAG(end_us)"
	 " OVER (PARTITION BY account_id ORDER BY period_start_us) AS before_us FROM (SELECT account_id,"
	 " period_start_us, MAX(period_end_us) AS end_us, SUM(reason = " SQL(ALLOWANCE_CARRIED)
	 ") AS carried, MAX(paid_seq) AS paid"
	 " FROM allowances GROUP BY account_id, period_start_us) p) p WHERE IF(carried > 0,"
	 " COALESCE(before_us, 0) <>"
	 " period_start_us, paid = 0 AND COALESCE(before_us, 0) > period_start_us)"},

	/* ---- periods that subscriptions paid for */
	{"paid", "paid_periods",
	 "SELECT p.account_id, p.invoice_id AS name, CONCAT('it gave ', p.granted_micros, ', but its"
	 " allowances come to ',"
	 " COALESCE(l.given, 0)) AS detail FROM paid_periods p LEFT JOIN (SELECT account_id, paid_seq,"
	 " SUM(amount_micros)"
	 " AS given FROM allowances WHERE paid_seq <> 0 AND reason <> " SQL(ALLOWANCE_CARRIED)
	 " GROUP BY account_id, paid_seq) l ON"
	 " l.account_id ="
	 " p.account_id AND l.paid_seq = p.seq WHERE p.granted_micros <> COALESCE(l.given, 0)"},
	{"paid", "paid_periods",
	 "SELECT account_id, invoice_id AS name, CONCAT('of ', granted_micros, ' given, ', returned_micros,"
	 " ' returned, ',"
	 " lapsed_micros, ' lapsed, ', taken_micros, ' taken back, ', owed_micros, ' of them owed; from ',"
	 " start_us, ' to ',"
	 " end_us) AS detail FROM paid_periods WHERE LEAST(granted_micros, returned_micros, lapsed_micros,"
	 " taken_micros,"
	 " owed_micros, amount_minor) < 0 OR returned_micros + lapsed_micros + taken_micros >"
	 " granted_micros OR owed_micros"
	 " > taken_micros OR start_us >= end_us OR running NOT IN (0, 1)"},
	{"paid", "allowances",
	 "SELECT l.account_id, CONCAT('seq ', l.seq) AS name, CONCAT('paid by ', l.paid_seq, ', which is ',"
	 " IF(p.seq IS NULL,"
	 " 'not there', 'of another time or plan')) AS detail FROM allowances l LEFT JOIN paid_periods p ON"
	 " p.account_id ="
	 " l.account_id AND p.seq = l.paid_seq WHERE l.paid_seq <> 0 AND (p.seq IS NULL OR"
	 " l.period_start_us >= p.end_us OR"
	 " l.period_end_us <= p.start_us OR (l.reason = " SQL(ALLOWANCE_PERIOD) " AND p.instead_of <> ''))"},
	{"paid", "workspaces",
	 "SELECT w.account_id, 'period' AS name, CONCAT('from ', w.period_start_us, ' to ', w.period_end_us, ' by a"
	 " subscription, but no paid invoice is of that time') AS detail FROM workspaces w WHERE"
	 " w.subscribed <> 0 AND (w.plan"
	 " = '' OR NOT EXISTS (SELECT 1 FROM paid_periods p WHERE p.account_id = w.account_id AND p.running = 1 AND"
	 " p.instead_of = '' AND p.start_us < w.period_end_us AND p.end_us > w.period_start_us))"},
	/* Upgrades that are given in full give more than their time. */
	{"paid", "workspaces",
	 "SELECT account_id, 'period' AS name, CONCAT('it gave ', granted_micros, ', but comes to ', earned,"
	 " ' of ',"
	 " rate_micros, ' a month') AS detail FROM (SELECT account_id, granted_micros, rate_micros, earned_micros +"
	 " CAST(rate_micros AS DECIMAL(38, 0)) * (period_end_us - rate_from_us) DIV whole_us AS earned FROM"
	 " workspaces WHERE"
	 " subscribed <> 0 AND whole_us > 0) w WHERE granted_micros < earned OR granted_micros > GREATEST(earned,"
	 " rate_micros)"},
	{"paid", "paid_periods",
	 "SELECT p.account_id, p.invoice_id AS name, 'its subscription is not known' AS detail FROM"
	 " paid_periods p LEFT JOIN"
	 " subscriptions s ON s.account_id = p.account_id AND s.subscription_key = p.subscription_key WHERE"
	 " s.subscription_key IS NULL"},
	{"payment", "payments",
	 "SELECT p.account_id, p.payment_id AS name, 'the period that it paid is not there' AS detail FROM"
	 " payments p LEFT"
	 " JOIN paid_periods t ON t.account_id = p.account_id AND t.seq = p.topup_seq WHERE p.kind = "
	 SQL(PAYMENT_OF_PERIOD) " AND"
	 " t.seq IS NULL"},
	{"refund", "paid_periods",
	 "SELECT p.account_id, p.invoice_id AS name, CONCAT('it counts ', p.refunds_live_minor, ' of ',"
	 " p.refunds_known_minor, ' refunded and ', p.disputes_minor, ' disputed, but these come to ',"
	 " COALESCE(r.live, 0),"
	 " ' of ', COALESCE(r.known, 0), ' and ', COALESCE(d.live, 0)) AS detail FROM paid_periods p LEFT"
	 " JOIN (SELECT"
	 " account_id, topup_seq, SUM(amount_minor) AS known, SUM(IF(status IN (" SQL(REFUND_PENDING) ", "
	 SQL(REFUND_SUCCEEDED) "), amount_minor, 0)) AS"
	 " live FROM refunds"
	 " GROUP BY account_id, topup_seq) r ON r.account_id = p.account_id AND r.topup_seq = p.seq LEFT"
	 " JOIN (SELECT"
	 " account_id, topup_seq, SUM(IF(withdrawn = 1 AND reinstated = 0, amount_minor, 0)) AS live FROM"
	 " disputes GROUP BY"
	 " account_id, topup_seq) d ON d.account_id = p.account_id AND d.topup_seq = p.seq WHERE"
	 " p.refunds_known_minor <>"
	 " COALESCE(r.known, 0) OR p.refunds_live_minor <> COALESCE(r.live, 0) OR p.disputes_minor <>"
	 " COALESCE(d.live, 0)"},
	{"clawback", "paid_periods",
	 "SELECT account_id, invoice_id AS name, CONCAT(taken_micros, ' of ', granted_micros, ' taken back"
	 " is less than what"
	 " was refunded or disputed') AS detail FROM (SELECT *, LEAST(amount_minor, refunds_live_minor +"
	 " GREATEST(0,"
	 " charge_refunded_minor - refunds_known_minor) + disputes_minor) AS lost FROM paid_periods) p"
	 " WHERE amount_minor > 0"
	 " AND taken_micros < granted_micros - returned_micros - lapsed_micros AND taken_micros + lapsed_micros <"
	 " CAST(granted_micros AS DECIMAL(38, 0)) * lost DIV amount_minor"},
	{"clawback", "transactions",
	 "SELECT account_id, 'all' AS name, CONCAT('what refunds of subscriptions took back differs from"
	 " their periods by ',"
	 " SUM(v), ' micros') AS detail FROM (SELECT account_id, amount_micros AS v FROM transactions WHERE actor ="
	 " 'subscription' AND type IN (" SQL(TRANSACTION_REFUND) ", " SQL(TRANSACTION_DISPUTE)
	 ") UNION ALL SELECT account_id, taken_micros FROM paid_periods) s"
	 " GROUP BY account_id"
	 " HAVING SUM(v) <> 0"},

	/* ---- statements */
	{"statement", "statements",
	 "SELECT t.account_id, CONCAT('seq ', t.seq) AS name, CONCAT('state ', t.state, ', ', t.amount_micros, '"
	 " micros, but its transaction ', t.transaction_seq, ' is ', COALESCE(CONCAT('of type ', x.type, ', ',"
	 " x.amount_micros, ' micros'), 'not there')) AS detail FROM statements t LEFT JOIN transactions x ON"
	 " x.account_id = t.account_id AND x.seq = t.transaction_seq WHERE IF(t.state = " SQL(STATEMENT_PAID)
	 ", x.seq IS NULL OR x.type <>"
	 " " SQL(TRANSACTION_PAYMENT) " OR x.amount_micros <> t.amount_micros OR x.grant_seq <> t.grant_seq,"
	 " t.transaction_seq <> 0 OR"
	 " t.grant_seq <> 0)"},
	{"statement", "statements",
	 "SELECT account_id, CONCAT('seq ', seq) AS name, CONCAT('state ', state, ', ', amount_micros, ' micros, ',"
	 " amount_minor, ' ', currency, ' from ', from_us, ' to ', to_us) AS detail FROM statements WHERE state NOT"
	 " BETWEEN " SQL(STATEMENT_OPEN) " AND " SQL(STATEMENT_CARRIED)
	 " OR amount_micros < 0 OR amount_minor < 0 OR from_us > to_us OR (state BETWEEN " SQL(STATEMENT_OPEN)
	 " AND " SQL(STATEMENT_PAID) " AND"
	 " (amount_micros = 0 OR amount_minor = 0)) OR (state = " SQL(STATEMENT_FAILED)
	 " AND failures = 0 AND failure <> 'overdue')"},
	{"statement", "transactions",
	 "SELECT x.account_id, CONCAT('seq ', x.seq) AS name, CONCAT('a payment of ', COUNT(t.seq), '"
	 " statements') AS"
	 " detail FROM transactions x LEFT JOIN statements t ON t.account_id = x.account_id AND t.transaction_seq ="
	 " x.seq WHERE x.type = " SQL(TRANSACTION_PAYMENT)
	 " AND x.actor = 'stripe' GROUP BY x.account_id, x.seq HAVING COUNT(t.seq) <> 1"},
	{"statement", "workspaces",
	 "SELECT w.account_id, 'statements' AS name, CONCAT('stated_micros is ', w.stated_micros, ' of ',"
	 " w.statement_seq, ' statements, ', w.failed_statements, ' declined, but ', COALESCE(t.owed, 0), '"
	 " is owed of"
	 " ', COALESCE(t.n, 0), ', ', COALESCE(t.failed, 0), ' declined') AS detail FROM workspaces w LEFT JOIN"
	 " (SELECT account_id, COUNT(*) AS n, SUM(state = " SQL(STATEMENT_FAILED)
	 ") AS failed, SUM(IF(state IN (" SQL(STATEMENT_OPEN) ", " SQL(STATEMENT_SENT) ", "
	 SQL(STATEMENT_FAILED) "), amount_micros, 0))"
	 " AS owed FROM statements GROUP BY account_id) t ON t.account_id = w.account_id WHERE w.stated_micros <>"
	 " COALESCE(t.owed, 0) OR w.statement_seq <> COALESCE(t.n, 0) OR w.failed_statements <>"
	 " COALESCE(t.failed, 0)"},
	{"statement", "accounts",
	 "SELECT a.id AS account_id, 'status' AS name, CONCAT('status ', a.status, ', but ',"
	 " COALESCE(t.failed, 0), '"
	 " of its statements were declined and nothing is overdue') AS detail FROM accounts a LEFT JOIN (SELECT"
	 " account_id, SUM(state = " SQL(STATEMENT_FAILED)
	 ") AS failed FROM statements GROUP BY account_id) t ON t.account_id = a.id LEFT"
	 " JOIN workspaces w ON w.account_id = a.id WHERE a.status IN (" SQL(STATUS_PAST_DUE) ", "
	 SQL(STATUS_UNPAID) ") AND COALESCE(t.failed, 0) = 0 AND"
	 " COALESCE(w.overdue_micros, 0) = 0"},
	{"statement", "outbox",
	 "SELECT t.account_id, CONCAT('statement ', t.seq) AS name, CONCAT('state ', t.state, ', but ',"
	 " COUNT(o.seq),"
	 " ' rows of outbox are for it') AS detail FROM statements t LEFT JOIN outbox o ON o.account_id ="
	 " t.account_id"
	 " AND o.kind = " SQL(OUTBOX_STATEMENT) " AND o.subject_seq = t.seq GROUP BY t.account_id, t.seq,"
	 " t.state HAVING COUNT(o.seq) > 1 OR"
	 " (t.state <> " SQL(STATEMENT_CARRIED) " AND COUNT(o.seq) = 0)"},
	{"outbox", "outbox",
	 "SELECT o.account_id, CONCAT('seq ', o.seq) AS name, CONCAT('kind ', o.kind, ', state ', o.state, ', of"
	 " statement ', o.subject_seq, IF(t.seq IS NULL, ', which is not there', '')) AS detail FROM outbox o LEFT"
	 " JOIN statements t ON t.account_id = o.account_id AND t.seq = o.subject_seq LEFT JOIN workspaces w ON"
	 " w.account_id = o.account_id WHERE o.kind <> " SQL(OUTBOX_RECHARGE) " AND (o.kind NOT IN ("
	 SQL(OUTBOX_STATEMENT) ", " SQL(OUTBOX_SOFT_LIMIT) ") OR o.state NOT BETWEEN " SQL(OUTBOX_PENDING) " AND "
	 SQL(OUTBOX_PARKED) " OR (o.kind = " SQL(OUTBOX_STATEMENT) " AND"
	 " t.seq IS NULL) OR o.seq < 1 OR o.seq > COALESCE(w.outbox_seq, 0))"},

	/* ---- rows of no workspace */
	{"orphan", "workspaces",
	 "SELECT r.account_id, r.name, 'there is no such workspace' AS detail FROM (SELECT DISTINCT account_id,"
	 " 'allowances' AS name FROM allowances UNION SELECT DISTINCT account_id, 'statements' FROM"
	 " statements UNION"
	 " SELECT DISTINCT account_id, 'outbox' FROM outbox WHERE kind <> " SQL(OUTBOX_RECHARGE)
	 ") r LEFT JOIN workspaces w ON w.account_id = r.account_id"
	 " WHERE w.account_id IS NULL"},
};
/* clang-format on */

int audit_workspaces(struct audit *A, const struct account_key *only)
{
	return audit_ask(A, queries, sizeof(queries) / sizeof(queries[0]), only);
}
