#include "routes/api/steps.h"

#include <string.h>

#include "queries/reader.h"
#include "routes/api/render.h"

struct command *call_command(struct call *c, enum command_kind kind)
{
	struct command *command = arena_alloc(c->request->arena, sizeof(*command));

	if (command != NULL)
		command->kind = kind;
	else
		render_outcome(c, OUTCOME_UNAVAILABLE);
	return command;
}

void call_then(struct call *c, struct command *command, call_finish *finish)
{
	c->command = command;
	c->finish = finish;
}

bool call_submit(struct call *c, struct command *command)
{
	ledger_submit(c->ledger, command, c->request->deadline_us);
	if (command->answer.outcome == OUTCOME_OK)
		return true;
	render_answer(c, command);
	return false;
}

struct db *call_reader(struct call *c)
{
	struct db *d = pool_take(c->readers, c->request->deadline_us);

	if (d == NULL)
		render_outcome(c, OUTCOME_UNAVAILABLE);
	return d;
}

void call_asks(const struct call *c, struct command *command)
{
	/* An operator asks about a member, perhaps a removed one, and is none itself. */
	command->member = c->scope == SCOPE_ADMIN ? "" : c->member;
	command->by_customer = c->scope == SCOPE_BROWSER || c->scope == SCOPE_SERVER;
}

bool call_touch(struct call *c, const struct account_key *key)
{
	struct command command = {
		.kind = COMMAND_TOUCH,
		.account = *key,
		.account_id = c->account,
		.touch = {.create = c->scope != SCOPE_REPORT},
	};

	call_asks(c, &command);
	if (!call_submit(c, &command))
		return false;
	if (command.answer.absent)
		render_outcome(c, OUTCOME_NOT_FOUND);
	return !command.answer.absent;
}

struct account_key call_account_key(const struct call *c)
{
	return id_account_key(c->account, strlen(c->account));
}

enum outcome call_may_read(const struct call *c, struct db *d, const struct account_key *key,
                           const struct reader_account *account)
{
	bool removed = false;

	if (c->member[0] == '\0' || !account->workspace.found)
		return OUTCOME_OK;
	if (reader_removed(d, key, c->member, &removed) < 0)
		return OUTCOME_UNAVAILABLE;
	return removed ? OUTCOME_FORBIDDEN : OUTCOME_OK;
}

int call_manages(struct call *c, bool *manages)
{
	const struct account_key key = call_account_key(c);
	struct db *d;
	int result;

	*manages = c->member[0] == '\0';
	if (*manages)
		return 0;
	d = call_reader(c);
	if (d == NULL)
		return -1;
	result = reader_manager(d, &key, c->member, manages);
	pool_give(c->readers, d);
	if (result < 0)
		render_outcome(c, OUTCOME_UNAVAILABLE);
	return result;
}

bool call_may_manage(struct call *c)
{
	bool manages;

	if (call_manages(c, &manages) < 0)
		return false;
	if (!manages)
		render_outcome(c, OUTCOME_FORBIDDEN);
	return manages;
}

bool call_enter_slow(struct call *c)
{
	const struct account_key key = call_account_key(c);

	if (c->stripe == NULL) {
		render_said(c, OUTCOME_UNAVAILABLE, NULL, SENTENCE_NO_PAYMENTS);
		return false;
	}
	if (bulkhead_enter(c->slow, &key))
		return true;
	render_said(c, OUTCOME_RATE_LIMITED, NULL, SENTENCE_PAYMENTS_BUSY);
	return false;
}

void call_leave_slow(struct call *c)
{
	const struct account_key key = call_account_key(c);

	bulkhead_leave(c->slow, &key);
}
