#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/doctor/doctor.h"
#include "db/schema.h"
#include "db/sql.h"
#include "ledger/ledger.h"
#include "options.h"
#include "prices/book.h"

#define VALUE_MAX 1024
#define CONNECTIONS_BESIDE (LEDGER_CONNECTIONS + 2) /* 2: for the API keys, and for octroictl */
#define PACKET_MIN (INT64_C(8) << 20)               /* the largest batch, in hexadecimal, with its metadata */
#define SKEW_WARNING_US CLOCK_US_PER_SECOND
#define SKEW_PROBLEM_US (5 * CLOCK_US_PER_SECOND)

/* ---- one value ------------------------------------------------------------------------------- */

struct value {
	bool found;
	char text[VALUE_MAX];
};

static int take_value(void *context, const struct db_row *row)
{
	struct value *v = context;

	v->found = true;
	(void)snprintf(v->text, sizeof(v->text), "%s",
	               row->field[row->count - 1] != NULL ? row->field[row->count - 1] : "");
	return CTL_OK;
}

/* Reads the last column of the last row; false if there is no row or the statement failed. */
static bool ask_database(struct doctor *D, struct buf *sql, struct value *v)
{
	v->found = false;
	(void)db_read(ctl_db(D->ctl), sql, take_value, v);
	buf_reset(sql);
	return v->found;
}

static int64_t number(const struct value *v)
{
	return v->found ? strtoll(v->text, NULL, 10) : -1;
}

/* ---- settings -------------------------------------------------------------------------------- */

/* name is a literal. */
#define variable(D, sql, name, v) \
	(sql_literal((sql), "SHOW VARIABLES WHERE Variable_name = '" name "'"), ask_database((D), (sql), (v)))

static void check_durability(struct doctor *D, struct buf *sql)
{
	struct value v, binlog;

	if (!variable(D, sql, "innodb_flush_log_at_trx_commit", &v))
		doctor_say(D, "innodb_flush_log_at_trx_commit", DOCTOR_SKIPPED, "",
		           "this database has no such setting");
	else if (strcmp(v.text, "1") == 0)
		doctor_say(D, "innodb_flush_log_at_trx_commit", DOCTOR_OK, "", "1");
	else
		doctor_say(D, "innodb_flush_log_at_trx_commit", DOCTOR_PROBLEM,
		           "set innodb_flush_log_at_trx_commit = 1 in the database's configuration",
		           "%s: a power failure loses what was answered", v.text);
	if (!variable(D, sql, "log_bin", &binlog) || strcmp(binlog.text, "ON") != 0)
		doctor_say(D, "sync_binlog", DOCTOR_SKIPPED, "", "there is no binary log");
	else if (variable(D, sql, "sync_binlog", &v) && strcmp(v.text, "1") == 0)
		doctor_say(D, "sync_binlog", DOCTOR_OK, "", "1");
	else
		doctor_say(D, "sync_binlog", DOCTOR_PROBLEM, "set sync_binlog = 1 in the database's configuration",
		           "%s: after a power failure transactions that are not in the binary log "
		           "are rolled back",
		           v.text);
	if (!variable(D, sql, "innodb_doublewrite", &v))
		doctor_say(D, "innodb_doublewrite", DOCTOR_SKIPPED, "", "this database has no such setting");
	else if (strcmp(v.text, "OFF") == 0)
		doctor_say(D, "innodb_doublewrite", DOCTOR_WARNING,
		           "set innodb_doublewrite = ON unless the disk writes 16 KiB atomically",
		           "OFF: a page torn by a power failure cannot be repaired");
	else
		doctor_say(D, "innodb_doublewrite", DOCTOR_OK, "", "%s", v.text);
}

/* octroi sets the strict mode and the isolation for its own sessions; a proxy between may undo both. */
static void check_session(struct doctor *D, struct buf *sql)
{
	struct value v;

	if (variable(D, sql, "sql_mode", &v) && strstr(v.text, "STRICT_ALL_TABLES") != NULL)
		doctor_say(D, "strict mode", DOCTOR_OK, "", "on");
	else
		doctor_say(D, "strict mode", DOCTOR_PROBLEM, "connect without a proxy that resets the session",
		           "off in octroi's own session");
	if (!variable(D, sql, "tx_isolation", &v) && !variable(D, sql, "transaction_isolation", &v))
		doctor_say(D, "isolation", DOCTOR_SKIPPED, "", "this database has no such setting");
	else if (strcmp(v.text, "READ-COMMITTED") == 0)
		doctor_say(D, "isolation", DOCTOR_OK, "", "READ-COMMITTED");
	else
		doctor_say(D, "isolation", DOCTOR_PROBLEM, "connect without a proxy that resets the session",
		           "%s in octroi's own session", v.text);
}

static void check_connections(struct doctor *D, struct buf *sql)
{
	const int64_t needed = config_connections(D->ctl->config) + CONNECTIONS_BESIDE;
	struct value all, mine;
	int64_t most;

	if (!variable(D, sql, "max_connections", &all) || !variable(D, sql, "max_user_connections", &mine)) {
		doctor_say(D, "connections", DOCTOR_SKIPPED, "", "this database does not say how many it allows");
		return;
	}
	most = number(&all);
	if (number(&mine) > 0 && number(&mine) < most)
		most = number(&mine);
	if (most < needed)
		doctor_say(D, "connections", DOCTOR_PROBLEM, "lower db_connections or have the limit raised",
		           "octroi may need %lld, the database allows %lld", (long long)needed, (long long)most);
	else
		doctor_say(D, "connections", DOCTOR_OK, "", "%lld are needed, %lld allowed", (long long)needed,
		           (long long)most);
}

static void check_packet(struct doctor *D, struct buf *sql)
{
	struct value v;

	if (!variable(D, sql, "max_allowed_packet", &v))
		doctor_say(D, "max_allowed_packet", DOCTOR_SKIPPED, "", "this database has no such setting");
	else if (number(&v) < PACKET_MIN)
		doctor_say(D, "max_allowed_packet", DOCTOR_WARNING, "set max_allowed_packet = 16M, or lower batch_max",
		           "%s: a large batch may not fit", v.text);
	else
		doctor_say(D, "max_allowed_packet", DOCTOR_OK, "", "%s", v.text);
}

/* Without a password MariaDB has to know the user by the name of the system's: else everybody is let in. */
static void check_login(struct doctor *D, struct buf *sql)
{
	struct value v;

	if (D->ctl->config->db_password[0] != '\0') {
		doctor_say(D, "database login", DOCTOR_OK, "", "with a password");
		return;
	}
	sql_literal(sql, "SHOW CREATE USER");
	if (!ask_database(D, sql, &v))
		doctor_say(D, "database login", DOCTOR_SKIPPED, "", "this database does not show how a user logs in");
	else if (strstr(v.text, " IDENTIFIED ") != NULL)
		doctor_say(D, "database login", DOCTOR_OK, "", "without a password, by the system's user");
	else
		doctor_say(D, "database login", DOCTOR_PROBLEM,
		           "as the database's administrator: ALTER USER … IDENTIFIED VIA unix_socket, or BY a password "
		           "and db_password_file",
		           "the database user has no password: whoever reaches the database is octroi");
}

/* ---- rights ---------------------------------------------------------------------------------- */

/* Checks rights by which this user could change the journal or the usages, granted globally, on the database or on
 * one of the tables. */
static void check_rights(struct doctor *D, struct buf *sql)
{
	struct value v, role;

	sql_literal(sql, "SELECT CURRENT_ROLE()");
	if (ask_database(D, sql, &role) && role.text[0] != '\0' && strcmp(role.text, "NONE") != 0) {
		doctor_say(D, "journal rights", DOCTOR_WARNING,
		           "grant rights to the user itself (octroictl init --grants)",
		           "the database user has role %s, whose rights are not looked at", role.text);
		return;
	}
	sql_literal(sql, "SELECT GROUP_CONCAT(DISTINCT privilege_type ORDER BY privilege_type SEPARATOR ', "
	                 "') FROM ("
	                 "SELECT grantee, privilege_type FROM information_schema.user_privileges"
	                 " UNION ALL SELECT grantee, privilege_type FROM "
	                 "information_schema.schema_privileges"
	                 " WHERE DATABASE() LIKE table_schema"
	                 " UNION ALL SELECT grantee, privilege_type FROM information_schema.table_privileges"
	                 " WHERE table_schema = DATABASE() AND table_name IN ('entries', 'transactions', 'usages')) p"
	                 " WHERE privilege_type IN ('UPDATE', 'DELETE', 'DROP', 'ALTER', 'TRIGGER', 'SUPER')"
	                 " AND grantee = CONCAT('''', LEFT(CURRENT_USER(), CHAR_LENGTH(CURRENT_USER()) - 1"
	                 " - CHAR_LENGTH(SUBSTRING_INDEX(CURRENT_USER(), '@', -1))), '''@''',"
	                 " SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '''')");
	if (!ask_database(D, sql, &v))
		doctor_say(D, "journal rights", DOCTOR_SKIPPED, "", "this database does not show a user's rights");
	else if (v.text[0] != '\0')
		doctor_say(D, "journal rights", DOCTOR_PROBLEM,
		           "revoke them and run octroictl init --admin-user ADMIN --grants (shared "
		           "hosting: not possible; "
		           "keep the head that octroictl audit prints elsewhere)",
		           "the database user may change the journal, or who used what: %s", v.text);
	else
		doctor_say(D, "journal rights", DOCTOR_OK, "",
		           "the database user can add to the journal, not change it");
}

/* ---- tables, clock, prices ------------------------------------------------------------------- */

static bool check_schema(struct doctor *D)
{
	const int version = schema_version(ctl_db(D->ctl));

	if (version == SCHEMA_VERSION) {
		doctor_say(D, "schema version", DOCTOR_OK, "", "%d", version);
		return true;
	}
	if (version < 0)
		doctor_say(D, "schema version", DOCTOR_PROBLEM, "see the rights of the database user",
		           "cannot be read: %s", db_error(ctl_db(D->ctl)));
	else
		doctor_say(D, "schema version", DOCTOR_PROBLEM,
		           version < SCHEMA_VERSION ? "run octroictl init"
		                                    : "install the octroi that made these tables",
		           "%d, but this octroi works with %d", version, SCHEMA_VERSION);
	return false;
}

static void check_database_clock(struct doctor *D, struct buf *sql)
{
	const int64_t before = clock_wall_us();
	struct value v;
	int64_t after, skew = 0;

	sql_literal(sql, "SELECT " SQL_NOW_US);
	if (!ask_database(D, sql, &v)) {
		doctor_say(D, "database clock", DOCTOR_SKIPPED, "", "the database does not tell the time");
		return;
	}
	after = clock_wall_us();
	/* The database read its clock between before and after: only time outside is skew. */
	if (number(&v) < before)
		skew = before - number(&v);
	if (number(&v) > after)
		skew = number(&v) - after;
	doctor_say(D, "database clock",
	           skew > SKEW_PROBLEM_US   ? DOCTOR_PROBLEM
	           : skew > SKEW_WARNING_US ? DOCTOR_WARNING
	                                    : DOCTOR_OK,
	           skew > SKEW_WARNING_US ? "synchronise the clocks of both machines (chrony, systemd-timesyncd)" : "",
	           "%lld ms from this machine's", (long long)(skew / CLOCK_US_PER_MS));
}

struct terms_check {
	const struct price_terms *wanted;
	int64_t prices, others;
};

static int visit_price(void *context, const struct price *p)
{
	struct terms_check *t = context;

	t->prices++;
	t->others += p->terms.margin_ppm != t->wanted->margin_ppm || p->terms.rate_ppm != t->wanted->rate_ppm ||
	             p->terms.credit_value_ppm != t->wanted->credit_value_ppm;
	return 0;
}

static void check_prices(struct doctor *D)
{
	const struct price_terms wanted = options_prices(D->ctl->config);
	struct terms_check t = {.wanted = &wanted};
	struct book *book = book_load(ctl_db(D->ctl));

	if (book == NULL) {
		doctor_say(D, "prices", DOCTOR_PROBLEM, "see the message", "%s", db_error(ctl_db(D->ctl)));
		return;
	}
	(void)book_each(book, clock_wall_us(), visit_price, &t);
	book_release(book);
	if (t.prices == 0) {
		doctor_say(D, "prices", DOCTOR_PROBLEM, "octroictl price import FILE",
		           "there are none: every model is refused");
		return;
	}
	doctor_say(D, "prices", DOCTOR_OK, "", "%lld in force", (long long)t.prices);
	if (t.others > 0)
		doctor_say(D, "price terms", DOCTOR_WARNING, "run octroictl init to store the configured terms",
		           "%lld prices have another margin, exchange_rate or credit_value than "
		           "octroi.conf",
		           (long long)t.others);
	else
		doctor_say(D, "price terms", DOCTOR_OK, "", "as configured");
}

void doctor_database(struct doctor *D)
{
	struct value version;
	struct buf sql;

	buf_init(&sql, 8192);
	sql_literal(&sql, "SELECT VERSION()");
	if (!ask_database(D, &sql, &version)) {
		doctor_say(D, "database", DOCTOR_PROBLEM, "see db_socket, db_host, db_user, db_password and db_name",
		           "%s", db_error(ctl_db(D->ctl)));
		buf_free(&sql);
		return;
	}
	doctor_say(D, "database", DOCTOR_OK, "", "%s", version.text);
	check_database_clock(D, &sql);
	check_durability(D, &sql);
	check_session(D, &sql);
	check_connections(D, &sql);
	check_packet(D, &sql);
	check_login(D, &sql);
	check_rights(D, &sql);
	D->tables = check_schema(D);
	if (D->tables) {
		check_prices(D);
		doctor_money(D);
	}
	buf_free(&sql);
}
