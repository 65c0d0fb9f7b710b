#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/client_program.h"
#include "ctl/ctl.h"
#include "ctl/program.h"
#include "db/schema.h"
#include "db/sql.h"

#define PATH_BYTES_MAX 4096
#define HEADS_SUFFIX ".heads"
/* mariadb-dump writes it last, and only then (--dump-date, --comments). */
#define LAST_LINE "\n-- Dump completed"
#define TAIL_BYTES 256

static int take_count(void *context, const struct db_row *row)
{
	*(int64_t *)context = db_int(row, 0);
	return CTL_OK;
}

/* Opens a dump that was written to its end; -1, explained. */
static int open_whole(const char *path)
{
	char tail[TAIL_BYTES + 1] = "";
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t size;
	ssize_t got;

	if (fd < 0) {
		(void)ctl_fail("%s: %s", path, strerror(errno));
		return -1;
	}
	size = lseek(fd, 0, SEEK_END);
	got = pread(fd, tail, TAIL_BYTES, size > TAIL_BYTES ? size - TAIL_BYTES : 0);
	if (size > 0 && got > 0 && strstr(tail, LAST_LINE) != NULL && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	(void)close(fd);
	(void)ctl_fail("%s is no whole dump: its last line is missing", path);
	return -1;
}

/* A database with tables is left alone: nothing is overwritten. */
static int refuse_tables(struct ctl *c)
{
	int64_t tables = 0;
	struct buf sql;
	int result;

	buf_init(&sql, 1024);
	sql_literal(&sql, "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = ");
	sql_text(&sql, c->config->db_name);
	result = ctl_rows(c, &sql, take_count, &tables);
	buf_free(&sql);
	if (result == CTL_OK && tables > 0)
		return ctl_wrong("the database %s has %lld tables: restore fills an empty one", c->config->db_name,
		                 (long long)tables);
	return result;
}

static int load(struct ctl *c, const struct db_options *login, int fd)
{
	const char *const arguments[] = {"--default-character-set=utf8mb4", "--batch", "--", c->config->db_name, NULL};

	return client_program_run(login, "mariadb", "mysql", arguments, fd, PROGRAM_NOTHING);
}

/* Audits what was loaded, and compares it with the heads of the backup if they are there. */
static int audit_loaded(struct ctl *c, const char *path)
{
	char heads[PATH_BYTES_MAX], *arguments[] = {(char[]){"--against"}, heads};
	const int version = schema_version(ctl_db(c));
	bool there;

	if (version < 0)
		return ctl_db_failed(c);
	if (version != SCHEMA_VERSION) {
		(void)printf(
			"the dump has schema version %d, this octroictl knows %d: octroictl init --admin-user USER "
			"--grants, then octroictl audit\n",
			version, SCHEMA_VERSION);
		return version > SCHEMA_VERSION ? CTL_FAILED : CTL_OK;
	}
	there = snprintf(heads, sizeof(heads), "%s%s", path, HEADS_SUFFIX) < (int)sizeof(heads) &&
	        access(heads, R_OK) == 0;
	if (!there && !c->json)
		(void)printf("%s%s is not there: the audit compares with no heads\n", path, HEADS_SUFFIX);
	c->argc = there ? 2 : 0;
	c->argv = arguments;
	return ctl_audit(c);
}

int ctl_restore(struct ctl *c)
{
	const char *admin = "root", *path;
	const struct ctl_option options[] = {{.name = "--admin-user", .value = &admin}, {0}};
	struct db_options login;
	int result = CTL_FAILED;
	int fd;

	if (ctl_arguments(c, options, &path, 1, 1) < 0)
		return CTL_FAILED;
	fd = open_whole(path);
	if (fd < 0)
		return CTL_FAILED;
	login = ctl_login_as(c, admin);
	c->db = ctl_must(db_new(&login));
	if (refuse_tables(c) == CTL_OK)
		result = load(c, &login, fd);
	(void)close(fd);
	return result == CTL_OK ? audit_loaded(c, path) : result;
}
