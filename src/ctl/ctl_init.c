#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "ctl/plans.h"
#include "db/schema.h"
#include "db/sql.h"
#include "options.h"
#include "prices/pricestore.h"

#define GRANTS_MAX 65536
#define PATH_BYTES_MAX 4096
#define NAME_MAX_BYTES 80
#define PATIENCE_MS INT64_C(3600000) /* altering a large table may take long */

/* The sample names in sql/grants.sql, which fill_in replaces by the site's own. */
#define SAMPLE_DATABASE " ON octroi."
#define SAMPLE_USER "'octroi'@'localhost'"

struct init {
	const char *directory, *admin, *host;
	bool grants, print_grants;
};

/* ---- grants ---------------------------------------------------------------------------------- */

/* True for names that need no quoting; a person has to write grants with any other name. */
static bool plain(const char *name)
{
	const size_t length = strlen(name);

	return length > 0 && length <= NAME_MAX_BYTES &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.%:-") == length;
}

/* Puts the site's database for "octroi."; escapes _ and %, which are wildcards in a grant on all tables. */
static void put_database(struct buf *out, const char *name, bool all_tables)
{
	buf_add_text(out, " ON `");
	for (; *name != '\0'; name++) {
		if (all_tables && (*name == '_' || *name == '%'))
			buf_add_char(out, '\\');
		buf_add_char(out, *name);
	}
	buf_add_text(out, "`.");
}

/* Copies the statements of grants.sql, with the names of this site. */
static void fill_in_user(struct buf *out, const char *text, const struct config *config, const char *host)
{
	while (*text != '\0') {
		if (strncmp(text, SAMPLE_DATABASE, strlen(SAMPLE_DATABASE)) == 0) {
			text += strlen(SAMPLE_DATABASE);
			put_database(out, config->db_name, *text == '*');
		} else if (strncmp(text, SAMPLE_USER, strlen(SAMPLE_USER)) == 0) {
			text += strlen(SAMPLE_USER);
			buf_printf(out, "'%s'@'%s'", config->db_user, host);
		} else {
			buf_add_char(out, *text++);
		}
	}
}

static int read_rights(const struct ctl *c, const struct init *init, struct buf *out)
{
	char path[PATH_BYTES_MAX];
	struct buf text;
	int result;

	if (!plain(c->config->db_name) || !plain(c->config->db_user) || !plain(init->host))
		return ctl_fail("the names of the database, its user or its host are too unusual "
		                "to be filled in; "
		                "edit a copy of grants.sql");
	if (snprintf(path, sizeof(path), "%s/grants.sql", init->directory) >= (int)sizeof(path))
		return ctl_fail("the path is too long");
	buf_init(&text, GRANTS_MAX);
	result = ctl_read(path, &text);
	if (result == CTL_OK)
		fill_in_user(out, buf_text(&text), c->config, init->host);
	buf_free(&text);
	return result == CTL_OK && !buf_ok(out) ? ctl_fail("%s is too large", path) : result;
}

static int print_grants(const struct ctl *c, const struct init *init)
{
	struct buf out;
	int result;

	buf_init(&out, GRANTS_MAX);
	result = read_rights(c, init, &out);
	if (result == CTL_OK)
		(void)fputs(buf_text(&out), stdout);
	buf_free(&out);
	return result;
}

/* Grants only to a user that exists: GRANT would make a missing user, without a password. */
static int apply_grants(struct ctl *c, const struct init *init)
{
	struct buf sql, grants;
	int result;

	buf_init(&sql, 1024);
	buf_init(&grants, GRANTS_MAX);
	result = read_rights(c, init, &grants);
	if (result == CTL_OK) {
		buf_printf(&sql, "SHOW GRANTS FOR '%s'@'%s'", c->config->db_user, init->host);
		result = ctl_rows(c, &sql, NULL, NULL);
		if (result != CTL_OK)
			(void)ctl_fail("is there a database user '%s'@'%s'? (see --grant-host)", c->config->db_user,
			               init->host);
	}
	if (result == CTL_OK)
		result = ctl_rows(c, &grants, NULL, NULL);
	buf_free(&sql);
	buf_free(&grants);
	return result;
}

/* ---- tables and terms ------------------------------------------------------------------------ */

/* Connects as another user, for this command only.  Its password never comes from the command line. */
static void connect_as(struct ctl *c, const char *admin)
{
	struct db_options options = ctl_login_as(c, admin);

	if (options.timeout_ms < PATIENCE_MS)
		options.timeout_ms = PATIENCE_MS;
	c->db = ctl_must(db_new(&options));
}

static int migrate(struct ctl *c, const struct init *init, int *before, int *after)
{
	struct db *d = ctl_db_patient(c);

	*before = schema_version(d);
	if (*before < 0)
		return ctl_db_failed(c);
	if (*before > SCHEMA_VERSION)
		return ctl_fail("the database has schema version %d, this octroictl knows %d: it "
		                "is of an older octroi",
		                *before, SCHEMA_VERSION);
	*after = schema_apply(d, init->directory);
	if (*after < 0)
		return ctl_fail("the tables could not be made or upgraded; it can be repeated");
	if (*after < SCHEMA_VERSION)
		return ctl_fail("%s holds no files up to version %d (see --sql)", init->directory, SCHEMA_VERSION);
	return CTL_OK;
}

static int reprice(struct ctl *c, struct pricestore_report *report, bool *stored)
{
	const struct price_terms terms = options_prices(c->config);

	switch (pricestore_reprice(ctl_db(c), &terms, report)) {
	case PRICESTORE_STORED:
		*stored = true;
		return CTL_OK;
	case PRICESTORE_UNCHANGED:
		*stored = false;
		return CTL_OK;
	case PRICESTORE_PAST:
	case PRICESTORE_FAULT:
		break;
	}
	return ctl_fail("the price terms could not be stored; it can be repeated");
}

/* Stores the plans of plans.json, unless there are plans already. */
static int first_plans(struct ctl *c, const struct init *init, int64_t *stored)
{
	struct pricestore_report report = {0};
	char path[PATH_BYTES_MAX];

	if (snprintf(path, sizeof(path), "%s/plans.json", init->directory) >= (int)sizeof(path))
		return ctl_fail("the path is too long");
	if (plans_import(c, ctl_db(c), path, true, &report) != CTL_OK)
		return CTL_FAILED;
	*stored = report.stored;
	return CTL_OK;
}

static int run_statements(struct ctl *c, const struct init *init)
{
	struct pricestore_report report = {0};
	int64_t plans = 0;
	bool repriced = false;
	int before = 0, after = 0;
	struct listing *l;

	if (init->admin != NULL)
		connect_as(c, init->admin);
	if (migrate(c, init, &before, &after) != CTL_OK || reprice(c, &report, &repriced) != CTL_OK ||
	    first_plans(c, init, &plans) != CTL_OK || (init->grants && apply_grants(c, init) != CTL_OK))
		return CTL_FAILED;
	l = listing_new("init");
	listing_row(l);
	listing_int(l, "schemaVersionBefore", "schema version before", before);
	listing_int(l, "schemaVersion", "schema version", after);
	listing_text(l, "terms", "price terms", repriced ? "stored as a new price version" : "unchanged");
	listing_int(l, "plans", "plans stored", plans);
	listing_text(l, "grants", "rights of the database user", init->grants ? "granted" : "left alone");
	listing_print_single(l, c->json);
	listing_free(l);
	return CTL_OK;
}

int ctl_init(struct ctl *c)
{
	const char *environment = getenv("OCTROI_SQL_DIR");
	struct init init = {.directory = environment != NULL ? environment : OCTROI_SQL_DIR, .host = "localhost"};
	const struct ctl_option options[] = {
		{.name = "--sql", .value = &init.directory},
		{.name = "--admin-user", .value = &init.admin},
		{.name = "--grant-host", .value = &init.host},
		{.name = "--grants", .flag = &init.grants},
		{.name = "--print-grants", .flag = &init.print_grants},
		{0},
	};

	if (ctl_arguments(c, options, NULL, 0, 0) < 0)
		return CTL_FAILED;
	return init.print_grants ? print_grants(c, &init) : run_statements(c, &init);
}
