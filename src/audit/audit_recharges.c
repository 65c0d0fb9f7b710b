/*
 * Checks auto-recharge: each charge has a consent, and one charge of an account is under way at a time.  Each check is
 * one statement of SQL that answers the wrong rows, and none on a sound ledger.
 */
#include "audit/audit_state.h"
#include "ledger/sql_numbers.h"

/* clang-format off */
#define UNDER_WAY "(" SQL(TOPUP_OPEN) ", " SQL(TOPUP_PENDING) ")"

static const struct audit_query queries[] = {
	{"consent", "topups",
	 "SELECT t.account_id, CONCAT('seq ', t.seq) AS name, CONCAT('a charge of ', t.amount_minor, ' ', t.currency,"
	 " ' by consent ', t.consent_seq, ', which is ', IF(k.seq IS NULL, 'not there', CONCAT('to ', k.charge_micros,"
	 " ' micros ', k.currency))) AS detail FROM topups t LEFT JOIN recharge_consents k ON k.account_id ="
	 " t.account_id AND k.seq = t.consent_seq WHERE t.consent_seq <> 0 AND (k.seq IS NULL OR k.currency <>"
	 " t.currency OR k.unit <> t.unit OR (t.unit = " SQL(UNIT_MONEY) " AND k.charge_micros <> t.amount_micros))"},
	{"consent", "recharges",
	 "SELECT r.account_id, 'settings' AS name, CONCAT('charges of ', r.charge_micros, ' micros ', r.currency,"
	 " ', at most ', r.cap_micros, ' a month, by consent ', r.consent_seq, ', which is ', IF(k.seq IS NULL,"
	 " 'not there', CONCAT('to ', k.charge_micros, ' and ', k.cap_micros, ' ', k.currency))) AS detail"
	 " FROM recharges r LEFT JOIN recharge_consents k ON k.account_id = r.account_id AND k.seq = r.consent_seq"
	 " WHERE r.state <> " SQL(RECHARGE_OFF) " AND (k.seq IS NULL OR k.charge_micros <> r.charge_micros OR"
	 " k.cap_micros < r.cap_micros OR k.currency <> r.currency OR k.unit <> r.unit)"},
	{"recharge", "recharges",
	 "SELECT r.account_id, CONCAT('order ', r.pending_seq) AS name, IF(t.seq IS NULL, 'it is not there',"
	 " CONCAT('it is under way, but its state is ', t.state, ', by consent ', t.consent_seq)) AS detail"
	 " FROM recharges r LEFT JOIN topups t ON t.account_id = r.account_id AND t.seq = r.pending_seq"
	 " WHERE r.pending_seq <> 0 AND (t.seq IS NULL OR t.consent_seq = 0 OR t.state NOT IN " UNDER_WAY ")"},
	{"recharge", "topups",
	 "SELECT t.account_id, CONCAT('seq ', t.seq) AS name, CONCAT('a charge in state ', t.state, ', but the one"
	 " under way is ', COALESCE(r.pending_seq, 0)) AS detail FROM topups t LEFT JOIN recharges r ON r.account_id ="
	 " t.account_id WHERE t.consent_seq <> 0 AND t.state IN " UNDER_WAY " AND COALESCE(r.pending_seq, 0) <> t.seq"},
	{"recharge", "outbox",
	 "SELECT o.account_id, CONCAT('seq ', o.seq) AS name, 'a task of an account without auto-recharge' AS detail"
	 " FROM outbox o LEFT JOIN recharges r ON r.account_id = o.account_id WHERE o.kind = " SQL(OUTBOX_RECHARGE)
	 " AND r.account_id IS NULL"},
};
/* clang-format on */

int audit_recharges(struct audit *A, const struct account_key *only)
{
	return audit_ask(A, queries, sizeof(queries) / sizeof(queries[0]), only);
}
