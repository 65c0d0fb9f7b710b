/*
 * Checks the sums of incoming money: orders, payments, refunds, disputes, bonuses and codes.  Each check
 * is one statement of SQL that answers the wrong rows, and none on a sound ledger.
 */
#include "audit/audit_state.h"
#include "ledger/grant_sql.h"
#include "ledger/sql_numbers.h"

/* An order or a statement counts the sums of its refunds and disputes; kind, as payments.kind, says which table. */
/* clang-format off */
#define REFUNDS_OF(table, kind) \
	{"refund", table, \
	 "SELECT t.account_id, CONCAT('seq ', t.seq) AS name, CONCAT('it counts ', t.refunds_live_minor, ' of '," \
	 " t.refunds_known_minor, ' refunded, but its refunds come to ', COALESCE(r.live, 0), ' of '," \
	 " COALESCE(r.known, 0)) AS detail FROM " table " t LEFT JOIN (SELECT account_id, topup_seq," \
	 " SUM(amount_minor) AS known, SUM(IF(status IN (" SQL(REFUND_PENDING) ", " SQL(REFUND_SUCCEEDED) \
	 "), amount_minor, 0)) AS live FROM refunds" \
	 " WHERE kind = " kind " GROUP BY account_id, topup_seq) r ON r.account_id = t.account_id" \
	 " AND r.topup_seq = t.seq" \
	 " WHERE t.refunds_known_minor <> COALESCE(r.known, 0) OR t.refunds_live_minor <> COALESCE(r.live, 0)"}
#define DISPUTES_OF(table, kind) \
	{"dispute", table, \
	 "SELECT t.account_id, CONCAT('seq ', t.seq) AS name, CONCAT('it counts ', t.disputes_minor," \
	 " ' disputed, but its disputes come to ', COALESCE(d.live, 0)) AS detail FROM " table " t LEFT JOIN" \
	 " (SELECT account_id, topup_seq, SUM(IF(withdrawn = 1 AND reinstated = 0, amount_minor, 0)) AS live" \
	 " FROM disputes WHERE kind = " kind " GROUP BY account_id, topup_seq) d ON d.account_id = t.account_id" \
	 " AND d.topup_seq = t.seq WHERE t.disputes_minor <> COALESCE(d.live, 0)"}
#define CLAWBACK_OF(table, paid) \
	{"clawback", table, \
	 "SELECT account_id, CONCAT('seq ', seq) AS name, CONCAT(refunded_micros, ' taken back for refunds and '," \
	 " disputed_micros, ' for disputes is not what they say') AS detail FROM " table " WHERE IF(" paid "," \
	 " refunded_micros <> CAST(amount_micros AS DECIMAL(38, 0)) * (refunds_live_minor +" \
	 " GREATEST(0, charge_refunded_minor - refunds_known_minor)) DIV amount_minor OR" \
	 " disputed_micros <> CAST(amount_micros AS DECIMAL(38, 0)) * disputes_minor DIV amount_minor," \
	 " refunded_micros <> 0 OR disputed_micros <> 0)"}

static const struct audit_query queries[] = {
	{"order", "topups",
         "SELECT t.account_id, CONCAT('seq ', t.seq) AS name, CONCAT('state ', t.state, ', ', t.amount_micros,"
         " ' micros, but its transaction ', t.transaction_seq, ' is ', COALESCE(CONCAT('of type ', x.type, ', ',"
         " x.amount_micros, ' micros, grant ', x.grant_seq), 'not there')) AS detail"
         " FROM topups t LEFT JOIN transactions x ON x.account_id = t.account_id AND x.seq = t.transaction_seq"
         " WHERE IF(t.state = " SQL(TOPUP_PAID) ", x.seq IS NULL OR x.type <> " SQL(TRANSACTION_TOP_UP)
         " OR x.amount_micros <> t.amount_micros OR"
         " x.grant_seq <> t.grant_seq, t.transaction_seq <> 0 OR t.refunded_micros <> 0 OR t.disputed_micros"
         " <> 0)"},
	{"order", "topups",
         "SELECT account_id, CONCAT('transaction ', transaction_seq) AS name,"
         " CONCAT(COUNT(*), ' orders say that it is theirs') AS detail FROM topups"
         " WHERE transaction_seq <> 0 GROUP BY account_id, transaction_seq HAVING COUNT(*) > 1"},
	{"bonus", "topups",
         "SELECT t.account_id, CONCAT('seq ', t.seq) AS name, CONCAT('state ', t.state, ', bonus ', t.bonus_micros,"
         " ' micros, but its transaction ', t.bonus_transaction_seq, ' is ', COALESCE(CONCAT('of type ', x.type, ', ',"
         " x.amount_micros, ' micros, grant ', x.grant_seq), 'not there')) AS detail"
         " FROM topups t LEFT JOIN transactions x ON x.account_id = t.account_id AND x.seq = t.bonus_transaction_seq"
         " WHERE IF(t.state = " SQL(TOPUP_PAID) " AND t.bonus_micros <> 0, x.seq IS NULL OR x.type <> "
         SQL(TRANSACTION_TOP_UP_BONUS) " OR x.amount_micros <> t.bonus_micros OR x.grant_seq <> t.bonus_grant_seq,"
         " t.bonus_transaction_seq <> 0 OR t.bonus_returned_micros <> 0)"},
	{"bonus", "topups",
         "SELECT account_id, CONCAT('seq ', seq) AS name, CONCAT(bonus_returned_micros, ' of the bonus of ',"
         " bonus_micros, ' taken back is not what refunds and disputes say') AS detail FROM topups"
         " WHERE state = " SQL(TOPUP_PAID) " AND bonus_returned_micros <> CAST(bonus_micros AS DECIMAL(38, 0)) *"
         " LEAST(amount_minor, refunds_live_minor + GREATEST(0, charge_refunded_minor - refunds_known_minor) +"
         " disputes_minor) DIV amount_minor"},
	{"bonus", "transactions",
         "SELECT account_id, 'all' AS name, CONCAT('bonuses of top-ups less what was taken back differ from the"
         " orders by ', SUM(v), ' micros') AS detail FROM (SELECT account_id, amount_micros AS v FROM transactions"
         " WHERE actor = 'stripe' AND type = " SQL(TRANSACTION_TOP_UP_BONUS) " UNION ALL SELECT account_id,"
         " bonus_returned_micros - bonus_micros FROM topups WHERE state = " SQL(TOPUP_PAID) ") s"
         " GROUP BY account_id HAVING SUM(v) <> 0"},
	{"alert", "alerts",
         "SELECT a.id AS account_id, 'alerts' AS name, CONCAT(COALESCE(l.n, 0), ' alerts, the last with number ',"
         " COALESCE(l.last, 0), ', but the account has \'', a.alerts, '\'') AS detail FROM accounts a LEFT JOIN"
         " (SELECT account_id, COUNT(*) AS n, MIN(seq) AS first, MAX(seq) AS last FROM alerts GROUP BY account_id) l"
         " ON l.account_id = a.id WHERE COALESCE(l.n, 0) <> COALESCE(l.last - l.first + 1, 0) OR"
         " CAST(CONCAT('0', SUBSTRING_INDEX(TRIM(LEADING 'o' FROM a.alerts), ';', 1)) AS SIGNED) <>"
         " COALESCE(l.last, 0)"},
	{"open_orders", "billing",
         "SELECT b.account_id, 'open orders' AS name, CONCAT(b.n, ' are counted (', b.open_orders, '), but ',"
         " COALESCE(t.n, 0), ' of these can still be paid; ', b.orders_live, ' are open, pending or paid, but ',"
         " COALESCE(t.live, 0), ' of them are there') AS detail FROM (SELECT account_id, open_orders, orders_live,"
         " IF(open_orders = '', 0, 1 + LENGTH(open_orders) - LENGTH(REPLACE(open_orders, ',', ''))) AS n"
         " FROM billing)"
         " b LEFT JOIN (SELECT t.account_id, SUM(t.state = " SQL(TOPUP_OPEN)
         " AND FIND_IN_SET((t.created_at_us + IF(t.session_id ="
         " '', 900000000, 87300000000)) DIV 1000000, b.open_orders) > 0) AS n, SUM(t.state IN (" SQL(TOPUP_OPEN)
         ", " SQL(TOPUP_PENDING) ", " SQL(TOPUP_PAID) ")) AS live FROM"
         " topups t JOIN billing b ON b.account_id = t.account_id GROUP BY t.account_id) t ON t.account_id ="
         " b.account_id WHERE b.n <> COALESCE(t.n, 0) OR b.orders_live <> COALESCE(t.live, 0)"},
	{"order", "transactions",
         "SELECT x.account_id, CONCAT('seq ', x.seq) AS name, 'a credit for a payment, but of no order' AS detail"
         " FROM transactions x LEFT JOIN topups t ON t.account_id = x.account_id AND t.transaction_seq = x.seq"
         " WHERE x.type = " SQL(TRANSACTION_TOP_UP) " AND x.actor = 'stripe' AND t.seq IS NULL"},
	{"payment", "topups",
         "SELECT t.account_id, CONCAT('seq ', t.seq) AS name, CONCAT('payment ', t.payment_id, ' is ',"
         " IF(p.payment_key IS NULL, 'not known', 'another order\\'s')) AS detail FROM topups t"
         " LEFT JOIN payments p ON p.payment_key = UNHEX(LEFT(SHA2(t.payment_id, 256), 32))"
         " WHERE t.payment_id <> '' AND"
         " (p.payment_key IS NULL OR p.account_id <> t.account_id OR p.kind <> " SQL(PAYMENT_OF_TOPUP)
         " OR p.topup_seq <> t.seq)"},
	{"payment", "payments",
         "SELECT p.account_id, p.payment_id AS name, 'its order is not there' AS detail FROM payments p"
         " LEFT JOIN topups t ON t.account_id = p.account_id AND t.seq = p.topup_seq WHERE p.kind = "
         SQL(PAYMENT_OF_TOPUP) " AND t.seq IS"
         " NULL"},
	{"payment", "statements",
         "SELECT t.account_id, CONCAT('seq ', t.seq) AS name, CONCAT('payment ', t.payment_id, ' is ',"
         " IF(p.payment_key IS NULL, 'not known', 'another''s')) AS detail FROM statements t"
         " LEFT JOIN payments p ON p.payment_key = UNHEX(LEFT(SHA2(t.payment_id, 256), 32))"
         " WHERE t.payment_id <> '' AND"
         " (p.payment_key IS NULL OR p.account_id <> t.account_id OR p.kind <> " SQL(PAYMENT_OF_STATEMENT)
         " OR p.topup_seq <> t.seq)"},
	{"payment", "payments",
         "SELECT p.account_id, p.payment_id AS name, 'its statement is not there' AS detail FROM payments p"
         " LEFT JOIN statements t ON t.account_id = p.account_id AND t.seq = p.topup_seq WHERE p.kind = "
         SQL(PAYMENT_OF_STATEMENT) " AND t.seq IS"
         " NULL"},
	REFUNDS_OF("topups", SQL(PAYMENT_OF_TOPUP)),
	REFUNDS_OF("statements", SQL(PAYMENT_OF_STATEMENT)),
	DISPUTES_OF("topups", SQL(PAYMENT_OF_TOPUP)),
	DISPUTES_OF("statements", SQL(PAYMENT_OF_STATEMENT)),
	CLAWBACK_OF("topups", "state = " SQL(TOPUP_PAID)),
	CLAWBACK_OF("statements", "state = " SQL(STATEMENT_PAID)),
	{"clawback", "transactions",
         "SELECT account_id, 'all' AS name, CONCAT('what Stripe paid less what it took back differs from the"
         " orders by ', SUM(v), ' micros') AS detail FROM (SELECT account_id, amount_micros AS v FROM transactions"
         " WHERE actor = 'stripe' AND type IN (" SQL(TRANSACTION_TOP_UP) ", " SQL(TRANSACTION_REFUND) ", "
         SQL(TRANSACTION_DISPUTE) ") UNION ALL SELECT account_id,"
         " refunded_micros + disputed_micros - amount_micros FROM topups WHERE state = " SQL(TOPUP_PAID)
         " UNION ALL SELECT account_id,"
         " refunded_micros + disputed_micros FROM statements) s GROUP BY account_id HAVING SUM(v) <> 0"},
	{"overdue", "workspaces",
         "SELECT w.account_id, 'overdue' AS name, CONCAT(w.overdue_micros, ' micros are overdue and ',"
         " w.arrears_micros, ' in arrears, but ', GREATEST(0, -a.balance_micros, w.arrears_micros), ' are"
         " owed and ',"
         " COALESCE(t.taken, 0), ' were taken back of statements') AS detail FROM workspaces w"
         " JOIN accounts a ON a.id = w.account_id LEFT JOIN (SELECT account_id, SUM(refunded_micros +"
         " disputed_micros)"
         " AS taken FROM statements GROUP BY account_id) t ON t.account_id = w.account_id WHERE"
         " w.arrears_micros < 0 OR"
         " w.overdue_micros < 0 OR w.overdue_micros > LEAST(COALESCE(t.taken, 0), GREATEST(0, -a.balance_micros,"
         " w.arrears_micros))"},
	{"arrears", "workspaces",
         "SELECT w.account_id, 'arrears' AS name, CONCAT('its grants have ', COALESCE(g.rest, 0), ' micros"
         " left beside"
         " a balance of ', a.balance_micros, ' and arrears of ', w.arrears_micros) AS detail FROM workspaces w"
         " JOIN accounts a ON a.id = w.account_id"
         " LEFT JOIN (SELECT g.account_id, SUM(" GRANT_SQL_REMAINING ") AS rest FROM grants g"
         " JOIN accounts a ON a.id = g.account_id GROUP BY g.account_id) g ON g.account_id = w.account_id"
         " WHERE COALESCE(g.rest, 0) <> GREATEST(0, a.balance_micros + w.arrears_micros)"},
	{"bonus", "campaigns",
         "SELECT CAST('' AS BINARY(16)) AS account_id, c.name, CONCAT('it counts ', c.grants, ' bonuses of ',"
         " c.granted_micros, ' micros, but the claims are ', COALESCE(k.n, 0), ' of ', COALESCE(k.v, 0)) AS detail"
         " FROM campaigns c LEFT JOIN (SELECT campaign_id, COUNT(*) AS n, SUM(amount_micros) AS v FROM claims"
         " WHERE kind = " SQL(CLAIM_ACCOUNT) " GROUP BY campaign_id) k ON k.campaign_id = c.id"
         " WHERE c.grants <> COALESCE(k.n, 0) OR c.granted_micros <> COALESCE(k.v, 0)"},
	{"bonus", "claims",
         "SELECT k.account_id, CONCAT('transaction ', k.transaction_seq) AS name, 'the claim is of no sign-up bonus"
         " of that amount' AS detail FROM claims k LEFT JOIN transactions x ON x.account_id = k.account_id"
         " AND x.seq = k.transaction_seq AND x.type = " SQL(TRANSACTION_SIGNUP_BONUS)
         " AND x.amount_micros = k.amount_micros WHERE x.seq IS NULL"},
	{"bonus", "transactions",
         "SELECT x.account_id, CONCAT('seq ', x.seq) AS name, 'a sign-up bonus that nobody claimed' AS detail"
         " FROM transactions x LEFT JOIN claims k ON k.account_id = x.account_id AND k.transaction_seq = x.seq"
         " AND k.kind = " SQL(CLAIM_ACCOUNT) " WHERE x.type = " SQL(TRANSACTION_SIGNUP_BONUS)
         " AND x.actor = 'campaign' AND k.id IS NULL"},
	{"referral", "signups",
         "SELECT account_id, 'referrer' AS name, 'it was referred by itself' AS detail FROM signups"
         " WHERE referrer_id = account_id"},
	{"referral", "transactions",
         "SELECT x.account_id, 'all' AS name, CONCAT(x.n, ' rewards of ', x.v, ' micros, but its referrals that"
         " paid come to ', COALESCE(r.n, 0), ' of ', COALESCE(r.v, 0)) AS detail FROM (SELECT account_id,"
         " COUNT(*) AS n, SUM(amount_micros) AS v FROM transactions WHERE type = "
         SQL(TRANSACTION_REFERRAL_BONUS) " AND actor = 'referral'"
         " GROUP BY account_id) x LEFT JOIN (SELECT account_id, COUNT(*) AS n, SUM(v) AS v FROM (SELECT account_id,"
         " reward_micros AS v FROM signups WHERE rewarded_at_us > 0 UNION ALL SELECT referrer_id, reward_micros"
         " FROM signups WHERE rewarded_at_us > 0) s GROUP BY account_id) r ON r.account_id = x.account_id"
         " WHERE x.n > COALESCE(r.n, 0) OR x.v > COALESCE(r.v, 0)"},
	{"code", "codes",
         "SELECT CAST('' AS BINARY(16)) AS account_id, CONCAT('id ', LOWER(HEX(c.id))) AS name,"
         " CONCAT(c.uses, ' uses of at most ', c.uses_max, ', of which accounts made ', COALESCE(r.uses, 0))"
         " AS detail FROM codes c LEFT JOIN (SELECT code_id, SUM(uses) AS uses FROM redemptions GROUP BY code_id) r"
         " ON r.code_id = c.id WHERE c.uses > c.uses_max OR c.uses <> COALESCE(r.uses, 0)"},
	{"code", "redemptions",
         "SELECT r.account_id, CONCAT('code ', LOWER(HEX(r.code_id))) AS name, CONCAT(r.uses, ' uses of at most ',"
         " COALESCE(c.uses_per_account, 0)) AS detail FROM redemptions r LEFT JOIN codes c ON c.id = r.code_id"
         " WHERE r.uses > COALESCE(c.uses_per_account, 0)"},
	{"code", "transactions",
         "SELECT x.account_id, x.reference AS name, CONCAT(COUNT(*), ' bonuses of ', SUM(x.amount_micros),"
         " ' micros for ', COALESCE(r.uses, 0), ' uses of the code') AS detail FROM transactions x"
         " JOIN codes c ON c.code = x.reference LEFT JOIN redemptions r ON r.account_id = x.account_id"
         " AND r.code_id = c.id WHERE x.type = " SQL(TRANSACTION_PROMO_BONUS) " GROUP BY x.account_id, c.id"
         " HAVING COUNT(*) <> COALESCE(MAX(r.uses), 0) OR SUM(x.amount_micros) <> COUNT(*) * MAX(c.amount_micros)"},
};
/* clang-format on */

int audit_orders(struct audit *A, const struct account_key *only)
{
	return audit_ask(A, queries, sizeof(queries) / sizeof(queries[0]), only);
}
