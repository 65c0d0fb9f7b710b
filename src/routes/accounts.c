/*
 * accounts: the settings of an application for its customers' accounts, and money moved by hand.
 */
#include "base/money.h"
#include "base/zone.h"
#include "prices/plan.h"
#include "queries/reader.h"
#include "routes/api/call.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"
#include "routes/people.h"
#include "routes/routes.h"
#include "routes/show.h"
#include "routes/spending.h"

#include <stdio.h>
#include <string.h>

#define EMAIL_MAX 254
#define NAME_MAX_CHARACTERS 200
#define LOCALE_MAX 16
#define TIME_ZONE_MAX (ZONE_NAME_MAX - 1)
#define PLAN_MAX (PLAN_NAME_MAX - 1)
#define DESCRIPTION_MAX 255
#define PRIORITY_MAX 1000
#define ACTOR_MAX 32

/* Reads the ids in the path.  False, rendered, when one is not valid. */
static bool path_account(struct call *c, struct command *command)
{
	const char *account = c->segment[0];
	const char *member = c->segment[1];
	struct parse p;

	parse_query(&p, c->request);
	if (!id_account_valid(account, strlen(account)))
		parse_wrong(&p, "account", PARSE_ACCOUNT);
	if (member != NULL && !id_account_valid(member, strlen(member)))
		parse_wrong(&p, "member", PARSE_ACCOUNT);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return false;
	}
	c->account = account;
	command->account_id = account;
	command->account = id_account_key(account, strlen(account));
	command->member = member != NULL ? member : "";
	return true;
}

/* Renders UNAVAILABLE for a failed read (result < 0), else NOT_FOUND: there is no such account. */
static void render_missing(struct call *c, int result)
{
	if (result < 0)
		render_outcome(c, OUTCOME_UNAVAILABLE);
	else
		render_said(c, OUTCOME_NOT_FOUND, NULL, SENTENCE_NO_WORKSPACE);
}

/* Answers the account as it is now. */
static void answer_account(struct call *c, const struct account_key *key)
{
	struct db *d = call_reader(c);
	struct reader_account account;
	struct json_writer w;
	int result;

	if (d == NULL)
		return;
	result = reader_account(d, c->request->arena, key, &account);
	pool_give(c->readers, d);
	if (result < 0 || !account.found) {
		render_missing(c, result);
		return;
	}
	render_open(c, &w);
	show_account(&w, c, &account);
	render_close(&w);
}

/* ---- an account ------------------------------------------------------------------------------ */

/* The due work of the account is done first, so that the answer is as of now. */
void accounts_get(struct call *c)
{
	struct command command = {.kind = COMMAND_TOUCH};

	if (path_account(c, &command) && call_submit(c, &command))
		answer_account(c, &command.account);
}

static const char *const account_members[] = {
	"mode",
	"unit",
	"status",
	"email",
	"name",
	"locale",
	"timeZone",
	"hardLimitMicros",
	"softLimitMicros",
	"byok",
	"plan",
	"dailyLimitMicros",
	"monthlyLimitMicros",
	NULL,
};

static bool is_address(const char *text)
{
	const char *at = strchr(text, '@');

	return at != NULL && at != text && at[1] != '\0' && strpbrk(text, " <>(),;:\\\"") == NULL &&
	       strchr(at + 1, '@') == NULL;
}

/* A text of these characters only, NULL when absent. */
static const char *parse_made_of(struct parse *p, const char *name, int64_t max, const char *characters)
{
	const char *text = parse_text(p, name, 1, max);

	if (text != NULL && strspn(text, characters) != strlen(text))
		parse_wrong(p, name, PARSE_NAME);
	return text;
}

static void parse_profile(struct parse *p, struct command *command)
{
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	command->account_change.email = parse_text(p, "email", 3, EMAIL_MAX);
	if (command->account_change.email != NULL && !is_address(command->account_change.email))
		parse_wrong(p, "email", PARSE_EMAIL);
	command->account_change.name = parse_text(p, "name", 0, NAME_MAX_CHARACTERS);
	command->account_change.locale = parse_made_of(p, "locale", LOCALE_MAX, LETTERS);
	command->account_change.time_zone = parse_made_of(p, "timeZone", TIME_ZONE_MAX, LETTERS "/+");
#undef LETTERS
	if (command->account_change.time_zone != NULL && zone_find(command->account_change.time_zone) == NULL)
		parse_wrong(p, "timeZone", PARSE_ZONE);
}

/* A JSON null removes the plan or the limit. */
static void parse_spending(struct parse *p, struct command *command)
{
	command->account_change.plan = parse_null(p, "plan") ? "" : parse_bytes(p, "plan", PLAN_MAX);
	command->account_change.set_daily_limit =
		parse_limit(p, "dailyLimitMicros", &command->account_change.daily_limit_micros);
	command->account_change.set_monthly_limit =
		parse_limit(p, "monthlyLimitMicros", &command->account_change.monthly_limit_micros);
}

static void parse_change(struct parse *p, struct command *command)
{
	command->account_change.set_mode = parse_given(p, "mode");
	command->account_change.mode = (enum account_mode)parse_name(p, "mode", names_to_mode, MODE_PREPAID);
	command->account_change.set_unit = parse_given(p, "unit");
	command->account_change.unit = (enum account_unit)parse_name(p, "unit", price_unit_named, UNIT_MONEY);
	command->account_change.set_status = parse_given(p, "status");
	command->account_change.status = (enum account_status)parse_name(p, "status", names_to_status, STATUS_ACTIVE);
	command->account_change.set_hard_limit = parse_given(p, "hardLimitMicros");
	command->account_change.hard_limit_micros = parse_int(p, "hardLimitMicros", 0, MONEY_AMOUNT_MAX_MICROS, 0);
	command->account_change.set_soft_limit = parse_given(p, "softLimitMicros");
	command->account_change.soft_limit_micros = parse_int(p, "softLimitMicros", 0, MONEY_AMOUNT_MAX_MICROS, 0);
	command->account_change.set_byok = parse_given(p, "byok");
	command->account_change.byok = parse_providers(p, "byok");
	parse_profile(p, command);
	parse_spending(p, command);
}

void accounts_put(struct call *c)
{
	struct command command = {.kind = COMMAND_ACCOUNT};
	struct parse p;

	if (!path_account(c, &command))
		return;
	parse_record(&p, c->request, c->body, account_members);
	parse_change(&p, &command);
	command.account_change.campaign = c->config->bonus_campaign;
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	if (spending_count(c, &command) && call_submit(c, &command))
		answer_account(c, &command.account);
}

/* ---- members --------------------------------------------------------------------------------- */

/* Has the account's due work done, so that all is as of now, and reads the account.  NULL, rendered, when either
 * fails. */
static struct db *open_account(struct call *c, const struct account_key *key, struct reader_account *account)
{
	struct command touch = {.kind = COMMAND_TOUCH, .account = *key, .account_id = c->account};
	struct db *d;
	int result;

	if (!call_submit(c, &touch))
		return NULL;
	d = call_reader(c);
	if (d == NULL)
		return NULL;
	result = reader_account(d, c->request->arena, key, account);
	if (result == 0 && account->found)
		return d;
	pool_give(c->readers, d);
	render_missing(c, result);
	return NULL;
}

void accounts_members(struct call *c)
{
	struct command command = {.kind = COMMAND_TOUCH};
	struct reader_account account;
	struct json_writer w;
	struct people page;
	struct parse p;
	struct db *d;
	int result;

	if (!path_account(c, &command))
		return;
	parse_query(&p, c->request);
	people_parse(&p, &page);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	d = open_account(c, &command.account, &account);
	if (d == NULL)
		return;
	result = people_read(c, d, &command.account, &page);
	pool_give(c->readers, d);
	if (result < 0) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	render_open(c, &w);
	people_put(&w, "items", c, &account, &page);
	render_close(&w);
}

/* Answers the member as it is now. */
static void answer_member(struct call *c, const struct command *command)
{
	struct reader_account account;
	struct people one;
	struct json_writer w;
	struct db *d = open_account(c, &command->account, &account);
	int result;

	if (d == NULL)
		return;
	result = people_read_one(c, d, &command->account, command->member, &one);
	pool_give(c->readers, d);
	if (result < 0 || one.count == 0) {
		render_outcome(c, result < 0 ? OUTCOME_UNAVAILABLE : OUTCOME_NOT_FOUND);
		return;
	}
	render_open(c, &w);
	json_put_text(&w, "account", account.external_id);
	show_member(&w, c, &account, one.rows);
	render_close(&w);
}

void accounts_member_get(struct call *c)
{
	struct command command = {.kind = COMMAND_TOUCH};

	if (path_account(c, &command))
		answer_member(c, &command);
}

static const char *const member_members[] = {"role", "limitMicros", "period", NULL};

enum limit_period { PERIOD_PLAN, PERIOD_DAY, PERIOD_MONTH };

static int period_number(const char *name)
{
	static const char *const names[] = {[PERIOD_PLAN] = "period", [PERIOD_DAY] = "day", [PERIOD_MONTH] = "month"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -1;
}

/* limitMicros sets the limit of that period, and leaves the two others. */
static void parse_member_limit(struct parse *p, struct command *command)
{
	int64_t limit;
	const bool set = parse_limit(p, "limitMicros", &limit);
	const int period = parse_name(p, "period", period_number, PERIOD_PLAN);

	if (!set && parse_given(p, "period"))
		parse_wrong(p, "period", PARSE_ABSENT);
	command->member_change.set_limit = set && period == PERIOD_PLAN;
	command->member_change.limit_micros = limit;
	command->member_change.set_daily_limit = set && period == PERIOD_DAY;
	command->member_change.daily_limit_micros = limit;
	command->member_change.set_monthly_limit = set && period == PERIOD_MONTH;
	command->member_change.monthly_limit_micros = limit;
}

void accounts_member_put(struct call *c)
{
	struct command command = {.kind = COMMAND_MEMBER};
	struct parse p;

	if (!path_account(c, &command))
		return;
	parse_record(&p, c->request, c->body, member_members);
	command.member_change.set_role = parse_given(&p, "role");
	command.member_change.role = parse_name(&p, "role", names_to_role, PLAN_MEMBER);
	parse_member_limit(&p, &command);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	if (call_submit(c, &command))
		answer_member(c, &command);
}

void accounts_member_delete(struct call *c)
{
	struct command command = {.kind = COMMAND_MEMBER, .member_change = {.remove = true}};
	struct json_writer w;

	if (!path_account(c, &command) || !call_submit(c, &command))
		return;
	render_open(c, &w);
	json_put_text(&w, "account", command.account_id);
	json_put_text(&w, "member", command.member);
	json_put_bool(&w, "removed", true);
	render_close(&w);
}

/* ---- transactions by hand -------------------------------------------------------------------- */

static const char *const transaction_members[] = {
	"type", "amountMicros", "description", "requestId", "expiresAt", "priority", "metadata", NULL,
};

/* The sign that a type's amounts must have, 0 for either. */
static int sign_of(int type)
{
	static const int signs[TRANSACTION_COUNT] = {
#define TRANSACTION(NAME, sign, priority, counterpart) [TRANSACTION_##NAME] = (sign),
#include "ledger/names.h"
#include "ledger/transactions.def"
#include "prices/price.h"
#undef TRANSACTION
	};

	return signs[type];
}

/* The number of a type that can be booked by hand, else -1.  Only the ledger books expiries. */
static int type_by_hand(const char *name)
{
	int type = names_to_transaction(name);

	return type == TRANSACTION_ALLOWANCE_EXPIRY ? -1 : type;
}

static void parse_amount(struct parse *p, struct command *command)
{
	micros amount = parse_int(p, "amountMicros", -MONEY_AMOUNT_MAX_MICROS, MONEY_AMOUNT_MAX_MICROS, 0);
	int sign = sign_of((int)command->transaction.type);

	parse_need(p, "amountMicros");
	if (amount == 0 || (sign > 0 && amount < 0) || (sign < 0 && amount > 0))
		parse_wrong(p, "amountMicros", PARSE_SIGN);
	/* Only a positive amount can expire, or be spent before other amounts. */
	if (amount < 0 && parse_given(p, "expiresAt"))
		parse_wrong(p, "expiresAt", PARSE_ABSENT);
	if (amount < 0 && parse_given(p, "priority"))
		parse_wrong(p, "priority", PARSE_ABSENT);
	command->transaction.amount_micros = amount;
}

static void parse_transaction(struct parse *p, struct call *c, struct command *command)
{
	const char *description;

	parse_record(p, c->request, c->body, transaction_members);
	parse_need(p, "type");
	command->transaction.type = (enum transaction_type)parse_name(p, "type", type_by_hand, TRANSACTION_ADJUSTMENT);
	parse_amount(p, command);
	parse_need(p, "description");
	description = parse_text(p, "description", 1, DESCRIPTION_MAX);
	command->transaction.description = description != NULL ? description : "";
	command->request_id = parse_repeat(p);
	if (command->request_id == NULL) /* money moved by hand must be repeatable */
		parse_wrong(p, "requestId", PARSE_PRESENT);
	command->transaction.expires_at_us = parse_time(p, "expiresAt");
	command->transaction.priority = parse_int(p, "priority", 0, PRIORITY_MAX, -1);
	command->transaction.metadata = parse_small_record(p, "metadata", COMMAND_METADATA_MAX);
	command->transaction.reference = "";
}

static int read_transaction(struct call *c, const struct command *command, struct reader_transaction **row)
{
	struct db *d = call_reader(c);
	int count = 0;
	bool more;
	int result;

	if (d == NULL)
		return -1;
	result = reader_transactions(d, c->request->arena, &command->account, command->answer.seq + 1, 1, row, &count,
	                             &more);
	pool_give(c->readers, d);
	if (result == 0 && count == 1 && (*row)->seq == command->answer.seq)
		return 0;
	render_outcome(c, OUTCOME_UNAVAILABLE); /* booked; asking again with the same id is safe */
	return -1;
}

void accounts_transaction(struct call *c)
{
	struct command command = {.kind = COMMAND_TRANSACTION};
	const struct answer *a = &command.answer;
	struct reader_transaction *row = NULL;
	struct json_writer w;
	struct parse p;
	char actor[ACTOR_MAX];

	if (!path_account(c, &command))
		return;
	parse_transaction(&p, c, &command);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	snprintf(actor, sizeof(actor), "key:%lld", (long long)c->key_id);
	command.transaction.actor = actor;
	if (!call_submit(c, &command) || read_transaction(c, &command, &row) < 0)
		return;
	render_open(c, &w);
	show_transaction(&w, "transaction", &command.account, a->unit, row);
	json_put_int(&w, "balanceMicros", a->balance_micros);
	json_put_int(&w, "availableMicros", a->available_micros);
	json_put_bool(&w, "replayed", a->replayed);
	render_close(&w);
}
