#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/id.h"
#include "ctl/ctl.h"
#include "ctl/diagnose.h"
#include "ctl/listing.h"
#include "ctl/reads.h"
#include "ctl/target.h"
#include "db/sql.h"
#include "ledger/grant_sql.h"
#include "ledger/hold_sql.h"
#include "ledger/names.h"
#include "options.h"
#include "prices/price.h"
#include "queries/graces.h"
#include "queries/reader.h"

#define DOCUMENT_MAX ((size_t)4 << 20)
#define ARENA_MAX ((size_t)1 << 20)
#define SQL_MAX 4096
#define LIST_LIMIT 100
#define LIST_LIMIT_MAX 100000
#define SHOWN_MAX 100 /* grants and holds of account show */
#define REASON_MAX 255
#define ACTOR_MAX 128

/* ---- list ------------------------------------------------------------------------------------ */

static int take_listed_account(void *context, const struct db_row *row)
{
	struct listing *l = context;

	listing_row(l);
	listing_text(l, "account", "account", row->field[0]);
	listing_text(l, "unit", "unit", price_unit_name(db_int(row, 1)));
	listing_text(l, "mode", "mode", names_mode(db_int(row, 2)));
	listing_text(l, "status", "status", names_status(db_int(row, 3)));
	listing_text(l, "plan", "plan", row->field[8]);
	listing_amount(l, "balanceMicros", "balance", db_int(row, 4));
	listing_amount(l, "heldMicros", "held", db_int(row, 5));
	listing_int(l, "openHolds", "holds", db_int(row, 6));
	listing_time(l, "createdAt", "created", db_int(row, 7));
	return CTL_OK;
}

struct filters { /* as on the command line, NULL when not given */
	const char *match, *unit, *mode, *status, *plan, *below, *cursor, *limit;
};

static int read_named(const char *option, const char *name, int (*number)(const char *name))
{
	return name == NULL || number(name) >= 0 ? CTL_OK : ctl_wrong("%s cannot be '%s'", option, name);
}

/* Adds the conditions on a name's number. */
static void put_kinds(struct buf *sql, const struct filters *f)
{
	if (f->unit != NULL) {
		sql_literal(sql, " AND a.unit = ");
		sql_int(sql, price_unit_named(f->unit));
	}
	if (f->mode != NULL) {
		sql_literal(sql, " AND a.mode = ");
		sql_int(sql, names_to_mode(f->mode));
	}
	/* An account is suspended for one of several reasons, each a status of its own. */
	if (f->status != NULL) {
		sql_literal(sql, " AND (a.status = ");
		sql_int(sql, STATUS_ACTIVE);
		sql_literal(sql, ") = ");
		sql_int(sql, names_to_status(f->status) == STATUS_ACTIVE);
	}
}

/* Adds the conditions of the filters, in the order of the accounts' keys. */
static int put_filters(struct buf *sql, const struct filters *f)
{
	int64_t limit = LIST_LIMIT, below;

	if (read_named("--unit", f->unit, price_unit_named) != CTL_OK ||
	    read_named("--mode", f->mode, names_to_mode) != CTL_OK ||
	    read_named("--status", f->status, names_to_status) != CTL_OK ||
	    (f->below != NULL &&
	     ctl_decimal(f->below, "--below", -MONEY_AMOUNT_MAX_MICROS, MONEY_AMOUNT_MAX_MICROS, &below) != 0) ||
	    (f->limit != NULL && ctl_integer(f->limit, "--limit", 1, LIST_LIMIT_MAX, &limit) != 0) ||
	    (f->cursor != NULL && target_check_id("an account's", f->cursor) != CTL_OK))
		return CTL_FAILED;
	put_kinds(sql, f);
	if (f->below != NULL) {
		sql_literal(sql, " AND a.balance_micros < ");
		sql_int(sql, below);
	}
	if (f->match != NULL) {
		sql_literal(sql, " AND LOCATE(");
		sql_text(sql, f->match);
		sql_literal(sql, ", a.external_id) > 0");
	}
	if (f->plan != NULL) {
		sql_literal(sql, " AND COALESCE(w.plan, '') = ");
		sql_text(sql, f->plan);
	}
	if (f->cursor != NULL) {
		const struct account_key key = id_account_key(f->cursor, strlen(f->cursor));

		sql_literal(sql, " AND a.id > ");
		sql_bytes(sql, key.bytes, sizeof(key.bytes));
	}
	sql_literal(sql, " ORDER BY a.id LIMIT ");
	sql_int(sql, limit);
	return CTL_OK;
}

int ctl_account_list(struct ctl *c)
{
	struct filters f = {0};
	const struct ctl_option options[] = {{.name = "--match", .value = &f.match},
	                                     {.name = "--unit", .value = &f.unit},
	                                     {.name = "--mode", .value = &f.mode},
	                                     {.name = "--status", .value = &f.status},
	                                     {.name = "--plan", .value = &f.plan},
	                                     {.name = "--below", .value = &f.below},
	                                     {.name = "--cursor", .value = &f.cursor},
	                                     {.name = "--limit", .value = &f.limit},
	                                     {0}};
	struct listing *l;
	struct buf sql;
	int result;

	if (ctl_arguments(c, options, NULL, 0, 0) < 0)
		return CTL_FAILED;
	(void)ctl_db_patient(c);
	l = listing_new("accounts");
	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT a.external_id, a.unit, a.mode, a.status, a.balance_micros, a.held_micros,"
	                  " a.open_holds, a.created_at_us, COALESCE(w.plan, '')"
	                  " FROM accounts a LEFT JOIN workspaces w ON w.account_id = a.id WHERE TRUE");
	result = put_filters(&sql, &f);
	if (result == CTL_OK)
		result = ctl_rows(c, &sql, take_listed_account, l);
	if (result == CTL_OK)
		listing_print(l, c);
	buf_free(&sql);
	listing_free(l);
	return result;
}

/* ---- show ------------------------------------------------------------------------------------ */

static const struct listing_column account_columns[] = {
	{"account", "account", LISTING_TEXT},
	{"unit", "unit", LISTING_TEXT},
	{"mode", "mode", LISTING_TEXT},
	{"status", "status", LISTING_TEXT},
	{"reason", "reason", LISTING_TEXT},
	{"balanceMicros", "balance", LISTING_AMOUNT},
	{"heldMicros", "held", LISTING_AMOUNT},
	{"availableMicros", "available", LISTING_AMOUNT},
	{"openHolds", "open holds", LISTING_INT},
	{"hardLimitMicros", "hard limit", LISTING_AMOUNT},
	{"softLimitMicros", "soft limit", LISTING_AMOUNT},
	{"byok", "own keys", LISTING_TEXT},
	{"email", "email", LISTING_TEXT},
	{"name", "name", LISTING_TEXT},
	{"locale", "locale", LISTING_TEXT},
	{"timeZone", "time zone", LISTING_TEXT},
	{"plan", "plan", LISTING_TEXT},
	{"nextPlan", "next plan", LISTING_TEXT},
	{"allowance.limitMicros", "allowance", LISTING_AMOUNT},
	{"allowance.usedMicros", "of it used", LISTING_AMOUNT},
	{"allowance.carriedMicros", "of it carried over", LISTING_AMOUNT},
	{"allowance.reservedMicros", "reserved for members", LISTING_AMOUNT},
	{"allowance.startsAt", "period from", LISTING_TEXT},
	{"allowance.resetsAt", "until", LISTING_TEXT},
	{"members.managers", "managers", LISTING_INT},
	{"members.members", "members", LISTING_INT},
	{"members.seats", "seats", LISTING_INT},
	{"limits.dailyLimitMicros", "daily limit", LISTING_AMOUNT},
	{"limits.dailyUsedMicros", "used today", LISTING_AMOUNT},
	{"limits.monthlyLimitMicros", "monthly limit", LISTING_AMOUNT},
	{"limits.monthlyUsedMicros", "used this month", LISTING_AMOUNT},
	{"statement.owedMicros", "owed", LISTING_AMOUNT},
	{"statement.nextAt", "next statement", LISTING_TEXT},
	{"statement.pastDueSince", "past due since", LISTING_TEXT},
	{"statement.suspendsAt", "suspended on", LISTING_TEXT},
	{"createdAt", "created", LISTING_TEXT},
	{0},
};

static int take_shown_grant(void *context, const struct db_row *row)
{
	struct listing *l = context;

	listing_row(l);
	listing_int(l, "grant", "grant", db_int(row, 0));
	listing_text(l, "type", "type", names_transaction(db_int(row, 1)));
	listing_int(l, "priority", "priority", db_int(row, 2));
	listing_amount(l, "remainingMicros", "remaining", db_int(row, 3));
	listing_amount(l, "amountMicros", "of", db_int(row, 4));
	listing_time(l, "expiresAt", "expires", db_int(row, 5));
	return CTL_OK;
}

/* Lists the grants with a remainder, in the order in which they are spent. */
static int read_grants(struct ctl *c, const struct account_key *key, struct listing *l)
{
	struct buf sql;
	int result;

	buf_init(&sql, 1024);
	sql_literal(&sql, "SELECT g.seq, g.type, g.priority, " GRANT_SQL_REMAINING " AS rest, g.amount_micros, "
	                  "g.expires_at_us FROM grants g JOIN accounts a ON a.id = g.account_id"
	                  " WHERE g.remaining_micros > 0 AND g.account_id = ");
	sql_bytes(&sql, key->bytes, sizeof(key->bytes));
	sql_literal(&sql, " ORDER BY g.priority, g.expires_at_us = 0, g.expires_at_us, g.seq LIMIT ");
	sql_int(&sql, SHOWN_MAX);
	result = ctl_rows(c, &sql, take_shown_grant, l);
	buf_free(&sql);
	return result;
}

struct hold_rows {
	const struct account_key *key;
	struct listing *l;
};

static int take_hold(void *context, const struct db_row *row)
{
	const struct hold_rows *h = context;
	char id[ID_PUBLIC_MAX];

	id_public_format(h->key, db_int(row, 0), id);
	listing_row(h->l);
	listing_text(h->l, "hold", "hold", id);
	listing_text(h->l, "item", "model or action", row->field[1]);
	listing_text(h->l, "member", "member", row->field[2]);
	listing_amount(h->l, "reservedMicros", "reserved", db_int(row, 3));
	listing_time(h->l, "expiresAt", "expires", db_int(row, 4));
	return CTL_OK;
}

static int read_holds(struct ctl *c, const struct account_key *key, struct listing *l)
{
	struct hold_rows h = {key, l};
	struct buf sql;
	int result;

	buf_init(&sql, 4096);
	sql_literal(&sql, "SELECT seq, item, member, reserved_micros, expires_at_us FROM " HOLD_SQL_OPEN " h "
	                  "WHERE account_id = ");
	sql_bytes(&sql, key->bytes, sizeof(key->bytes));
	sql_literal(&sql, " ORDER BY seq LIMIT ");
	sql_int(&sql, SHOWN_MAX);
	result = ctl_rows(c, &sql, take_hold, &h);
	buf_free(&sql);
	return result;
}

/* Lists the grace of the account, if it has one. */
static int read_grace(struct ctl *c, const struct account_key *key, struct listing *l)
{
	struct graces_one g;

	if (graces_of(ctl_db(c), key, &g) < 0)
		return ctl_db_failed(c);
	if (g.place[0] == '\0')
		return CTL_OK;
	listing_row(l);
	listing_text(l, "place", "place", g.place);
	listing_amount(l, "outMicros", "out", g.out_micros);
	listing_amount(l, "bookedMicros", "booked", g.booked_micros);
	listing_time(l, "endsAt", "ends", g.ends_at_us);
	return CTL_OK;
}

static void print_account(const struct ctl *c, const struct buf *body, const struct json *account,
                          const struct listing *grants, const struct listing *holds, const struct listing *graces)
{
	struct listing *l = listing_new("account");
	struct json_writer w;
	struct buf out;

	buf_init(&out, DOCUMENT_MAX);
	if (c->json) {
		json_writer_init(&w, &out);
		json_open_record(&w, NULL);
		json_put_raw(&w, "account", buf_text(body), body->length);
		listing_json(grants, &w);
		listing_json(holds, &w);
		listing_json(graces, &w);
		json_close_record(&w);
		(void)ctl_print(&out);
	} else {
		listing_present(l, account, account_columns);
		listing_print_single(l, false);
		(void)puts("\ngrants with something left:");
		listing_print_table(grants);
		(void)puts("\nopen holds:");
		listing_print_table(holds);
		if (listing_rows(graces) > 0) {
			(void)puts("\ngrace for outages:");
			listing_print_table(graces);
		}
	}
	buf_free(&out);
	listing_free(l);
}

static int show(struct ctl *c, const char *name)
{
	const struct account_key key = id_account_key(name, strlen(name));
	struct listing *grants = listing_new("grants"), *holds = listing_new("holds"), *graces = listing_new("graces");
	struct reads r = {.query = {{0}}};
	struct json *account = NULL;
	struct buf body, path;
	int result = target_exists(c, name);

	reads_account_path(&path, name, "");
	r.path = buf_text(&path);
	buf_init(&body, DOCUMENT_MAX);
	if (result == CTL_OK)
		result = reads_document(c, &r, &body, &account);
	if (result == CTL_OK)
		result = read_grants(c, &key, grants);
	if (result == CTL_OK)
		result = read_holds(c, &key, holds);
	if (result == CTL_OK)
		result = read_grace(c, &key, graces);
	if (result == CTL_OK)
		print_account(c, &body, account, grants, holds, graces);
	json_free(account);
	buf_free(&body);
	buf_free(&path);
	listing_free(grants);
	listing_free(holds);
	listing_free(graces);
	return result;
}

int ctl_account_show(struct ctl *c)
{
	const char *name;

	return ctl_arguments(c, NULL, &name, 1, 1) < 0 ? CTL_FAILED : show(c, name);
}

/* ---- history and usages ---------------------------------------------------------------------- */

static const struct listing_column history_columns[] = {
	{"createdAt", "time", LISTING_TEXT},
	{"type", "type", LISTING_TEXT},
	{"amountMicros", "amount", LISTING_AMOUNT},
	{"balanceAfterMicros", "balance after", LISTING_AMOUNT},
	{"description", "description", LISTING_TEXT},
	{"id", "id", LISTING_TEXT},
	{0},
};

static const struct listing_column usage_columns[] = {
	{"createdAt", "time", LISTING_TEXT},
	{"model", "model", LISTING_TEXT},
	{"action", "action", LISTING_TEXT},
	{"member", "member", LISTING_TEXT},
	{"inputTokens", "input", LISTING_INT},
	{"cacheReadTokens", "cache read", LISTING_INT},
	{"cacheWriteTokens", "cache write", LISTING_INT},
	{"outputTokens", "output", LISTING_INT},
	{"quantity", "quantity", LISTING_INT},
	{"costMicros", "cost", LISTING_AMOUNT},
	{"settlement", "settlement", LISTING_TEXT},
	{"id", "id", LISTING_TEXT},
	{0},
};

static const struct listing_column line_columns[] = {
	{"dimension", "dimension", LISTING_TEXT}, {"serviceTier", "tier", LISTING_TEXT},
	{"variant", "variant", LISTING_TEXT},     {"aboveTokens", "above", LISTING_INT},
	{"count", "count", LISTING_INT},          {"unitPrice", "unit price", LISTING_TEXT},
	{"costMicros", "cost", LISTING_AMOUNT},   {0},
};

/* Of the usage that a line is part of. */
static const struct listing_column owner_columns[] = {
	{"createdAt", "time", LISTING_TEXT},
	{"model", "model", LISTING_TEXT},
	{"action", "action", LISTING_TEXT},
	{"member", "member", LISTING_TEXT},
	{"settlement", "settlement", LISTING_TEXT},
	{"priceVersion", "version", LISTING_INT},
	{"id", "id", LISTING_TEXT},
	{0},
};

/* Lists what the account's owner sees. */
static int list_of_owner(struct ctl *c, const struct reads *r, const char *name, const struct listing_column *columns,
                         bool all)
{
	int result = target_exists(c, r->account);

	return result == CTL_OK ? reads_list(c, r, name, columns, all) : result;
}

int ctl_account_history(struct ctl *c)
{
	struct reads r = {.path = "/api/credits/transactions", .query = {{.name = "limit"}, {.name = "cursor"}}};
	bool all = false;
	const struct ctl_option options[] = {
		{.name = "--limit", .value = &r.query[0].value},
		{.name = "--cursor", .value = &r.query[1].value},
		{.name = "--all", .flag = &all},
		{0},
	};

	if (ctl_arguments(c, options, &r.account, 1, 1) < 0)
		return CTL_FAILED;
	return list_of_owner(c, &r, "transactions", history_columns, all);
}

int ctl_account_usages(struct ctl *c)
{
	struct reads r = {.path = "/api/credits/usages",
	                  .query = {{.name = "limit"},
	                            {.name = "cursor"},
	                            {.name = "member"},
	                            {.name = "model"},
	                            {.name = "action"},
	                            {.name = "lines"}}};
	bool all = false, lines = false;
	const struct ctl_option options[] = {
		{.name = "--limit", .value = &r.query[0].value},
		{.name = "--cursor", .value = &r.query[1].value},
		{.name = "--member", .value = &r.query[2].value},
		{.name = "--model", .value = &r.query[3].value},
		{.name = "--action", .value = &r.query[4].value},
		{.name = "--lines", .flag = &lines},
		{.name = "--all", .flag = &all},
		{0},
	};

	if (ctl_arguments(c, options, &r.account, 1, 1) < 0)
		return CTL_FAILED;
	if (lines) {
		r.inner = "lines";
		r.inner_columns = line_columns;
		r.query[5].value = "1";
	}
	return list_of_owner(c, &r, "usages", lines ? owner_columns : usage_columns, all);
}

/* Prints the answer as it is with --json, else the usage and the lines of its charge; with --csv, the lines. */
static void print_one_usage(const struct ctl *c, const struct buf *body, const struct json *usage)
{
	struct listing *facts = listing_new("usage"), *lines = listing_new("lines");
	const struct json *list = json_get(usage, "lines");

	for (size_t i = 0; i < json_size(list); i++)
		listing_record(lines, json_at(list, i), line_columns);
	listing_present(facts, usage, usage_columns);
	if (c->json) {
		(void)printf("%s\n", buf_text(body));
	} else {
		if (!c->csv)
			listing_print_single(facts, false);
		listing_print(lines, c);
	}
	listing_free(facts);
	listing_free(lines);
}

int ctl_account_usage(struct ctl *c)
{
	struct reads r = {.query = {{0}}};
	const char *operands[2];
	struct json *usage = NULL;
	struct buf path, body;
	int result;

	if (ctl_arguments(c, NULL, operands, 2, 2) < 0)
		return CTL_FAILED;
	r.account = operands[0];
	buf_init(&path, DOCUMENT_MAX);
	buf_init(&body, DOCUMENT_MAX);
	buf_add_text(&path, "/api/credits/usages/");
	buf_add_encoded(&path, operands[1]);
	r.path = buf_text(&path);
	result = target_exists(c, r.account);
	if (result == CTL_OK)
		result = reads_document(c, &r, &body, &usage);
	if (result == CTL_OK)
		print_one_usage(c, &body, usage);
	json_free(usage);
	buf_free(&path);
	buf_free(&body);
	return result;
}

/* ---- diagnose -------------------------------------------------------------------------------- */

/* --lang, else the language of the environment. */
static int read_language(const char *given, bool *french)
{
	const char *locale = getenv("LC_ALL");

	if (given != NULL) {
		*french = strcmp(given, "fr") == 0;
		return *french || strcmp(given, "en") == 0 ? CTL_OK : ctl_wrong("--lang cannot be '%s'", given);
	}
	if (locale == NULL || locale[0] == '\0')
		locale = getenv("LC_MESSAGES");
	if (locale == NULL || locale[0] == '\0')
		locale = getenv("LANG");
	*french = locale != NULL && strncmp(locale, "fr", 2) == 0;
	return CTL_OK;
}

int ctl_account_diagnose(struct ctl *c)
{
	const char *language = NULL, *member = "";
	const struct ctl_option options[] = {
		{.name = "--lang", .value = &language}, {.name = "--member", .value = &member}, {0}};
	const char *name;
	bool french;

	if (ctl_arguments(c, options, &name, 1, 1) < 0 || target_check_id("an account's", name) != CTL_OK ||
	    (member[0] != '\0' && target_check_id("a member's", member) != CTL_OK) ||
	    read_language(language, &french) != CTL_OK)
		return CTL_FAILED;
	return diagnose_print(c, name, member, french);
}

/* ---- create and set -------------------------------------------------------------------------- */

struct texts { /* as on the command line, NULL when not given */
	const char *unit, *mode, *status, *hard_limit, *soft_limit, *byok;
	const char *plan, *time_zone, *daily_limit, *monthly_limit;
};

static int parse_name(const char *text, const char *option, int (*number)(const char *name), bool *set, int *value)
{
	if (text == NULL)
		return CTL_OK;
	*value = number(text);
	if (*value < 0)
		return ctl_wrong("%s cannot be '%s'", option, text);
	*set = true;
	return CTL_OK;
}

static int parse_limit(const char *text, const char *option, bool *set, micros *value)
{
	if (text == NULL)
		return CTL_OK;
	*set = true;
	return ctl_decimal(text, option, 0, MONEY_AMOUNT_MAX_MICROS, value) == 0 ? CTL_OK : CTL_FAILED;
}

/* "anthropic,openai" or "none". */
static int parse_byok(const char *text, bool *set, unsigned *byok)
{
	char name[PRICE_PROVIDER_MAX];

	if (text == NULL)
		return CTL_OK;
	*set = true;
	*byok = 0;
	if (strcmp(text, "none") == 0)
		return CTL_OK;
	while (*text != '\0') {
		const size_t length = strcspn(text, ",");

		(void)snprintf(name, sizeof(name), "%.*s", (int)(length < sizeof(name) ? length : sizeof(name)), text);
		if (provider_bit(name) == 0)
			return ctl_wrong("--byok: '%s' is no provider that octroi knows", name);
		*byok |= provider_bit(name);
		text += length;
		text += *text == ',';
	}
	return CTL_OK;
}

/* The text "none" takes the plan, or the limit, away. */
static int fill_in_spending(struct command *command, const struct texts *t)
{
	bool daily_set = false, monthly_set = false;

	if (target_limit(t->daily_limit, "--daily-limit", &daily_set, &command->account_change.daily_limit_micros) !=
	            CTL_OK ||
	    target_limit(t->monthly_limit, "--monthly-limit", &monthly_set,
	                 &command->account_change.monthly_limit_micros) != CTL_OK)
		return CTL_FAILED;
	if (t->time_zone != NULL && zone_find(t->time_zone) == NULL)
		return ctl_wrong("--time-zone: there is no time zone '%s', such as Europe/Paris", t->time_zone);
	command->account_change.time_zone = t->time_zone;
	command->account_change.plan = t->plan;
	if (t->plan != NULL && strcmp(t->plan, "none") == 0)
		command->account_change.plan = "";
	command->account_change.set_daily_limit = daily_set;
	command->account_change.set_monthly_limit = monthly_set;
	return CTL_OK;
}

/* Reads the use of this day and this month, for the limits that this command sets. */
static int count_used(struct ctl *c, struct command *command)
{
	struct arena *arena = arena_new(ARENA_MAX);
	struct reader_account account;
	int result = target_read(c, arena, command->account_id, &account);

	if (result != CTL_OK || !account.found)
		goto done;
	if (command->account_change.time_zone != NULL)
		account.time_zone = command->account_change.time_zone;
	if (reader_used(ctl_db(c), &command->account, options_zone_of(c->config, &account), account.now_us,
	                &command->account_change.day_micros, &command->account_change.month_micros) != 0)
		result = ctl_db_failed(c);
done:
	arena_free(arena);
	return result;
}

static int read_found(struct ctl *c, const char *name, bool *found)
{
	struct arena *arena = arena_new(ARENA_MAX);
	struct reader_account account = {.found = false};
	int result = target_read(c, arena, name, &account);

	*found = account.found;
	arena_free(arena);
	return result;
}

static int fill_in(struct command *command, const struct texts *t)
{
	bool unit_set = false, mode_set = false, status_set = false, hard_set = false, soft_set = false,
	     byok_set = false;
	int unit = 0, mode = 0, status = 0;

	if (parse_name(t->unit, "--unit", price_unit_named, &unit_set, &unit) != CTL_OK ||
	    parse_name(t->mode, "--mode", names_to_mode, &mode_set, &mode) != CTL_OK ||
	    parse_name(t->status, "--status", names_to_status, &status_set, &status) != CTL_OK ||
	    parse_limit(t->hard_limit, "--hard-limit", &hard_set, &command->account_change.hard_limit_micros) !=
	            CTL_OK ||
	    parse_limit(t->soft_limit, "--soft-limit", &soft_set, &command->account_change.soft_limit_micros) !=
	            CTL_OK ||
	    parse_byok(t->byok, &byok_set, &command->account_change.byok) != CTL_OK)
		return CTL_FAILED;
	command->account_change.unit = (enum account_unit)unit;
	command->account_change.mode = (enum account_mode)mode;
	command->account_change.status = (enum account_status)status;
	command->account_change.set_unit = unit_set;
	command->account_change.set_mode = mode_set;
	command->account_change.set_status = status_set;
	command->account_change.set_hard_limit = hard_set;
	command->account_change.set_soft_limit = soft_set;
	command->account_change.set_byok = byok_set;
	return CTL_OK;
}

static int change_account(struct ctl *c, const char *name, const struct texts *t)
{
	struct command command = target_command(COMMAND_ACCOUNT, name);
	int result = fill_in(&command, t);

	if (result == CTL_OK)
		result = fill_in_spending(&command, t);
	if (result == CTL_OK && (command.account_change.set_daily_limit || command.account_change.set_monthly_limit))
		result = count_used(c, &command);
	if (result == CTL_OK)
		result = target_submit(c, &command);
	return result == CTL_OK ? show(c, name) : result;
}

int ctl_account_create(struct ctl *c)
{
	struct texts t = {.unit = "money", .mode = "prepaid"};
	const struct ctl_option options[] = {
		{.name = "--unit", .value = &t.unit}, {.name = "--mode", .value = &t.mode}, {0}};
	const char *name;
	bool found;
	int result;

	if (ctl_arguments(c, options, &name, 1, 1) < 0)
		return CTL_FAILED;
	result = read_found(c, name, &found);
	if (result == CTL_OK && found)
		return ctl_refuse(OUTCOME_CONFLICT, "account %s exists", name);
	return result == CTL_OK ? change_account(c, name, &t) : result;
}

int ctl_account_set(struct ctl *c)
{
	struct texts t = {0};
	const struct ctl_option options[] = {
		{.name = "--mode", .value = &t.mode},
		{.name = "--status", .value = &t.status},
		{.name = "--hard-limit", .value = &t.hard_limit},
		{.name = "--soft-limit", .value = &t.soft_limit},
		{.name = "--byok", .value = &t.byok},
		{.name = "--plan", .value = &t.plan},
		{.name = "--time-zone", .value = &t.time_zone},
		{.name = "--daily-limit", .value = &t.daily_limit},
		{.name = "--monthly-limit", .value = &t.monthly_limit},
		{0},
	};
	const char *name;
	int result;

	if (ctl_arguments(c, options, &name, 1, 1) < 0)
		return CTL_FAILED;
	result = target_exists(c, name);
	return result == CTL_OK ? change_account(c, name, &t) : result;
}

/* ---- credit ---------------------------------------------------------------------------------- */

struct credit_texts {
	const char *type, *reason, *actor, *request_id, *expires;
};

static int fill_in_credit(struct command *command, const char *amount, const struct credit_texts *t)
{
	const int type = t->type != NULL ? names_to_transaction(t->type) : -1;
	int64_t expires_at_us = 0;

	if (type < 0)
		return ctl_wrong("--type must be one of the types of transactions (see octroictl(8))");
	if (t->reason == NULL || *t->reason == '\0' || strlen(t->reason) > REASON_MAX)
		return ctl_wrong("--reason TEXT is needed, at most %d bytes: the customer sees it", REASON_MAX);
	if (t->actor == NULL || *t->actor == '\0' || strlen(t->actor) > ACTOR_MAX)
		return ctl_wrong("--actor NAME is needed, at most %d bytes: who decided this", ACTOR_MAX);
	if (!id_request_valid(t->request_id, strlen(t->request_id)))
		return ctl_wrong("--request-id: 1 to %d printable characters without blanks", ID_REQUEST_MAX);
	if (t->expires != NULL && clock_parse(t->expires, strlen(t->expires), &expires_at_us) != 0)
		return ctl_wrong("--expires: a date or a time of RFC 3339, such as 2027-01-31T12:00:00Z");
	if (ctl_decimal(amount, "AMOUNT", -MONEY_AMOUNT_MAX_MICROS, MONEY_AMOUNT_MAX_MICROS,
	                &command->transaction.amount_micros) != 0)
		return CTL_FAILED;
	command->request_id = t->request_id;
	command->transaction.type = (enum transaction_type)type;
	command->transaction.expires_at_us = expires_at_us;
	command->transaction.priority = -1;
	command->transaction.description = t->reason;
	command->transaction.reference = "";
	command->transaction.actor = t->actor;
	command->transaction.metadata = "";
	return CTL_OK;
}

static void print_credit(const struct ctl *c, const struct command *command)
{
	struct listing *l = listing_new("transaction");
	char id[ID_PUBLIC_MAX];

	id_public_format(&command->account, command->answer.seq, id);
	listing_row(l);
	listing_text(l, "id", "id", id);
	listing_text(l, "account", "account", command->account_id);
	listing_text(l, "type", "type", names_transaction(command->transaction.type));
	listing_amount(l, "amountMicros", "amount", command->answer.amount_micros);
	listing_amount(l, "balanceMicros", "balance", command->answer.balance_micros);
	listing_text(l, "requestId", "request id", command->request_id);
	listing_flag(l, "replayed", "replayed", command->answer.replayed);
	listing_print_single(l, c->json);
	listing_free(l);
}

int ctl_account_credit(struct ctl *c)
{
	struct credit_texts t = {0};
	const struct ctl_option options[] = {
		{.name = "--type", .value = &t.type},       {.name = "--reason", .value = &t.reason},
		{.name = "--actor", .value = &t.actor},     {.name = "--request-id", .value = &t.request_id},
		{.name = "--expires", .value = &t.expires}, {0},
	};
	unsigned char random[12];
	char made[32];
	const char *operands[2];
	struct command command;
	int result;

	if (ctl_arguments(c, options, operands, 2, 2) < 0)
		return CTL_FAILED;
	if (t.request_id == NULL) {
		digest_random(random, sizeof(random));
		memcpy(made, "ctl-", 4);
		(void)digest_base64url(random, sizeof(random), made + 4);
		t.request_id = made;
	}
	command = target_command(COMMAND_TRANSACTION, operands[0]);
	result = fill_in_credit(&command, operands[1], &t);
	/* A mistyped name must not make an account. */
	if (result == CTL_OK)
		result = target_exists(c, operands[0]);
	if (result == CTL_OK)
		result = target_submit(c, &command);
	if (result == CTL_OK)
		print_credit(c, &command);
	return result;
}
