/*
 * guard: permission for an account to spend an amount, and the real cost afterwards.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/money.h"
#include "prices/usage.h"
#include "routes/api/call.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"
#include "routes/auth/auth.h"
#include "routes/counted.h"
#include "routes/grace.h"
#include "routes/routes.h"

#include <stdio.h>
#include <string.h>

#define LABEL_MAX 128
#define ITEM_MAX (PRICE_ITEM_MAX - 1)
#define TTL_MIN_SECONDS 10
#define TTL_MAX_SECONDS 86400
#define BATCH_TTL_MAX_SECONDS (8 * 86400) /* providers answer a batch within a day, and keep it for more */
#define SETTLEMENTS_MAX 500
#define BYTES_MAX (COUNTS_MAX * 16)
#define METER_KEY_MAX 512 /* longer than any key: an application may have given another service's */

static const char *or_empty(const char *text)
{
	return text != NULL ? text : "";
}

/* ---- what several requests have in common ---------------------------------------------------- */

static void set_account(struct call *c, struct command *command, const char *account)
{
	command->account_id = account;
	command->account = id_account_key(account, strlen(account));
	c->account = account;
}

static void parse_who(struct parse *p, struct call *c, struct command *command)
{
	const char *account = parse_account(p, "account");

	command->member = or_empty(parse_account(p, "member"));
	if (account != NULL)
		set_account(c, command, account);
}

static void parse_labels(struct parse *p, struct command_labels *labels)
{
	labels->conversation_id = or_empty(parse_text(p, "conversationId", 1, LABEL_MAX));
	labels->message_id = or_empty(parse_text(p, "messageId", 1, LABEL_MAX));
	labels->metadata = parse_small_record(p, "metadata", COMMAND_METADATA_MAX);
}

static void parse_hold(struct parse *p, struct command *command)
{
	const char *hold = parse_text(p, "hold", 0, LABEL_MAX);

	parse_need(p, "hold");
	if (hold != NULL && id_public_parse(hold, strlen(hold), &command->account, &command->hold_seq) < 0)
		parse_wrong(p, "hold", PARSE_ID);
	command->member = "";
}

static int64_t parse_ttl(struct parse *p, int64_t fallback_seconds, int64_t max_seconds)
{
	return parse_int(p, "ttlSeconds", TTL_MIN_SECONDS, max_seconds, fallback_seconds) * CLOCK_US_PER_SECOND;
}

static void put_figures(struct json_writer *w, const struct answer *a)
{
	json_put_int(w, "balanceMicros", a->balance_micros);
	json_put_int(w, "availableMicros", a->available_micros);
}

/* Leaves the command of a valid body to be submitted, and refuses an invalid body. */
static void submit_parsed(struct call *c, struct command *command, call_finish *finish, struct parse *p)
{
	if (parse_ok(p))
		call_then(c, command, finish);
	else
		render_wrong(c, p);
}

/* ---- authorize ------------------------------------------------------------------------------- */

static const char *const authorize_members[] = {
	"account",    "member",      "requestId",      "model",           "models",   "action",
	"quantity",   "inputTokens", "inputBytes",     "maxOutputTokens", "fit",      "fitMinimum",
	"ttlSeconds", "byok",        "conversationId", "messageId",       "metadata", "counts",
	"variant",    "serviceTier", "meterKey",       "grace",           NULL,
};

static void parse_model_list(struct parse *p, struct command *command)
{
	const struct json *list = parse_list(p, "models", 1, COMMAND_MODELS_MAX);

	for (size_t i = 0; list != NULL && i < json_size(list); i++) {
		const struct json *model = json_at(list, i);
		size_t length = 0;

		if (json_type(model) == JSON_TEXT)
			command->authorize.models[i] = json_text(model, &length);
		if (!parse_plain(or_empty(command->authorize.models[i]), length, ITEM_MAX))
			parse_wrong(p, "models", PARSE_BYTES);
		command->authorize.model_count++;
	}
}

/* Exactly one of model, models and action. */
static void parse_item(struct parse *p, struct command *command)
{
	const char *model = parse_bytes(p, "model", ITEM_MAX);
	int given = (parse_given(p, "model") ? 1 : 0) + (parse_given(p, "models") ? 1 : 0) +
	            (parse_given(p, "action") ? 1 : 0);

	if (given != 1)
		parse_wrong(p, "model", PARSE_ONE_OF);
	parse_model_list(p, command);
	command->authorize.action = parse_bytes(p, "action", ITEM_MAX);
	if (model != NULL) {
		command->authorize.models[0] = model;
		command->authorize.model_count = 1;
	}
	command->authorize.quantity = parse_int(p, "quantity", 1, COMMAND_QUANTITY_MAX, 1);
	if (command->authorize.action == NULL && command->authorize.quantity != 1)
		parse_wrong(p, "quantity", PARSE_ABSENT);
}

static void parse_tokens(struct parse *p, const struct config *config, struct command *command)
{
	int64_t bytes = parse_int(p, "inputBytes", 0, BYTES_MAX, -1);
	int64_t input = parse_int(p, "inputTokens", 0, COUNTS_MAX, -1);
	int64_t output = parse_int(p, "maxOutputTokens", 0, COUNTS_MAX, config->estimate_output_tokens);

	if (bytes >= 0 && input >= 0)
		parse_wrong(p, "inputBytes", PARSE_ABSENT);
	if (bytes >= 0)
		input = bytes / config->bytes_per_token + (bytes % config->bytes_per_token > 0 ? 1 : 0);
	if (input > COUNTS_MAX)
		parse_wrong(p, "inputBytes", PARSE_COUNTS);
	command->authorize.fit = parse_bool(p, "fit", false);
	command->authorize.fit_minimum = parse_int(p, "fitMinimum", 1, COUNTS_MAX, config->fit_minimum);
	/* An action costs the same however many tokens it takes. */
	if (command->authorize.action != NULL)
		return;
	command->authorize.input_tokens = input >= 0 ? input : config->estimate_input_tokens;
	command->authorize.max_output_tokens = output;
}

/* Reads the account and the member, and returns the key of scope meter that may stand for them; NULL without one. */
static const char *parse_payer(struct parse *p, struct call *c, struct command *command)
{
	const char *key = parse_bytes(p, "meterKey", METER_KEY_MAX);

	parse_who(p, c, command);
	if (key == NULL && command->account_id == NULL)
		parse_need(p, "account");
	return key;
}

/* Returns the key of scope meter, NULL without one. */
static const char *parse_authorize(struct parse *p, struct call *c, struct command *command, struct grace_claim *claim)
{
	const char *key;
	int ttl_max_seconds;

	parse_record(p, c->request, c->body, authorize_members);
	key = parse_payer(p, c, command);
	command->request_id = parse_repeat(p);
	parse_item(p, command);
	parse_tokens(p, c->config, command);
	counted_parse(p, (enum dimension)DIMENSION_COLUMNS, &command->authorize.counts);
	command->authorize.variant = counted_parse_variant(p);
	command->authorize.tier = (enum service_tier)parse_name(p, "serviceTier", service_tier_named, TIER_STANDARD);
	ttl_max_seconds = command->authorize.tier == TIER_BATCH ? BATCH_TTL_MAX_SECONDS : TTL_MAX_SECONDS;
	command->authorize.ttl_us = parse_ttl(p, c->config->hold_ttl_seconds, ttl_max_seconds);
	command->authorize.byok = parse_providers(p, "byok");
	parse_labels(p, &command->authorize.labels);
	grace_parse(p, command, claim);
	/* A use is booked under the id of its request, else a repetition would be a second use. */
	if (claim->signature != NULL && command->request_id == NULL)
		parse_wrong(p, "requestId", PARSE_PRESENT);
	return key;
}

/* Resolves the key that the application gave to the meter into its account and its member.  The body's own, if given,
 * may only agree: otherwise a key would open another account. */
static enum outcome take_meter_key(struct parse *p, struct call *c, struct command *command, const char *key)
{
	struct auth_bound bound = {.account = NULL};
	const enum outcome outcome = auth_meter_key(c->auth, c->request, key, &bound);

	if (outcome != OUTCOME_OK)
		return outcome;
	if (command->account_id != NULL && strcmp(command->account_id, bound.account) != 0)
		parse_wrong(p, "account", PARSE_OF_KEY);
	if (command->member[0] != '\0' && strcmp(command->member, bound.member) != 0)
		parse_wrong(p, "member", PARSE_OF_KEY);
	command->member = bound.member;
	if (parse_ok(p))
		set_account(c, command, bound.account);
	return OUTCOME_OK;
}

/* The hold as authorize and extend answer it; item is the model or action it is for. */
static void put_hold(struct json_writer *w, const struct command *command, bool model, const char *item)
{
	const struct answer *a = &command->answer;

	json_put_text(w, "decision", "allow");
	json_put_text(w, "source", names_source(a->source));
	if (model)
		json_put_text(w, "provider", a->provider);
	json_put_text(w, model ? "model" : "action", item);
	render_put_id(w, "hold", &command->account, a->seq);
	json_put_int(w, "reservedMicros", a->amount_micros);
	put_figures(w, a);
	if (model)
		json_put_int(w, "maxOutputTokens", a->max_output_tokens);
	json_put_int(w, "priceVersion", a->price_version);
	json_put_time(w, "expiresAt", a->expires_at_us);
	json_put_bool(w, "replayed", a->replayed);
	if (a->hold_state != HOLD_STATE_NONE)
		json_put_text(w, "holdState", names_hold_state(a->hold_state));
}

/* The account and the member of the key: a meter knows neither. */
static void put_payer(struct json_writer *w, const struct command *command)
{
	json_put_text(w, "account", command->account_id);
	if (command->member[0] != '\0')
		json_put_text(w, "member", command->member);
}

static void finish_authorize(struct call *c)
{
	const struct command *command = c->command;
	bool model = command->authorize.model_count > 0;
	struct json_writer w;

	CHECK(!model || command->answer.choice < command->authorize.model_count);
	render_open(c, &w);
	put_hold(&w, command, model,
	         model ? command->authorize.models[command->answer.choice] : command->authorize.action);
	if (json_get_text(c->body, "meterKey")[0] != '\0')
		put_payer(&w, command);
	grace_put(&w, c, command);
	render_close(&w);
}

void guard_authorize(struct call *c)
{
	struct command *command = call_command(c, COMMAND_AUTHORIZE);
	enum outcome outcome = OUTCOME_OK;
	struct grace_claim claim;
	const char *key;
	struct parse p;

	if (command == NULL)
		return;
	key = parse_authorize(&p, c, command, &claim);
	if (key != NULL && parse_ok(&p))
		outcome = take_meter_key(&p, c, command, key);
	if (outcome != OUTCOME_OK)
		render_outcome(c, outcome);
	else if (!parse_ok(&p) || grace_admit(c, command, &claim))
		submit_parsed(c, command, finish_authorize, &p);
}

/* ---- settle ---------------------------------------------------------------------------------- */

static const char *const settle_members[] = {
	"hold",    "usage",     "inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens",
	"outcome", "messageId", "counts",      "variant",      "serviceTier",     "providerCost",
	NULL,
};
static const char *const settle_many_members[] = {"settlements", NULL};

static int outcome_number(const char *name)
{
	static const char *const names[] = {
		[SETTLE_COMPLETE] = "complete",
		[SETTLE_PARTIAL] = "partial",
		[SETTLE_FAILED] = "failed",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -1;
}

/* Reads the provider's object.  A wrong member is named with its path, as in "usage.prompt_tokens". */
static void parse_usage_object(struct parse *p, struct command *command)
{
	char inner[sizeof("usage.") + USAGE_FIELD_MAX];
	const char *named = NULL;
	struct usage usage;

	if (usage_read(json_get(p->record, "usage"), &usage) == 0) {
		command->settle.has_usage = usage.counted;
		command->settle.zero = usage.zero;
		command->settle.no_input = usage.no_input;
		command->settle.rest = usage.rest;
		command->settle.counts = usage.counts;
		command->settle.tier = usage.tier;
		command->settle.has_cost = usage.has_cost;
		command->settle.cost_pico = usage.cost_pico;
		if (usage.variant[0] != '\0')
			command->settle.variant = arena_copy(p->request->arena, usage.variant, strlen(usage.variant));
		return;
	}
	if (strcmp(usage.field, "usage") != 0) {
		snprintf(inner, sizeof(inner), "usage.%s", usage.field);
		named = arena_copy(p->request->arena, inner, strlen(inner));
	}
	parse_wrong(p, named != NULL ? named : "usage", PARSE_COUNTS);
}

/* Adds the counts by name to those of the provider's object.  A count that both say must be the same. */
static void parse_more_counts(struct parse *p, struct command *command)
{
	struct counts more = {{0}};
	bool same = true;

	if (!parse_given(p, "counts"))
		return;
	counted_parse(p, DIMENSION_INPUT, &more);
	for (int d = 0; d < DIMENSION_COUNT; d++) {
		int64_t *count = &command->settle.counts.of[d];

		same = same && (more.of[d] == 0 || *count == 0 || *count == more.of[d]);
		if (*count == 0)
			*count = more.of[d];
	}
	if (!same)
		parse_wrong(p, "counts", PARSE_DIFFERENT);
	if (more.of[DIMENSION_INPUT] > 0)
		command->settle.no_input = false;
	command->settle.has_usage = command->settle.has_usage || counts_any(&more);
}

/* Reads what the provider itself charges, in dollars. */
static void parse_provider_cost(struct parse *p, struct command *command)
{
	const char *text = parse_bytes(p, "providerCost", MONEY_TEXT_MAX - 1);
	int64_t pico;

	if (text == NULL)
		return;
	if (decimal_parse(text, strlen(text), USAGE_COST_PLACES, true, &pico) != 0 || pico < 0)
		parse_wrong(p, "providerCost", PARSE_DECIMAL);
	else if (command->settle.has_cost && command->settle.cost_pico != pico)
		parse_wrong(p, "providerCost", PARSE_DIFFERENT);
	command->settle.has_cost = true;
	command->settle.cost_pico = pico;
}

/* Reads the tier and the variant as served; each may stand in the provider's object too. */
static void parse_served(struct parse *p, struct command *command)
{
	const int tier = parse_name(p, "serviceTier", service_tier_named, -1);
	const char *variant = counted_parse_variant(p);

	if (tier >= 0 && command->settle.tier >= 0 && tier != command->settle.tier)
		parse_wrong(p, "serviceTier", PARSE_DIFFERENT);
	if (tier >= 0)
		command->settle.tier = tier;
	if (variant[0] != '\0' && command->settle.variant[0] != '\0' && strcmp(variant, command->settle.variant) != 0)
		parse_wrong(p, "variant", PARSE_DIFFERENT);
	if (variant[0] != '\0')
		command->settle.variant = variant;
}

/* A provider's object, or the four counts by themselves; not both.  The other counts go with either. */
static void parse_usage(struct parse *p, struct command *command)
{
	static const struct {
		const char *name;
		enum dimension dimension;
	} counts[] = {
		{"inputTokens", DIMENSION_INPUT},
		{"outputTokens", DIMENSION_OUTPUT},
		{"cacheReadTokens", DIMENSION_CACHE_READ},
		{"cacheWriteTokens", DIMENSION_CACHE_WRITE},
	};
	bool provided = parse_given(p, "usage");

	command->settle.tier = -1;
	command->settle.variant = "";
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (!parse_given(p, counts[i].name))
			continue;
		if (provided)
			parse_wrong(p, counts[i].name, PARSE_ABSENT);
		command->settle.has_usage = true;
		command->settle.counts.of[counts[i].dimension] = parse_int(p, counts[i].name, 0, COUNTS_MAX, 0);
	}
	if (provided)
		parse_usage_object(p, command);
	parse_more_counts(p, command);
	parse_served(p, command);
	parse_provider_cost(p, command);
}

static void parse_settlement(struct parse *p, struct command *command)
{
	command->kind = COMMAND_SETTLE;
	parse_hold(p, command);
	parse_usage(p, command);
	command->settle.outcome = (enum settle_outcome)parse_name(p, "outcome", outcome_number, SETTLE_COMPLETE);
	command->settle.message_id = or_empty(parse_text(p, "messageId", 1, LABEL_MAX));
}

static void put_settlement(struct json_writer *w, const struct command *command)
{
	const struct answer *a = &command->answer;
	int64_t per_minor = render_per_minor(a->unit);

	render_put_id(w, "hold", &command->account, command->hold_seq);
	json_put_minor(w, "cost", a->amount_micros, per_minor);
	json_put_int(w, "costMicros", a->amount_micros);
	put_figures(w, a);
	/* Nothing was due, and nothing was paid: exact. */
	json_put_text(w, "settlement",
	              names_settlement(a->settlement != SETTLEMENT_NONE ? a->settlement : SETTLEMENT_EXACT));
	if (a->incomplete)
		json_put_bool(w, "usageIncomplete", true);
	json_put_bool(w, "replayed", a->replayed);
	json_open_record(w, "credits");
	json_put_minor(w, "used", a->amount_micros, per_minor);
	render_put_whole(w, "balance", a->balance_micros, a->unit);
	json_put_int(w, "inputTokens", a->counts.of[DIMENSION_INPUT]);
	json_put_int(w, "outputTokens", a->counts.of[DIMENSION_OUTPUT]);
	json_close_record(w);
}

static void finish_settle(struct call *c)
{
	struct json_writer w;

	render_open(c, &w);
	put_settlement(&w, c->command);
	render_close(&w);
}

static void settle_one(struct call *c)
{
	struct command *command = call_command(c, COMMAND_SETTLE);
	struct parse p;

	if (command == NULL)
		return;
	parse_record(&p, c->request, c->body, settle_members);
	parse_settlement(&p, command);
	submit_parsed(c, command, finish_settle, &p);
}

/* Many settlements: the parse of each, and a command for each valid one. */
struct settlements {
	size_t count;
	struct parse *parses;
	int *places; /* index in commands, -1 for an invalid settlement */
	struct command *commands;
	int command_count;
};

/* -1 when memory is short. */
static int settlements_parse(struct settlements *s, struct call *c, const struct json *list)
{
	struct arena *arena = c->request->arena;

	s->count = json_size(list);
	s->command_count = 0;
	s->parses = arena_alloc(arena, s->count * sizeof(*s->parses));
	s->places = arena_alloc(arena, s->count * sizeof(*s->places));
	s->commands = arena_alloc(arena, s->count * sizeof(*s->commands));
	if (s->parses == NULL || s->places == NULL || s->commands == NULL)
		return -1;
	for (size_t i = 0; i < s->count; i++) {
		const struct json *item = json_at(list, i);
		struct command *command = &s->commands[s->command_count];

		if (json_type(item) == JSON_RECORD) {
			parse_record(&s->parses[i], c->request, item, settle_members);
			memset(command, 0, sizeof(*command));
			parse_settlement(&s->parses[i], command);
		} else {
			parse_query(&s->parses[i], c->request);
			parse_wrong(&s->parses[i], "settlements", PARSE_RECORD);
		}
		s->places[i] = parse_ok(&s->parses[i]) ? s->command_count++ : -1;
	}
	return 0;
}

/* True if there are commands, and the ledger answered none of them. */
static bool settlements_unavailable(const struct settlements *s)
{
	for (int i = 0; i < s->command_count; i++)
		if (s->commands[i].answer.outcome != OUTCOME_UNAVAILABLE)
			return false;
	return s->command_count > 0;
}

static void put_wrong(struct json_writer *w, const struct call *c, const struct parse *p)
{
	struct refusal r = {.outcome = OUTCOME_INVALID_REQUEST, .field = p->field};
	struct buf message;

	buf_init(&message, 1024);
	parse_message(p, c->french, &message);
	r.message = buf_text(&message);
	json_put_int(w, "status", outcome_status(r.outcome));
	render_refusal_members(w, c, &r);
	buf_free(&message);
}

static void put_result(struct json_writer *w, const struct call *c, const struct command *command)
{
	const struct answer *a = &command->answer;
	const struct refusal r = render_refused(command);

	json_put_int(w, "status", outcome_status(a->outcome));
	if (a->outcome == OUTCOME_OK)
		put_settlement(w, command);
	else
		render_refusal_members(w, c, &r);
}

static void settle_many(struct call *c)
{
	struct settlements s;
	const struct json *list;
	struct json_writer w;
	struct parse p;

	parse_record(&p, c->request, c->body, settle_many_members);
	list = parse_list(&p, "settlements", 1, SETTLEMENTS_MAX);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	if (settlements_parse(&s, c, list) < 0) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	if (s.command_count > 0)
		ledger_submit_many(c->ledger, s.commands, s.command_count, c->request->deadline_us);
	if (settlements_unavailable(&s)) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	render_open(c, &w);
	json_open_list(&w, "results");
	for (size_t i = 0; i < s.count; i++) {
		json_open_record(&w, NULL);
		if (s.places[i] < 0)
			put_wrong(&w, c, &s.parses[i]);
		else
			put_result(&w, c, &s.commands[s.places[i]]);
		json_close_record(&w);
	}
	json_close_list(&w);
	render_close(&w);
}

void guard_settle(struct call *c)
{
	if (json_get(c->body, "settlements") != NULL)
		settle_many(c);
	else
		settle_one(c);
}

/* ---- release and extend ---------------------------------------------------------------------- */

static const char *const release_members[] = {"hold", NULL};
static const char *const extend_members[] = {"hold", "ttlSeconds", "maxOutputTokens", NULL};

static void finish_release(struct call *c)
{
	const struct command *command = c->command;
	struct json_writer w;

	render_open(c, &w);
	render_put_id(&w, "hold", &command->account, command->hold_seq);
	json_put_bool(&w, "released", true);
	put_figures(&w, &command->answer);
	json_put_bool(&w, "replayed", command->answer.replayed);
	render_close(&w);
}

void guard_release(struct call *c)
{
	struct command *command = call_command(c, COMMAND_RELEASE);
	struct parse p;

	if (command == NULL)
		return;
	parse_record(&p, c->request, c->body, release_members);
	parse_hold(&p, command);
	submit_parsed(c, command, finish_release, &p);
}

static void finish_extend(struct call *c)
{
	const struct answer *a = &c->command->answer;
	struct json_writer w;

	render_open(c, &w);
	put_hold(&w, c->command, a->provider[0] != '\0', a->item);
	render_close(&w);
}

void guard_extend(struct call *c)
{
	struct command *command = call_command(c, COMMAND_EXTEND);
	struct parse p;

	if (command == NULL)
		return;
	parse_record(&p, c->request, c->body, extend_members);
	parse_hold(&p, command);
	command->extend.max_output_tokens = parse_int(&p, "maxOutputTokens", 1, COUNTS_MAX, 0);
	/* An extension without maxOutputTokens and time asks for hold_ttl_seconds. */
	command->extend.ttl_us = parse_ttl(&p, command->extend.max_output_tokens > 0 ? 0 : c->config->hold_ttl_seconds,
	                                   BATCH_TTL_MAX_SECONDS);
	submit_parsed(c, command, finish_extend, &p);
}

/* ---- charge ---------------------------------------------------------------------------------- */

static const char *const charge_members[] = {
	"account", "member", "requestId", "action", "quantity", "conversationId", "messageId", "metadata", NULL,
};

static void parse_charge(struct parse *p, struct call *c, struct command *command)
{
	parse_record(p, c->request, c->body, charge_members);
	parse_need(p, "account");
	parse_who(p, c, command);
	command->request_id = parse_repeat(p);
	parse_need(p, "action");
	command->charge.action = parse_bytes(p, "action", ITEM_MAX);
	command->charge.quantity = parse_int(p, "quantity", 1, COMMAND_QUANTITY_MAX, 1);
	parse_labels(p, &command->charge.labels);
}

/* "2 crédits consommés": credits with all their decimals, money in its usual form. */
static void put_charge_message(struct json_writer *w, const struct call *c, const struct answer *a)
{
	char credits[MONEY_TEXT_MAX];
	char money[RENDER_AMOUNT_MAX];
	char text[96];

	if (a->unit == UNIT_CREDIT) {
		decimal_format(a->amount_micros, 6, 0, credits);
		sentence_fill(SENTENCE_CREDITS_USED, c->french, credits, text, sizeof(text));
	} else {
		render_amount(c, a->unit, a->amount_micros, money);
		sentence_fill(SENTENCE_MONEY_USED, c->french, money, text, sizeof(text));
	}
	json_put_text(w, "message", text);
}

static void finish_charge(struct call *c)
{
	const struct answer *a = &c->command->answer;
	struct json_writer w;

	render_open(c, &w);
	json_put_bool(&w, "success", true);
	render_put_id(&w, "usage", &c->command->account, a->seq);
	json_put_minor(&w, "creditsConsumed", a->amount_micros, render_per_minor(a->unit));
	json_put_minor(&w, "creditsRemaining", a->available_micros, render_per_minor(a->unit));
	json_put_int(&w, "costMicros", a->amount_micros);
	put_figures(&w, a);
	put_charge_message(&w, c, a);
	json_put_bool(&w, "replayed", a->replayed);
	render_close(&w);
}

void guard_charge(struct call *c)
{
	struct command *command = call_command(c, COMMAND_CHARGE);
	struct parse p;

	if (command == NULL)
		return;
	parse_charge(&p, c, command);
	submit_parsed(c, command, finish_charge, &p);
}

/* ---- check ----------------------------------------------------------------------------------- */

/* A parameter of the web server; without it, for a caller that shows a key, one of the query. */
static const char *check_value(struct call *c, struct parse *p, const char *parameter, const char *query)
{
	const char *value = request_parameter(c->request, parameter);

	if (value != NULL && value[0] != '\0')
		return value;
	return c->scope != SCOPE_SERVER ? parse_bytes(p, query, ITEM_MAX) : NULL;
}

static void finish_check(struct call *c)
{
	char available[24];

	c->response->status = 204;
	c->response->content_type = NULL;
	snprintf(available, sizeof(available), "%lld", (long long)c->command->answer.available_micros);
	response_header(c->response, "X-Octroi-Available-Micros", available);
}

void guard_check(struct call *c)
{
	struct command *command = call_command(c, COMMAND_CHECK);
	struct parse p;

	if (command == NULL)
		return;
	parse_query(&p, c->request);
	command->account_id = c->account;
	command->account = call_account_key(c);
	command->member = or_empty(check_value(c, &p, "OCTROI_MEMBER", "member"));
	command->check.model = or_empty(check_value(c, &p, "OCTROI_MODEL", "model"));
	command->check.input_tokens = c->config->estimate_input_tokens;
	command->check.max_output_tokens = c->config->estimate_output_tokens;
	if (command->member[0] != '\0' && !id_account_valid(command->member, strlen(command->member)))
		parse_wrong(&p, "member", PARSE_ACCOUNT);
	if (strlen(command->check.model) > ITEM_MAX)
		parse_wrong(&p, "model", PARSE_BYTES);
	submit_parsed(c, command, finish_check, &p);
}
