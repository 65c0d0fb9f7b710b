#include "ctl/ctl.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/money.h"
#include "base/zone.h"
#include "db/hosts.h"
#include "db/sql.h"
#include "options.h"
#include "routes/router.h"

#define PATIENCE_MS INT64_C(3600000)
#define MESSAGE_MAX 2048

static bool errors_as_json;

void ctl_errors_as_json(void)
{
	errors_as_json = true;
}

static void complain_usage(const char *error, const char *format, va_list arguments)
{
	char message[MESSAGE_MAX];
	struct json_writer w;
	struct buf out;

	(void)fflush(stdout);
	(void)vsnprintf(message, sizeof(message), format, arguments);
	if (!errors_as_json) {
		(void)fprintf(stderr, "octroictl: %s\n", message);
		return;
	}
	buf_init(&out, sizeof(message) * 8);
	json_writer_init(&w, &out);
	json_open_record(&w, NULL);
	json_put_text(&w, "error", error);
	json_put_text(&w, "message", message);
	json_close_record(&w);
	(void)fprintf(stderr, "%s\n", buf_text(&out));
	buf_free(&out);
}

int ctl_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain_usage("FAILED", format, arguments);
	va_end(arguments);
	return CTL_FAILED;
}

void *ctl_must(void *memory)
{
	if (memory != NULL)
		return memory;
	(void)ctl_fail("out of memory");
	exit(CTL_FAILED);
}

int ctl_wrong(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain_usage(outcome_name(OUTCOME_INVALID_REQUEST), format, arguments);
	va_end(arguments);
	return CTL_FAILED;
}

int ctl_refuse(enum outcome outcome, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain_usage(outcome_name(outcome), format, arguments);
	va_end(arguments);
	return outcome == OUTCOME_INVALID_REQUEST || outcome == OUTCOME_UNAVAILABLE ? CTL_FAILED : CTL_NO;
}

int ctl_read(const char *path, struct buf *content)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
	char chunk[65536];
	size_t got;
	bool failed;

	if (f == NULL)
		return ctl_fail("%s: %s", path, strerror(errno));
	for (got = fread(chunk, 1, sizeof(chunk), f); got > 0; got = fread(chunk, 1, sizeof(chunk), f))
		buf_add(content, chunk, got);
	failed = ferror(f) != 0;
	if (f != stdin)
		(void)fclose(f);
	if (failed || !buf_ok(content))
		return ctl_fail("%s: %s", path, failed ? "cannot be read" : "is too large");
	return CTL_OK;
}

int ctl_print(const struct buf *document)
{
	if (!buf_ok(document))
		return ctl_fail("the answer is too large to print");
	(void)fwrite(buf_text(document), 1, document->length, stdout);
	(void)putchar('\n');
	return CTL_OK;
}

/* ---- arguments ------------------------------------------------------------------------------- */

/* "-5" is an amount. */
static bool is_option(const char *argument)
{
	return argument[0] == '-' && argument[1] != '\0' && !isdigit((unsigned char)argument[1]);
}

static const struct ctl_option *find_option(const struct ctl_option *options, const char *argument)
{
	size_t length = strcspn(argument, "=");

	for (; options != NULL && options->name != NULL; options++)
		if (strlen(options->name) == length && strncmp(options->name, argument, length) == 0)
			return options;
	return NULL;
}

static int set_value(const struct ctl_option *option, const char *value)
{
	if (option->value != NULL) {
		*option->value = value;
		return CTL_OK;
	}
	if (option->list->count == CTL_LIST_MAX)
		return ctl_fail("%s can be given %d times", option->name, CTL_LIST_MAX);
	option->list->item[option->list->count++] = value;
	return CTL_OK;
}

/* Takes the option at argv[*at], moving *at over its argument when it has one. */
static int take_option(struct ctl *c, const struct ctl_option *option, int *at)
{
	const char *equals = strchr(c->argv[*at], '=');

	if (option->flag != NULL) {
		if (equals != NULL)
			return ctl_fail("%s takes no argument", option->name);
		*option->flag = true;
		return CTL_OK;
	}
	if (equals != NULL)
		return set_value(option, equals + 1);
	if (*at + 1 >= c->argc)
		return ctl_fail("%s needs an argument", option->name);
	return set_value(option, c->argv[++*at]);
}

bool ctl_format(struct ctl *c, const char *argument)
{
	if (strcmp(argument, "--json") != 0 && strcmp(argument, "--csv") != 0)
		return false;
	if (argument[2] == 'j')
		c->json = true;
	else
		c->csv = true;
	return true;
}

int ctl_arguments(struct ctl *c, const struct ctl_option *options, const char **operands, int min, int max)
{
	bool only_operands = false;
	int count = 0;

	for (int i = 0; i < c->argc; i++) {
		const char *argument = c->argv[i];
		const struct ctl_option *option;

		if (only_operands || !is_option(argument)) {
			if (count == max) {
				(void)ctl_wrong("%s: '%s' is one argument too many", c->command, argument);
				return -1;
			}
			operands[count++] = argument;
			continue;
		}
		if (strcmp(argument, "--") == 0) {
			only_operands = true;
			continue;
		}
		if (ctl_format(c, argument))
			continue;
		option = find_option(options, argument);
		if (option == NULL) {
			(void)ctl_wrong("%s has no option %s", c->command, argument);
			return -1;
		}
		if (take_option(c, option, &i) != CTL_OK)
			return -1;
	}
	if (count < min) {
		(void)ctl_wrong("%s: an argument is missing (see octroictl --help)", c->command);
		return -1;
	}
	if (c->csv && (c->json || strstr(c->synopsis, "[--csv]") == NULL)) {
		(void)ctl_wrong(c->json ? "%s: --json or --csv, not both" : "%s has no option --csv", c->command);
		return -1;
	}
	return count;
}

int ctl_integer(const char *text, const char *what, int64_t low, int64_t high, int64_t *value)
{
	char *end;
	long long number;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || isspace((unsigned char)*text) || number < low ||
	    number > high) {
		(void)ctl_wrong("%s must be an integer from %lld to %lld, not '%s'", what, (long long)low,
		                (long long)high, text);
		return -1;
	}
	*value = number;
	return 0;
}

int ctl_decimal(const char *text, const char *what, int64_t low, int64_t high, int64_t *value)
{
	char lowest[MONEY_TEXT_MAX], highest[MONEY_TEXT_MAX];
	int64_t number;

	if (decimal_parse(text, strlen(text), 6, false, &number) != 0 || number < low || number > high) {
		(void)decimal_format(low, 6, 0, lowest);
		(void)decimal_format(high, 6, 0, highest);
		(void)ctl_wrong("%s must be a decimal from %s to %s with at most 6 places, not '%s'", what, lowest,
		                highest, text);
		return -1;
	}
	*value = number;
	return 0;
}

/* ---- database -------------------------------------------------------------------------------- */

struct db_options ctl_login(const struct ctl *c)
{
	struct db_options options = options_database(c->config);

	options.as_system_user = true;
	options.untaken = true;
	hosts_find(&options);
	return options;
}

static struct db *connection(struct ctl *c, int64_t timeout_ms)
{
	struct db_options options = ctl_login(c);

	if (c->db == NULL) {
		if (timeout_ms > options.timeout_ms)
			options.timeout_ms = timeout_ms;
		c->db = ctl_must(db_new(&options));
	}
	return c->db;
}

struct db_options ctl_login_as(const struct ctl *c, const char *admin)
{
	const char *password = getenv("OCTROI_DB_ADMIN_PASSWORD");
	struct db_options options = options_database(c->config);

	options.user = admin;
	options.password = password != NULL ? password : "";
	options.untaken = true;
	hosts_find(&options);
	return options;
}

struct db *ctl_db(struct ctl *c)
{
	return connection(c, 0);
}

struct db *ctl_db_patient(struct ctl *c)
{
	return connection(c, PATIENCE_MS);
}

struct ledger *ctl_ledger(struct ctl *c)
{
	const struct config *config = c->config;
	const struct db_options options = ctl_login(c);
	struct ledger_options ledger;

	if (c->ledger != NULL)
		return c->ledger;
	if (zone_find(config->time_zone) == NULL) {
		(void)ctl_fail("this machine does not know the time_zone %s", config->time_zone);
		exit(CTL_FAILED);
	}
	c->pool = ctl_must(pool_new(&options, 1));
	ledger = options_ledger(config, c->pool);
	c->ledger = ctl_must(ledger_new(&ledger));
	return c->ledger;
}

void ctl_close(struct ctl *c)
{
	router_free(c->router);
	if (c->readers != NULL)
		pool_free(c->readers);
	ledger_free(c->ledger);
	if (c->pool != NULL)
		pool_free(c->pool);
	db_free(c->db);
	hosts_close();
	c->router = NULL;
	c->readers = NULL;
	c->ledger = NULL;
	c->pool = NULL;
	c->db = NULL;
}

int ctl_db_failed(struct ctl *c)
{
	return ctl_refuse(OUTCOME_UNAVAILABLE, "database: %s", db_error(ctl_db(c)));
}

struct taking {
	int (*take)(void *context, const struct db_row *row);
	void *context;
	int result;
};

static int take_until_refused(void *context, const struct db_row *row)
{
	struct taking *t = context;

	t->result = t->take(t->context, row);
	return t->result == CTL_OK ? 0 : -1;
}

int ctl_rows(struct ctl *c, const struct buf *sql, int (*take)(void *context, const struct db_row *row), void *context)
{
	struct taking t = {take, context, CTL_OK};

	if (!buf_ok(sql))
		return ctl_fail("out of memory");
	if ((take != NULL ? db_read(ctl_db(c), sql, take_until_refused, &t) : db_change(ctl_db(c), sql)) < 0 &&
	    t.result == CTL_OK)
		return ctl_db_failed(c);
	return t.result;
}

int ctl_now(struct ctl *c, int64_t *now_us)
{
	struct buf sql;
	int result;

	buf_init(&sql, 256);
	sql_literal(&sql, "SELECT " SQL_NOW_US);
	result = db_read_int(ctl_db(c), &sql, now_us) == 0 ? CTL_OK : ctl_db_failed(c);
	buf_free(&sql);
	return result;
}
