/*
 * bonuses: amounts that a customer gets for nothing: the sign-up bonus, codes, referrals.
 */
#include "routes/bonuses.h"

#include <stdio.h>
#include <string.h>

#include "ledger/code.h"
#include "ledger/decide/identity.h"
#include "queries/reader.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"
#include "routes/routes.h"
#include "routes/shared_keys.h"

#define CODE_TYPED_MAX 64
#define DESCRIPTION_MAX 128

static void about_account(const struct call *c, struct command *command)
{
	command->account = call_account_key(c);
	command->account_id = c->account;
	call_asks(c, command);
}

static enum account_unit offered_unit(const struct config *config)
{
	return strcmp(config->bonus_unit, "credit") == 0 ? UNIT_CREDIT : UNIT_MONEY;
}

/* ---- the sign-up bonus ------------------------------------------------------------------------- */

int bonuses_offer(const struct call *c, struct command *command)
{
	const struct config *config = c->config;
	const enum account_unit unit = offered_unit(config);
	char amount[RENDER_AMOUNT_MAX], text[DESCRIPTION_MAX];

	render_amount(c, unit, config->bonus_amount, amount);
	if (unit == UNIT_MONEY)
		render_amount_short(c, config->bonus_amount, amount);
	sentence_fill(SENTENCE_WELCOME_BONUS, c->french, amount, text, sizeof(text));
	command->bonus.campaign = config->bonus_campaign;
	command->bonus.amount_micros = config->bonus_amount;
	command->bonus.cap_micros = config->bonus_campaign_cap;
	command->bonus.unit = unit;
	command->bonus.after_payment = config->bonus_after_first_payment;
	command->bonus.needs_email = config->bonus_needs_email;
	command->bonus.email = "";
	command->bonus.person = "";
	command->bonus.name = "";
	command->bonus.description = arena_copy(c->request->arena, text, strlen(text));
	return command->bonus.description != NULL ? 0 : -1;
}

/* The address that the account has now; false, rendered, when the database does not answer. */
static bool read_email(struct call *c, struct command *command)
{
	struct db *d = call_reader(c);
	struct reader_account account;
	int result;

	if (d == NULL)
		return false;
	result = reader_account(d, c->request->arena, &command->account, &account);
	pool_give(c->readers, d);
	if (result < 0) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return false;
	}
	command->bonus.email = account.found ? account.email : "";
	return true;
}

static void render_given(struct call *c, const struct command *command, const char *type)
{
	const struct answer *a = &command->answer;
	struct json_writer w;

	render_open(c, &w);
	json_put_text(&w, "type", type);
	render_put_id(&w, "transaction", &command->account, a->seq);
	render_put_whole(&w, "amount", a->amount_micros, a->unit);
	json_put_int(&w, "amountMicros", a->amount_micros);
	render_put_whole(&w, "balance", a->balance_micros, a->unit);
	json_put_int(&w, "balanceMicros", a->balance_micros);
	json_put_int(&w, "availableMicros", a->available_micros);
	json_put_bool(&w, "replayed", a->replayed);
	render_close(&w);
}

void bonuses_claim(struct call *c)
{
	static const char *const known[] = {"requestId", NULL};
	struct command command = {.kind = COMMAND_BONUS};
	struct parse p;

	parse_record(&p, c->request, c->body, known);
	command.request_id = parse_repeat(&p);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	about_account(c, &command);
	if (bonuses_offer(c, &command) < 0) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	command.bonus.person = c->person;
	if (read_email(c, &command) && call_submit(c, &command))
		render_given(c, &command, names_transaction(TRANSACTION_SIGNUP_BONUS));
}

/* ---- codes ------------------------------------------------------------------------------------- */

static void redeem(struct call *c, struct command *command, const char *code)
{
	command->kind = COMMAND_REDEEM;
	command->redeem.code = code;
	command->redeem.description = c->french ? "Code promo" : "Promo code";
	command->redeem.guesses_max = c->config->code_guesses_max;
	if (call_submit(c, command))
		render_given(c, command, names_transaction(TRANSACTION_PROMO_BONUS));
}

static int look_up_code(struct db *d, const struct call *c, const unsigned char key[DIGEST_BYTES], const char *code,
                        struct reader_referrer *referrer)
{
	struct account_key low, high;
	int result;

	code_referral_range(key, code, &low, &high);
	result = reader_referrer(d, c->request->arena, &low, &high, false, referrer);
	if (result < 0 || referrer->found)
		return result;
	code_referral_range_plain(code, &low, &high);
	return reader_referrer(d, c->request->arena, &low, &high, true, referrer);
}

/* Finds the account that the code names.  *same_person: both accounts have the same e-mail address, as far as the
 * application knows.  0, or -1, rendered. */
static int find_referrer(struct call *c, const struct command *command, const unsigned char key[DIGEST_BYTES],
                         const char *code, struct reader_referrer *referrer, bool *same_person)
{
	struct db *d = call_reader(c);
	struct reader_account account = {.found = false};
	int result;

	if (d == NULL)
		return -1;
	result = look_up_code(d, c, key, code, referrer);
	if (result == 0)
		result = reader_account(d, c->request->arena, &command->account, &account);
	pool_give(c->readers, d);
	if (result < 0)
		render_outcome(c, OUTCOME_UNAVAILABLE);
	else
		*same_person = referrer->found && account.found && identity_same_email(referrer->email, account.email);
	return result;
}

static void render_referred(struct call *c, const struct command *command)
{
	const struct answer *a = &command->answer;
	const enum account_unit unit = command->refer.unit;
	struct json_writer w;

	render_open(c, &w);
	json_put_text(&w, "type", names_transaction(TRANSACTION_REFERRAL_BONUS));
	json_put_int(&w, "amount", 0);
	json_put_int(&w, "amountMicros", 0);
	render_put_whole(&w, "reward", a->amount_micros, unit);
	json_put_int(&w, "rewardMicros", a->amount_micros);
	render_put_whole(&w, "balance", a->balance_micros, a->unit);
	json_put_int(&w, "balanceMicros", a->balance_micros);
	json_put_int(&w, "availableMicros", a->available_micros);
	json_put_bool(&w, "replayed", a->replayed);
	render_close(&w);
}

static void refer(struct call *c, struct command *command, const char *code)
{
	struct reader_referrer referrer = {.found = false};
	unsigned char key[DIGEST_BYTES];
	bool same_person = false;

	if (!shared_keys_find(c, SECRET_REFERRAL, key) ||
	    find_referrer(c, command, key, code, &referrer, &same_person) < 0)
		return;
	if (!referrer.found) {
		redeem(c, command, code); /* counts as a wrong guess like any other */
		return;
	}
	command->kind = COMMAND_REFER;
	command->refer.referrer = referrer.key;
	command->refer.same_person = same_person;
	command->refer.reward_micros = c->config->referral_amount;
	command->refer.unit = offered_unit(c->config);
	command->refer.guesses_max = c->config->code_guesses_max;
	if (call_submit(c, command))
		render_referred(c, command);
}

void bonuses_redeem(struct call *c)
{
	static const char *const known[] = {"code", "requestId", NULL};
	struct command command = {.member = ""};
	char code[CODE_MAX];
	const char *typed;
	struct parse p;

	parse_record(&p, c->request, c->body, known);
	parse_need(&p, "code");
	typed = parse_text(&p, "code", 1, CODE_TYPED_MAX);
	command.request_id = parse_repeat(&p);
	if (typed != NULL && code_normal(typed, code) < 0)
		parse_wrong(&p, "code", PARSE_NAME);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	about_account(c, &command);
	if (code_is_referral(code) && c->config->referral_amount > 0)
		refer(c, &command, code);
	else
		redeem(c, &command, code);
}
