#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/client_program.h"
#include "ctl/ctl.h"
#include "ctl/program.h"
#include "db/schema.h"

#define PATH_BYTES_MAX 4096
#define FILE_SUFFIX_MAX 16

/* The heads of the journal lie beside the dump, under its name and this. */
#define HEADS_SUFFIX ".heads"

static int name_with(const char *path, const char *suffix, char name[PATH_BYTES_MAX])
{
	if (snprintf(name, PATH_BYTES_MAX, "%s%s", path, suffix) >= PATH_BYTES_MAX - FILE_SUFFIX_MAX)
		return ctl_fail("%s: the path is too long", path);
	return CTL_OK;
}

/* Writes the heads before the dump is begun: each is in the dump's chains, which only grow.  A ledger of another
 * version, which is about to be upgraded, has no audit here. */
static int audit_heads_into(struct ctl *c, char *heads, bool *kept)
{
	const int version = schema_version(ctl_db_patient(c));
	char *arguments[] = {(char[]){"--heads"}, heads};
	const int argc = c->argc;
	char **argv = c->argv;
	int result;

	if (version < 0)
		return ctl_db_failed(c);
	if (version != SCHEMA_VERSION) {
		(void)fprintf(stderr, "the tables have version %d, not %d: no audit, no heads\n", version,
		              SCHEMA_VERSION);
		return CTL_OK;
	}
	c->argc = 2;
	c->argv = arguments;
	result = ctl_audit(c);
	*kept = result == CTL_OK;
	c->argc = argc;
	c->argv = argv;
	return result;
}

static int dump(struct ctl *c, const char *path)
{
	/* A consistent snapshot without a lock; octroi's user has no right to more than its tables. */
	const char *const arguments[] = {"--single-transaction",
	                                 "--skip-lock-tables",
	                                 "--skip-add-locks",
	                                 "--no-tablespaces",
	                                 "--skip-triggers",
	                                 "--hex-blob",
	                                 "--quick",
	                                 "--default-character-set=utf8mb4",
	                                 "--",
	                                 c->config->db_name,
	                                 NULL};
	const struct db_options login = ctl_login(c);
	char draft[PATH_BYTES_MAX];
	int fd, result;

	if (name_with(path, ".XXXXXX", draft) != CTL_OK)
		return CTL_FAILED;
	fd = mkstemp(draft);
	if (fd < 0)
		return ctl_fail("%s: %s", path, strerror(errno));
	result = client_program_run(&login, "mariadb-dump", "mysqldump", arguments, PROGRAM_NOTHING, fd);
	if (result == CTL_OK && (fsync(fd) != 0 || rename(draft, path) != 0))
		result = ctl_fail("%s: %s", path, strerror(errno));
	(void)close(fd);
	if (result != CTL_OK)
		(void)unlink(draft);
	return result;
}

int ctl_backup(struct ctl *c)
{
	char heads[PATH_BYTES_MAX];
	const char *path;
	bool kept = false;
	int audited;

	if (ctl_arguments(c, NULL, &path, 1, 1) < 0 || name_with(path, HEADS_SUFFIX, heads) != CTL_OK)
		return CTL_FAILED;
	if (access(path, F_OK) == 0 || access(heads, F_OK) == 0)
		return ctl_wrong("%s is there already, or its %s: a backup overwrites nothing", path, HEADS_SUFFIX);
	audited = audit_heads_into(c, heads, &kept);
	if (audited == CTL_FAILED)
		return CTL_FAILED;
	if (dump(c, path) != CTL_OK) {
		if (kept)
			(void)unlink(heads);
		return CTL_FAILED;
	}
	if (!c->json)
		(void)printf("%s has the whole database, its secrets too\n", path);
	return audited;
}
