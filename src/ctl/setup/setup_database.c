#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/system_user.h"
#include "ctl/setup/setup.h"
#include "ctl/setup/setup_file.h"
#include "db/sql.h"

#define NAME_BYTES_MAX 80 /* MariaDB takes names of users up to here */
#define SQL_MAX 65536
#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

/* Names that grants.sql takes as they are. */
static bool plain(const char *name, const char *letters)
{
	const size_t length = strlen(name);

	return length > 0 && length <= NAME_BYTES_MAX && strspn(name, letters) == length;
}

/* ---- the database's own user ------------------------------------------------------------------- */

/* Logs in as the administrator, to no database: octroi's may be missing. */
static int log_in_as_admin(struct setup *S)
{
	struct db_options options = ctl_login_as(S->ctl, setup_admin_user(S));

	ctl_close(S->ctl);
	options.name = "";
	S->ctl->db = ctl_must(db_new(&options));
	return CTL_OK;
}

/* Makes the password of the database's user, unless there is one. */
static int make_password(struct setup *S)
{
	struct buf before, text;
	int result = CTL_FAILED;

	buf_init(&before, SETUP_FILE_MAX);
	buf_init(&text, SETUP_FILE_MAX);
	if (setup_file_read(S->conf, &before) == CTL_OK) {
		buf_add_text(&text, buf_text(&before));
		if (setup_configuration_secret(S, &text, "db_password") == CTL_OK &&
		    setup_configuration_store(S, &before, &text) == CTL_OK)
			result = log_in_as_admin(S);
	}
	buf_free(&before);
	buf_free(&text);
	return result;
}

/* The user logs in by the name of the system's user; without one, or from elsewhere, by a password in a file. */
static int add_user(struct setup *S)
{
	const bool named =
		S->config.db_password[0] == '\0' && setup_by_socket(S) && system_user_exists(S->config.db_user);
	struct buf sql;
	int result = CTL_OK;

	if (!named && S->config.db_password[0] == '\0' && make_password(S) != CTL_OK)
		return CTL_FAILED;
	setup_say(S, SETUP_MADE, "database user '%s'@'%s', who logs in %s", S->config.db_user, setup_grant_host(S),
	          named ? "as the system's user of that name" : "with the password in db_password_file");
	if (S->dry_run)
		return CTL_OK;
	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "EXECUTE IMMEDIATE CONCAT('CREATE USER ', QUOTE(");
	sql_text(&sql, S->config.db_user);
	sql_literal(&sql, "), '@', QUOTE(");
	sql_text(&sql, setup_grant_host(S));
	sql_literal(&sql, "), ' IDENTIFIED ', ");
	if (named) {
		sql_literal(&sql, "'VIA unix_socket'");
	} else {
		sql_literal(&sql, "'BY ', QUOTE(");
		sql_text(&sql, S->config.db_password);
		sql_literal(&sql, ")");
	}
	sql_literal(&sql, ")");
	result = ctl_rows(S->ctl, &sql, NULL, NULL);
	buf_free(&sql);
	return result;
}

static int make_user(struct setup *S)
{
	struct buf sql;
	int64_t there;
	int result;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT COUNT(*) FROM mysql.user WHERE User = ");
	sql_text(&sql, S->config.db_user);
	sql_literal(&sql, " AND Host = ");
	sql_text(&sql, setup_grant_host(S));
	result = setup_count(S, &sql, &there);
	buf_free(&sql);
	if (result != CTL_OK || there == 0)
		return result == CTL_OK ? add_user(S) : result;
	setup_say(S, SETUP_KEPT, "database user '%s'@'%s'", S->config.db_user, setup_grant_host(S));
	return CTL_OK;
}

static int make_database(struct setup *S)
{
	const char *name = S->config.db_name;
	struct buf sql;
	int64_t there;
	int result;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ");
	sql_text(&sql, name);
	result = setup_count(S, &sql, &there);
	if (result == CTL_OK) {
		setup_say(S, there > 0 ? SETUP_KEPT : SETUP_MADE, "database %s", name);
		buf_reset(&sql);
		sql_literal(&sql, "EXECUTE IMMEDIATE CONCAT('CREATE DATABASE IF NOT EXISTS `', ");
		sql_text(&sql, name);
		sql_literal(&sql, ", '`')");
		if (there == 0 && !S->dry_run)
			result = ctl_rows(S->ctl, &sql, NULL, NULL);
		S->has_tables = there > 0;
	}
	buf_free(&sql);
	return result;
}

int setup_database(struct setup *S)
{
	if (!plain(S->config.db_name, NAME_LETTERS) || !plain(S->config.db_user, NAME_LETTERS) ||
	    !plain(setup_grant_host(S), NAME_LETTERS ".%:-"))
		return ctl_fail("the names of the database, its user or its host are too unusual for setup; "
		                "docs/install.md has the commands");
	if (log_in_as_admin(S) != CTL_OK)
		return CTL_FAILED;
	if (make_database(S) == CTL_OK)
		return make_user(S);
	return ctl_fail("setup logs in to MariaDB as '%s' (--admin-user; password in OCTROI_DB_ADMIN_PASSWORD): is it "
	                "installed and running, and is this root?",
	                setup_admin_user(S));
}
