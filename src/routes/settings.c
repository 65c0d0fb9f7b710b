/*
 * settings: the spending limits of an account and its members, as its owner and its managers see and set them;
 * any other member sees its own.
 */
#include <string.h>

#include "queries/reader.h"
#include "routes/api/call.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"
#include "routes/people.h"
#include "routes/routes.h"
#include "routes/show.h"
#include "routes/spending.h"

#define MEMBERS_MAX 100

/* ---- GET ------------------------------------------------------------------------------------- */

static void put_settings(struct call *c, const struct reader_account *a, bool manages, const struct people *page)
{
	struct json_writer w;

	render_open(c, &w);
	json_put_text(&w, "account", a->external_id);
	json_put_bool(&w, "mayChange", manages && c->scope != SCOPE_REPORT);
	if (manages) {
		show_limits(&w, c, a);
	}
	people_put(&w, "members", c, a, page);
	render_close(&w);
}

void settings_get(struct call *c)
{
	const struct account_key key = call_account_key(c);
	struct reader_account account;
	struct people page;
	struct parse p;
	struct db *d;
	bool manages;
	int result;

	parse_query(&p, c->request);
	people_parse(&p, &page);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	if (call_manages(c, &manages) < 0 || !call_touch(c, &key))
		return;
	d = call_reader(c);
	if (d == NULL)
		return;
	result = reader_account(d, c->request->arena, &key, &account);
	if (result == 0)
		result = manages ? people_read(c, d, &key, &page) : people_read_one(c, d, &key, c->member, &page);
	pool_give(c->readers, d);
	if (result < 0 || !account.found)
		render_outcome(c, OUTCOME_UNAVAILABLE);
	else
		put_settings(c, &account, manages, &page);
}

/* ---- PUT ------------------------------------------------------------------------------------- */

static const char *const members_of_change[] = {"dailyLimitMicros", "monthlyLimitMicros", "members", NULL};
static const char *const members_of_member[] = {"limitMicros", "dailyLimitMicros", "monthlyLimitMicros", NULL};

/* The requested changes as commands: the account's first, if there is one, then each member's. */
struct changes {
	struct call *call;
	struct parse *parse;
	struct command commands[1 + MEMBERS_MAX];
	int count;
};

static struct command *add_setting(struct changes *s, enum command_kind kind)
{
	struct command *command = &s->commands[s->count++];

	*command = (struct command){
		.kind = kind,
		.account = call_account_key(s->call),
		.account_id = s->call->account,
		.member = "",
	};
	return command;
}

static void parse_account_limits(struct changes *s)
{
	int64_t daily, monthly;
	const bool set_daily = parse_limit(s->parse, "dailyLimitMicros", &daily);
	const bool set_monthly = parse_limit(s->parse, "monthlyLimitMicros", &monthly);
	struct command *command;

	if (!set_daily && !set_monthly)
		return;
	command = add_setting(s, COMMAND_ACCOUNT);
	command->account_change.set_daily_limit = set_daily;
	command->account_change.daily_limit_micros = daily;
	command->account_change.set_monthly_limit = set_monthly;
	command->account_change.monthly_limit_micros = monthly;
}

/* Reads one member of "members". */
static int parse_member_limits(void *context, const char *id, const struct json *limits)
{
	struct changes *s = context;
	struct command *command;
	struct parse inner;

	if (!id_account_valid(id, strlen(id)) || json_type(limits) != JSON_RECORD) {
		parse_wrong(s->parse, "members", json_type(limits) != JSON_RECORD ? PARSE_RECORD : PARSE_ACCOUNT);
		return 1;
	}
	command = add_setting(s, COMMAND_MEMBER);
	command->member = id;
	command->member_change.must_exist = true;
	parse_record(&inner, s->call->request, limits, members_of_member);
	command->member_change.set_limit = parse_limit(&inner, "limitMicros", &command->member_change.limit_micros);
	command->member_change.set_daily_limit =
		parse_limit(&inner, "dailyLimitMicros", &command->member_change.daily_limit_micros);
	command->member_change.set_monthly_limit =
		parse_limit(&inner, "monthlyLimitMicros", &command->member_change.monthly_limit_micros);
	parse_inner(s->parse, &inner, "members", id);
	return parse_ok(s->parse) ? 0 : 1;
}

static void put_saved_settings(struct json_writer *w, const struct call *c, const struct command *command)
{
	const struct refusal r = render_refused(command);

	json_open_record(w, NULL);
	json_put_int(w, "status", outcome_status(command->answer.outcome));
	if (command->kind == COMMAND_MEMBER)
		json_put_text(w, "member", command->member);
	if (command->answer.outcome != OUTCOME_OK)
		render_refusal_members(w, c, &r);
	json_close_record(w);
}

/* Each change is made or refused by itself; a change that the database did not answer has status 503.  The answer
 * itself is 503 if all have. */
static void submit_settings(struct changes *s)
{
	struct call *c = s->call;
	struct json_writer w;
	bool any = s->count == 0;

	if (s->count > 0)
		ledger_submit_many(c->ledger, s->commands, s->count, c->request->deadline_us);
	for (int i = 0; i < s->count; i++)
		any = any || s->commands[i].answer.outcome != OUTCOME_UNAVAILABLE;
	if (!any) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	render_open(c, &w);
	json_put_text(&w, "account", c->account);
	json_open_list(&w, "results");
	for (int i = 0; i < s->count; i++)
		put_saved_settings(&w, c, &s->commands[i]);
	json_close_list(&w);
	render_close(&w);
}

void settings_put(struct call *c)
{
	struct changes *s;
	const struct json *members;
	struct parse p;

	if (!call_may_manage(c))
		return;
	s = arena_alloc(c->request->arena, sizeof(*s));
	if (s == NULL) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	s->call = c;
	s->parse = &p;
	s->count = 0;
	parse_record(&p, c->request, c->body, members_of_change);
	parse_account_limits(s);
	members = parse_map(&p, "members", MEMBERS_MAX);
	if (members != NULL)
		json_each(members, parse_member_limits, s);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	if (s->count == 0 || s->commands[0].kind != COMMAND_ACCOUNT || spending_count(c, &s->commands[0]))
		submit_settings(s);
}
