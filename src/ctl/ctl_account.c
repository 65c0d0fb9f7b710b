#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/id.h"
#include "ctl/ctl.h"
#include "ctl/diagnose.h"
#include "ctl/listing.h"
#include "ctl/target.h"
#include "db/sql.h"
#include "ledger/names.h"
#include "prices/price.h"
#include "queries/reader.h"

#define DOCUMENT_MAX ((size_t)1 << 20)
#define LIST_LIMIT 100
#define LIST_LIMIT_MAX 100000
#define SHOWN_MAX 100 /* grants and holds of account show */
#define REASON_MAX 255
#define ACTOR_MAX 128

/* ---- list ------------------------------------------------------------------------------------ */

static int take_account(void *context, const struct db_row *row)
{
	struct listing *l = context;

	listing_row(l);
	listing_text(l, "id", "id", row->field[0]);
	listing_text(l, "unit", "unit", price_unit_name(db_int(row, 1)));
	listing_text(l, "mode", "mode", names_mode(db_int(row, 2)));
	listing_text(l, "status", "status", names_status(db_int(row, 3)));
	listing_amount(l, "balanceMicros", "balance", db_int(row, 4));
	listing_amount(l, "heldMicros", "held", db_int(row, 5));
	listing_int(l, "openHolds", "holds", db_int(row, 6));
	listing_time(l, "createdAt", "created", db_int(row, 7));
	return CTL_OK;
}

int ctl_account_list(struct ctl *c)
{
	const char *limit_text = NULL, *after = NULL;
	const struct ctl_option options[] = {{.name = "--limit", .value = &limit_text},
	                                     {.name = "--after", .value = &after},
	                                     {0}};
	int64_t limit = LIST_LIMIT;
	struct listing *l;
	struct buf sql;
	int result;

	if (ctl_arguments(c, options, NULL, 0, 0) < 0 ||
	    (after != NULL && target_check_id("an account's", after) != CTL_OK))
		return CTL_FAILED;
	if (limit_text != NULL &&
	    ctl_integer(limit_text, "--limit", 1, LIST_LIMIT_MAX, &limit) != 0)
		return CTL_FAILED;
	l = listing_new("accounts");
	buf_init(&sql, 1024);
	sql_literal(&sql, "SELECT external_id, unit, mode, status, balance_micros, held_micros, "
	                  "open_holds, created_at_us"
	                  " FROM accounts WHERE id > ");
	if (after != NULL) {
		const struct account_key key = id_account_key(after, strlen(after));

		sql_bytes(&sql, key.bytes, sizeof(key.bytes));
	} else {
		sql_bytes(&sql, "", 0);
	}
	sql_literal(&sql, " ORDER BY id LIMIT ");
	sql_int(&sql, limit);
	result = ctl_rows(c, &sql, take_account, l);
	if (result == CTL_OK)
		listing_print(l, c->json);
	buf_free(&sql);
	listing_free(l);
	return result;
}

/* ---- show ------------------------------------------------------------------------------------ */

static void put_byok(struct listing *l, int64_t byok)
{
	char text[256];
	size_t length = 0;

	text[0] = '\0';
	for (unsigned bit = 1; bit != 0 && bit <= (unsigned)byok && length < sizeof(text);
	     bit <<= 1)
		if (((unsigned)byok & bit) != 0)
			length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s",
			                           length > 0 ? "," : "", provider_name(bit));
	listing_text(l, "byok", "own keys", text);
}

/* Adds the fields that only an account with a workspace has. */
static void put_workspace(struct listing *l, const struct reader_account *a)
{
	const struct reader_workspace *p = &a->workspace;
	const bool today = p->day_until_us > a->now_us, this_month = p->month_until_us > a->now_us;

	if (!p->found)
		return;
	if (p->plan[0] != '\0') {
		if (p->changing != 0)
			listing_text(l, "nextPlan", "next plan", p->next_plan[0] != '\0' ? p->next_plan : "none");
		listing_amount(l, "allowanceMicros", "allowance", p->granted_micros);
		listing_amount(l, "carriedMicros", "carried over", p->carried_micros);
		listing_amount(l, "allowanceLeftMicros", "of both left", p->left_micros);
		listing_amount(l, "reservedMicros", "reserved for members", p->reserved_micros);
		listing_time(l, "periodStartsAt", "period from", p->period_start_us);
		listing_time(l, "periodEndsAt", "until", p->period_end_us);
	}
	listing_int(l, "managers", "managers", p->managers);
	listing_int(l, "members", "members", p->members);
	listing_limit(l, "dailyLimitMicros", "daily limit", p->daily_limit_micros);
	listing_amount(l, "dailyUsedMicros", "used today", today ? p->day_micros : 0);
	listing_limit(l, "monthlyLimitMicros", "monthly limit", p->monthly_limit_micros);
	listing_amount(l, "monthlyUsedMicros", "used this month", this_month ? p->month_micros : 0);
	if (a->mode == MODE_POSTPAID)
		listing_time(l, "nextStatementAt", "next statement", p->statement_at_us);
	if (p->past_due_at_us != 0)
		listing_time(l, "pastDueSince", "past due since", p->past_due_at_us);
	if (p->suspend_at_us != 0)
		listing_time(l, "suspendsAt", "suspended on", p->suspend_at_us);
}

static struct listing *list_account(const char *name, const struct reader_account *a)
{
	struct listing *l = listing_new("account");

	listing_row(l);
	listing_text(l, "id", "id", name);
	listing_text(l, "unit", "unit", price_unit_name(a->unit));
	listing_text(l, "mode", "mode", names_mode(a->mode));
	listing_text(l, "status", "status", names_status(a->status));
	if (names_status_reason(a->status)[0] != '\0')
		listing_text(l, "reason", "reason", names_status_reason(a->status));
	listing_amount(l, "balanceMicros", "balance", a->balance_micros);
	listing_amount(l, "heldMicros", "held", a->held_micros);
	listing_int(l, "openHolds", "open holds", a->open_holds);
	listing_amount(l, "hardLimitMicros", "hard limit", a->hard_limit_micros);
	listing_amount(l, "softLimitMicros", "soft limit", a->soft_limit_micros);
	put_byok(l, a->byok);
	listing_text(l, "email", "email", a->email);
	listing_text(l, "name", "name", a->name);
	listing_text(l, "locale", "locale", a->locale);
	listing_text(l, "timeZone", "time zone", a->time_zone);
	listing_text(l, "plan", "plan", a->plan);
	put_workspace(l, a);
	listing_time(l, "createdAt", "created", a->created_at_us);
	return l;
}

static int take_grant(void *context, const struct db_row *row)
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
	sql_literal(&sql, "SELECT seq, type, priority, remaining_micros, amount_micros, "
	                  "expires_at_us FROM grants"
	                  " WHERE remaining_micros > 0 AND account_id = ");
	sql_bytes(&sql, key->bytes, sizeof(key->bytes));
	sql_literal(&sql, " ORDER BY priority, expires_at_us = 0, expires_at_us, seq LIMIT ");
	sql_int(&sql, SHOWN_MAX);
	result = ctl_rows(c, &sql, take_grant, l);
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

	buf_init(&sql, 1024);
	sql_literal(&sql, "SELECT seq, item, member, reserved_micros, expires_at_us FROM holds "
	                  "WHERE account_id = ");
	sql_bytes(&sql, key->bytes, sizeof(key->bytes));
	sql_literal(&sql, " ORDER BY seq LIMIT ");
	sql_int(&sql, SHOWN_MAX);
	result = ctl_rows(c, &sql, take_hold, &h);
	buf_free(&sql);
	return result;
}

static void print_account(const struct ctl *c, const struct listing *account,
                          const struct listing *grants, const struct listing *holds)
{
	struct json_writer w;
	struct buf out;

	if (!c->json) {
		listing_print_single(account, false);
		(void)puts("\ngrants with something left:");
		listing_print(grants, false);
		(void)puts("\nopen holds:");
		listing_print(holds, false);
		return;
	}
	buf_init(&out, DOCUMENT_MAX);
	json_writer_init(&w, &out);
	json_open_record(&w, NULL);
	listing_json_single(account, &w);
	listing_json(grants, &w);
	listing_json(holds, &w);
	json_close_record(&w);
	(void)ctl_print(&out);
	buf_free(&out);
}

static int show(struct ctl *c, const char *name)
{
	struct arena *arena = target_arena();
	struct reader_account account;
	int result;

	if (arena == NULL)
		return CTL_FAILED;
	result = target_find(c, arena, name, &account);
	if (result == CTL_OK) {
		const struct account_key key = id_account_key(name, strlen(name));
		struct listing *shown = list_account(name, &account);
		struct listing *grants = listing_new("grants"), *holds = listing_new("holds");

		result = read_grants(c, &key, grants);
		if (result == CTL_OK)
			result = read_holds(c, &key, holds);
		if (result == CTL_OK)
			print_account(c, shown, grants, holds);
		listing_free(shown);
		listing_free(grants);
		listing_free(holds);
	}
	arena_free(arena);
	return result;
}

int ctl_account_show(struct ctl *c)
{
	const char *name;

	return ctl_arguments(c, NULL, &name, 1, 1) < 0 ? CTL_FAILED : show(c, name);
}

/* ---- diagnose -------------------------------------------------------------------------------- */

/* --lang, else the language of the environment. */
static int read_language(const char *given, bool *french)
{
	const char *locale = getenv("LC_ALL");

	if (given != NULL) {
		*french = strcmp(given, "fr") == 0;
		return *french || strcmp(given, "en") == 0 ? CTL_OK : ctl_fail("--lang cannot be '%s'", given);
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

static int parse_name(const char *text, const char *option, int (*number)(const char *name),
                      bool *set, int *value)
{
	if (text == NULL)
		return CTL_OK;
	*value = number(text);
	if (*value < 0)
		return ctl_fail("%s cannot be '%s'", option, text);
	*set = true;
	return CTL_OK;
}

static int parse_limit(const char *text, const char *option, bool *set, micros *value)
{
	if (text == NULL)
		return CTL_OK;
	*set = true;
	return ctl_decimal(text, option, 0, MONEY_AMOUNT_MAX_MICROS, value) == 0 ? CTL_OK
	                                                                         : CTL_FAILED;
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

		(void)snprintf(name, sizeof(name), "%.*s",
		               (int)(length < sizeof(name) ? length : sizeof(name)), text);
		if (provider_bit(name) == 0)
			return ctl_fail("--byok: '%s' is no provider that octroi knows", name);
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

	if (target_limit(t->daily_limit, "--daily-limit", &daily_set,
	                   &command->account_change.daily_limit_micros) != CTL_OK ||
	    target_limit(t->monthly_limit, "--monthly-limit", &monthly_set,
	                   &command->account_change.monthly_limit_micros) != CTL_OK)
		return CTL_FAILED;
	if (t->time_zone != NULL && zone_find(t->time_zone) == NULL)
		return ctl_fail("--time-zone: there is no time zone '%s', such as Europe/Paris", t->time_zone);
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
	struct arena *arena = target_arena();
	struct reader_account account;
	int result = CTL_FAILED;

	if (arena == NULL)
		return CTL_FAILED;
	if (reader_account(ctl_db(c), arena, &command->account, &account) != 0) {
		result = ctl_db_failed(c);
		goto done;
	}
	result = CTL_OK;
	if (!account.found)
		goto done;
	if (command->account_change.time_zone != NULL)
		account.time_zone = command->account_change.time_zone;
	if (reader_used(ctl_db(c), &command->account, target_zone(c, &account), account.now_us,
	                &command->account_change.day_micros, &command->account_change.month_micros) != 0)
		result = ctl_db_failed(c);
done:
	arena_free(arena);
	return result;
}

static int fill_in(struct command *command, const struct texts *t)
{
	bool unit_set = false, mode_set = false, status_set = false, hard_set = false,
	     soft_set = false, byok_set = false;
	int unit = 0, mode = 0, status = 0;

	if (parse_name(t->unit, "--unit", price_unit_named, &unit_set, &unit) != CTL_OK ||
	    parse_name(t->mode, "--mode", names_to_mode, &mode_set, &mode) != CTL_OK ||
	    parse_name(t->status, "--status", names_to_status, &status_set, &status) != CTL_OK ||
	    parse_limit(t->hard_limit, "--hard-limit", &hard_set,
	                &command->account_change.hard_limit_micros) != CTL_OK ||
	    parse_limit(t->soft_limit, "--soft-limit", &soft_set,
	                &command->account_change.soft_limit_micros) != CTL_OK ||
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

/* CTL_OK: the account exists.  CTL_NO: it does not, explained only if it is wanted.  CTL_FAILED, explained. */
static int exists(struct ctl *c, const char *name, bool wanted)
{
	const struct account_key key = id_account_key(name, strlen(name));
	struct reader_account account;
	struct arena *arena;
	int result;

	if (target_check_id("an account's", name) != CTL_OK)
		return CTL_FAILED;
	arena = target_arena();
	if (arena == NULL)
		return CTL_FAILED;
	if (wanted)
		result = target_find(c, arena, name, &account);
	else if (reader_account(ctl_db(c), arena, &key, &account) != 0)
		result = ctl_db_failed(c);
	else
		result = account.found ? CTL_OK : CTL_NO;
	arena_free(arena);
	return result;
}

static int change(struct ctl *c, const char *name, const struct texts *t)
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
	int result;

	if (ctl_arguments(c, options, &name, 1, 1) < 0)
		return CTL_FAILED;
	result = exists(c, name, false);
	if (result == CTL_OK) {
		(void)ctl_fail("account %s exists", name);
		return CTL_NO;
	}
	return result == CTL_NO ? change(c, name, &t) : result;
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
	result = exists(c, name, true);
	return result == CTL_OK ? change(c, name, &t) : result;
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
		return ctl_fail(
			"--type must be one of the types of transactions (see octroictl(8))");
	if (t->reason == NULL || *t->reason == '\0' || strlen(t->reason) > REASON_MAX)
		return ctl_fail("--reason TEXT is needed, at most %d bytes: the customer sees it",
		                REASON_MAX);
	if (t->actor == NULL || *t->actor == '\0' || strlen(t->actor) > ACTOR_MAX)
		return ctl_fail("--actor NAME is needed, at most %d bytes: who decided this",
		                ACTOR_MAX);
	if (!id_request_valid(t->request_id, strlen(t->request_id)))
		return ctl_fail("--request-id: 1 to %d printable characters without blanks",
		                ID_REQUEST_MAX);
	if (t->expires != NULL && clock_parse(t->expires, strlen(t->expires), &expires_at_us) != 0)
		return ctl_fail(
			"--expires: a date or a time of RFC 3339, such as 2027-01-31T12:00:00Z");
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
	listing_text(l, "replayed", "replayed", command->answer.replayed ? "yes" : "no");
	listing_print_single(l, c->json);
	listing_free(l);
}

int ctl_account_credit(struct ctl *c)
{
	struct credit_texts t = {0};
	const struct ctl_option options[] = {
		{.name = "--type", .value = &t.type},
		{.name = "--reason", .value = &t.reason},
		{.name = "--actor", .value = &t.actor},
		{.name = "--request-id", .value = &t.request_id},
		{.name = "--expires", .value = &t.expires},
		{0},
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
		result = exists(c, operands[0], true);
	if (result == CTL_OK)
		result = target_submit(c, &command);
	if (result == CTL_OK)
		print_credit(c, &command);
	return result;
}
