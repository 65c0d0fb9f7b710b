/*
 * accounts: what the application sets on its customers' accounts, and money moved by hand.
 */
#include "base/money.h"
#include "db/reader.h"
#include "routes/call.h"
#include "routes/parse.h"
#include "routes/render.h"
#include "routes/show.h"

#include <stdio.h>
#include <string.h>

#define EMAIL_MAX 254
#define NAME_MAX_CHARACTERS 200
#define LOCALE_MAX 16
#define TIME_ZONE_MAX 64
#define DESCRIPTION_MAX 255
#define PRIORITY_MAX 1000
#define ACTOR_MAX 32

/* The ids in the path; false, rendered, when one cannot be. */
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
		render_outcome(c, result < 0 ? OUTCOME_UNAVAILABLE : OUTCOME_NOT_FOUND);
		return;
	}
	render_open(c, &w);
	show_account(&w, c, &account);
	render_close(&w);
}

/* ---- an account ------------------------------------------------------------------------------ */

/* Does what is due first, so that the answer is as of now. */
void accounts_get(struct call *c)
{
	struct command command = {.kind = COMMAND_TOUCH};

	if (path_account(c, &command) && call_submit(c, &command))
		answer_account(c, &command.account);
}

static const char *const account_members[] = {
	"mode",   "unit",     "status",          "email",           "name",
	"locale", "timeZone", "hardLimitMicros", "softLimitMicros", "byok",
	NULL,
};

static bool is_address(const char *text)
{
	const char *at = strchr(text, '@');

	return at != NULL && at != text && at[1] != '\0' && strpbrk(text, " <>(),;:\\\"") == NULL &&
	       strchr(at + 1, '@') == NULL;
}

/* A text of these characters only, NULL when absent. */
static const char *parse_made_of(struct parse *p, const char *name, int64_t max,
                                 const char *characters)
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
	command->account_change.time_zone =
		parse_made_of(p, "timeZone", TIME_ZONE_MAX, LETTERS "/+");
#undef LETTERS
}

static void parse_change(struct parse *p, struct command *command)
{
	command->account_change.set_mode = parse_given(p, "mode");
	command->account_change.mode =
		(enum account_mode)parse_name(p, "mode", names_to_mode, MODE_PREPAID);
	command->account_change.set_unit = parse_given(p, "unit");
	command->account_change.unit =
		(enum account_unit)parse_name(p, "unit", names_to_unit, UNIT_MONEY);
	command->account_change.set_status = parse_given(p, "status");
	command->account_change.status =
		(enum account_status)parse_name(p, "status", names_to_status, STATUS_ACTIVE);
	command->account_change.set_hard_limit = parse_given(p, "hardLimitMicros");
	command->account_change.hard_limit_micros =
		parse_int(p, "hardLimitMicros", 0, MONEY_AMOUNT_MAX_MICROS, 0);
	command->account_change.set_soft_limit = parse_given(p, "softLimitMicros");
	command->account_change.soft_limit_micros =
		parse_int(p, "softLimitMicros", 0, MONEY_AMOUNT_MAX_MICROS, 0);
	command->account_change.set_byok = parse_given(p, "byok");
	command->account_change.byok = parse_providers(p, "byok");
	parse_profile(p, command);
}

void accounts_put(struct call *c)
{
	struct command command = {.kind = COMMAND_ACCOUNT};
	struct parse p;

	if (!path_account(c, &command))
		return;
	parse_record(&p, c->request, c->body, account_members);
	parse_change(&p, &command);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	if (call_submit(c, &command))
		answer_account(c, &command.account);
}

/* ---- members --------------------------------------------------------------------------------- */

static const char *const member_members[] = {"role", NULL};

void accounts_member_put(struct call *c)
{
	struct command command = {.kind = COMMAND_MEMBER};
	struct json_writer w;
	struct parse p;

	if (!path_account(c, &command))
		return;
	parse_record(&p, c->request, c->body, member_members);
	parse_need(&p, "role");
	command.member_change.role = parse_name(&p, "role", names_to_role, 0);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	if (!call_submit(c, &command))
		return;
	render_open(c, &w);
	json_put_text(&w, "account", command.account_id);
	json_put_text(&w, "member", command.member);
	json_put_text(&w, "role", names_role(command.member_change.role));
	render_close(&w);
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
	"type",      "amountMicros", "description", "requestId",
	"expiresAt", "priority",     "metadata",    NULL,
};

/* The sign that a type's amounts must have, 0 for either. */
static int sign_of(int type)
{
	static const int signs[TRANSACTION_COUNT] = {
#define TRANSACTION(NAME, sign, priority, counterpart) [TRANSACTION_##NAME] = (sign),
#include "ledger/transactions.def"
#undef TRANSACTION
	};

	return signs[type];
}

/* Expiries are the ledger's own doing. */
static int type_by_hand(const char *name)
{
	int type = names_to_transaction(name);

	return type == TRANSACTION_ALLOWANCE_EXPIRY ? -1 : type;
}

static void parse_amount(struct parse *p, struct command *command)
{
	micros amount =
		parse_int(p, "amountMicros", -MONEY_AMOUNT_MAX_MICROS, MONEY_AMOUNT_MAX_MICROS, 0);
	int sign = sign_of((int)command->transaction.type);

	parse_need(p, "amountMicros");
	if (amount == 0 || (sign > 0 && amount < 0) || (sign < 0 && amount > 0))
		parse_wrong(p, "amountMicros", PARSE_SIGN);
	/* Only what is given can expire, or be spent before other things. */
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
	command->transaction.type =
		(enum transaction_type)parse_name(p, "type", type_by_hand, TRANSACTION_ADJUSTMENT);
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

static int read_transaction(struct call *c, const struct command *command,
                            struct reader_transaction **row)
{
	struct db *d = call_reader(c);
	int count = 0;
	bool more;
	int result;

	if (d == NULL)
		return -1;
	result = reader_transactions(d, c->request->arena, &command->account,
	                             command->answer.seq + 1, 1, row, &count, &more);
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
