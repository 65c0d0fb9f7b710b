#include "queries/mails.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "db/operator_alert.h"
#include "db/sql.h"
#include "ledger/sql_numbers.h"
#include "queries/due.h"

#define SQL_MAX ((size_t)16 * 1024)
#define NOW SQL_NOW_US
#define APART "3600000000" /* micros between two mails of an account and a kind */

static void put_mail_key(struct buf *sql, const struct account_key *account, int64_t kind)
{
	sql_literal(sql, " WHERE account_id=");
	sql_bytes(sql, account->bytes, sizeof(account->bytes));
	sql_literal(sql, " AND kind=");
	sql_int(sql, kind);
}

/* ---- handing on ----------------------------------------------------------------------------------- */

struct newest {
	int64_t number, upto_seq, due_at_us;
};

static int take_newest_mail(void *context, const struct db_row *row)
{
	*(struct newest *)context = (struct newest){db_int(row, 0), db_int(row, 1), db_int(row, 2)};
	return 0;
}

static int read_newest_mail(struct db *d, struct buf *sql, const struct account_key *account, int64_t kind,
                            struct newest *n)
{
	*n = (struct newest){0};
	buf_reset(sql);
	sql_literal(sql, "SELECT number,upto_seq,due_at_us FROM mails");
	put_mail_key(sql, account, kind);
	sql_literal(sql, " ORDER BY number DESC LIMIT 1");
	return (int)db_read(d, sql, take_newest_mail, n);
}

/* Another process may add the same mail at the same moment: then that one stands. */
static int add_mail(struct db *d, struct buf *sql, const struct account_key *account, int64_t kind,
                    const struct newest *after)
{
	buf_reset(sql);
	sql_literal(sql, "INSERT IGNORE INTO mails (account_id,kind,number,from_seq,due_at_us,next_at_us,created_at_us)"
	                 " SELECT ");
	sql_bytes(sql, account->bytes, sizeof(account->bytes));
	sql_literal(sql, ",");
	sql_int(sql, kind);
	sql_literal(sql, ",");
	sql_int(sql, after->number + 1);
	sql_literal(sql, ",");
	sql_int(sql, after->upto_seq);
	sql_literal(sql, ",GREATEST(" NOW ",");
	sql_int(sql, after->due_at_us);
	if (after->number > 0)
		sql_literal(sql, "+" APART);
	sql_literal(sql, "),GREATEST(" NOW ",");
	sql_int(sql, after->due_at_us);
	if (after->number > 0)
		sql_literal(sql, "+" APART);
	sql_literal(sql, ")," NOW);
	return db_change(d, sql) < 0 ? -1 : 0;
}

/* A mail that was not claimed yet will have all alerts of its kind that are there then. */
int mails_hand_on(struct db *d, const struct account_key *account, int64_t seq, int64_t kind)
{
	struct newest n;
	struct buf sql;
	int result;

	buf_init(&sql, SQL_MAX);
	result = read_newest_mail(d, &sql, account, kind, &n);
	if (result == 0)
		n.upto_seq = seq - 1; /* alerts of before there was mail stay untold */
	if (result >= 0 && (n.number == 0 || (n.upto_seq != 0 && n.upto_seq < seq)))
		result = add_mail(d, &sql, account, kind, &n);
	buf_free(&sql);
	return result < 0 ? -1 : 0;
}

/* ---- claims --------------------------------------------------------------------------------------- */

#define DUE DUE_CONDITION("m")

struct due_mail {
	struct due due;
	struct mail_claim *claim;
	const char *operators; /* the addresses of the operator's mails */
};

static int take_mail(void *context, const struct db_row *row)
{
	struct due_mail *mail = context;
	struct mail_claim *claim = mail->claim;
	const char *language = row->field[15];

	memcpy(claim->account.bytes, row->field[0], sizeof(claim->account.bytes));
	(void)snprintf(claim->account_id, sizeof(claim->account_id), "%s", row->field[1]);
	claim->kind = db_int(row, 2);
	claim->number = db_int(row, 3);
	claim->from_seq = db_int(row, 4);
	claim->upto_seq = db_int(row, 5);
	mail->due.attempts = db_int(row, 6);
	mail->due.claimed_us = db_int(row, 7);
	mail->due.now_us = db_int(row, 8);
	claim->created_at_us = db_int(row, 9);
	claim->sent_mask = db_int(row, 10);
	claim->dead_mask = db_int(row, 11);
	claim->unit = db_int(row, 12);
	(void)snprintf(claim->addresses, sizeof(claim->addresses), "%s", row->field[13]);
	(void)snprintf(claim->name, sizeof(claim->name), "%s", row->field[14]);
	claim->french = strncmp(language, "fr", 2) == 0;
	claim->of_operator = claim->kind >= OPERATOR_KIND_FIRST;
	return 0;
}

static int find_mail(struct db *d, struct buf *sql, struct due_mail *mail)
{
	sql_literal(sql,
	            "SELECT m.account_id,COALESCE(a.external_id,''),m.kind,m.number,m.from_seq,m.upto_seq,m.attempts,"
	            "m.claimed_until_us," NOW ",m.created_at_us,m.sent_mask,m.dead_mask,COALESCE(a.unit,0),"
	            "IF(m.upto_seq<>0,m.addresses,IF(m.kind>=");
	sql_int(sql, OPERATOR_KIND_FIRST);
	sql_literal(sql, ",");
	sql_text(sql, mail->operators);
	sql_literal(sql,
	            ",CASE COALESCE(p.alert_addresses,'') WHEN '' THEN COALESCE(p.email,'') WHEN '-' THEN ''"
	            " ELSE p.alert_addresses END)),COALESCE(p.name,''),"
	            "IF(COALESCE(p.alert_language,'')<>'',p.alert_language,COALESCE(p.locale,'')) FROM mails m"
	            " LEFT JOIN accounts a ON a.id=m.account_id"
	            " LEFT JOIN profiles p ON p.account_id=m.account_id WHERE " DUE " ORDER BY m.next_at_us LIMIT 1");
	return (int)db_read(d, sql, take_mail, mail);
}

static void put_operators_kind(struct buf *sql, const struct mail_claim *claim)
{
	sql_literal(sql, " FROM operator_alerts WHERE kind=");
	sql_int(sql, claim->kind - OPERATOR_KIND_FIRST);
}

/* Appends the range of the mail's alerts.  The operator's are numbered by id, those of an account by seq. */
static void put_range(struct buf *sql, const struct mail_claim *claim)
{
	if (claim->of_operator) {
		put_operators_kind(sql, claim);
		sql_literal(sql, " AND id>");
		sql_int(sql, claim->from_seq);
		sql_literal(sql, " AND id<=");
	} else {
		sql_literal(sql, " FROM alerts");
		put_mail_key(sql, &claim->account, claim->kind);
		sql_literal(sql, " AND seq>");
		sql_int(sql, claim->from_seq);
		sql_literal(sql, " AND seq<=");
	}
	sql_int(sql, claim->upto_seq);
}

/* A statement of its own: a locking read of alerts would make a guard wait. */
static int read_upto(struct db *d, struct buf *sql, struct mail_claim *claim)
{
	buf_reset(sql);
	if (claim->of_operator) {
		sql_literal(sql, "SELECT COALESCE(MAX(id),0)");
		put_operators_kind(sql, claim);
	} else {
		sql_literal(sql, "SELECT COALESCE(MAX(seq),0) FROM alerts");
		put_mail_key(sql, &claim->account, claim->kind);
	}
	return db_read_int(d, sql, &claim->upto_seq);
}

static int find_due_mail(struct db *d, struct buf *sql, void *context)
{
	struct due_mail *mail = context;
	const int found = find_mail(d, sql, mail);

	return found > 0 && mail->claim->upto_seq == 0 && read_upto(d, sql, mail->claim) < 0 ? -1 : found;
}

static void put_mail_set(struct buf *sql, const void *context)
{
	const struct due_mail *mail = context;

	sql_literal(sql, "UPDATE mails SET upto_seq=");
	sql_int(sql, mail->claim->upto_seq);
	sql_literal(sql, ",addresses=");
	sql_text(sql, mail->claim->addresses);
	sql_literal(sql, ",");
}

static void put_mail_number(struct buf *sql, const struct mail_claim *claim)
{
	put_mail_key(sql, &claim->account, claim->kind);
	sql_literal(sql, " AND number=");
	sql_int(sql, claim->number);
}

static void put_due_mail(struct buf *sql, const void *context)
{
	const struct due_mail *mail = context;

	put_mail_number(sql, mail->claim);
}

int mails_claim(struct db *d, int64_t lease_us, const char *operators, struct mail_claim *claim)
{
	static const struct due_table table = {find_due_mail, put_mail_set, put_due_mail};
	struct due_mail mail = {.claim = claim, .operators = operators};
	const int found = due_claim(d, &table, lease_us, &mail.due, &mail);

	claim->until_us = mail.due.until_us;
	claim->attempts = mail.due.attempts + 1;
	return found;
}

/* ---- content -------------------------------------------------------------------------------------- */

struct mail_lines {
	struct mail_line *lines;
	int count;
	int64_t total;
};

static int take_mail_line(void *context, const struct db_row *row)
{
	struct mail_lines *read = context;
	struct mail_line *line = &read->lines[read->count];

	CHECK(read->count < MAILS_LINES_MAX);
	(void)snprintf(line->member, sizeof(line->member), "%s", row->field[10]);
	line->alert = (struct alerts_shown){.seq = db_int(row, 0),
	                                    .kind = db_int(row, 1),
	                                    .threshold_micros = db_int(row, 2),
	                                    .limit_kind = db_int(row, 3),
	                                    .amount_micros = db_int(row, 4),
	                                    .balance_micros = db_int(row, 5),
	                                    .created_at_us = db_int(row, 6),
	                                    .days = db_int(row, 7),
	                                    .expires_at_us = db_int(row, 8),
	                                    .threshold_percent = db_int(row, 9),
	                                    .member = line->member};
	read->total = db_int(row, 11);
	read->count++;
	return 0;
}

int mails_read(struct db *d, const struct mail_claim *claim, struct mail_line lines[MAILS_LINES_MAX], int64_t *count)
{
	struct mail_lines read = {.lines = lines};
	struct buf sql;
	int64_t result;

	buf_init(&sql, SQL_MAX);
	if (claim->of_operator)
		sql_literal(
			&sql,
			"SELECT id,kind,0,0,0,0,created_at_us,0,0,0,CONCAT(subject,IF(subject='','',': '),detail),");
	else
		sql_literal(&sql, "SELECT seq,kind,threshold_micros,limit_kind,amount_micros,balance_micros,"
		                  "created_at_us,days,expires_at_us,threshold_percent,member,");
	sql_literal(&sql, "(SELECT COUNT(*)");
	put_range(&sql, claim);
	sql_literal(&sql, ")");
	put_range(&sql, claim);
	if (claim->of_operator)
		sql_literal(&sql, " ORDER BY id LIMIT ");
	else
		sql_literal(&sql, " ORDER BY seq LIMIT ");
	sql_int(&sql, MAILS_LINES_MAX);
	result = db_read(d, &sql, take_mail_line, &read);
	buf_free(&sql);
	*count = read.total;
	return (int)result;
}

/* ---- ends ----------------------------------------------------------------------------------------- */

static void put_claim(struct buf *sql, const struct mail_claim *claim)
{
	put_mail_number(sql, claim);
	due_put_held(sql, claim->until_us);
}

static void put_masks(struct buf *sql, const struct mail_claim *claim)
{
	sql_literal(sql, "UPDATE mails SET sent_mask=");
	sql_int(sql, claim->sent_mask);
	sql_literal(sql, ",dead_mask=");
	sql_int(sql, claim->dead_mask);
}

int mails_note(struct db *d, const struct mail_claim *claim)
{
	struct buf sql;
	int64_t changed;

	buf_init(&sql, SQL_MAX);
	put_masks(&sql, claim);
	put_claim(&sql, claim);
	changed = db_change(d, &sql);
	buf_free(&sql);
	return changed < 0 ? -1 : 0;
}

int mails_end(struct db *d, const struct mail_claim *claim, const struct mail_end *end)
{
	struct buf sql;
	int64_t changed;

	buf_init(&sql, SQL_MAX);
	put_masks(&sql, claim);
	sql_literal(&sql, ",claimed_until_us=0,state=");
	sql_int(&sql, end->state);
	sql_literal(&sql, ",attempts=");
	sql_int(&sql, end->attempts);
	sql_literal(&sql, ",next_at_us=" NOW "+");
	sql_int(&sql, end->wait_us);
	sql_literal(&sql, ",error=");
	sql_text(&sql, end->error);
	put_claim(&sql, claim);
	changed = db_change(d, &sql);
	buf_free(&sql);
	return changed < 0 ? -1 : changed > 0;
}
