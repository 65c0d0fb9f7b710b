#include "ctl/target.h"

#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/money.h"

#define ARENA_MAX ((size_t)1 << 20) /* one account's row takes a fraction */

int target_check_id(const char *what, const char *id)
{
	if (id_account_valid(id, strlen(id)))
		return CTL_OK;
	return ctl_wrong("%s id is 1 to 128 of A-Z a-z 0-9 . _ : @ -", what);
}

int target_read(struct ctl *c, struct arena *arena, const char *name, struct reader_account *account)
{
	const struct account_key key = id_account_key(name, strlen(name));

	if (target_check_id("an account's", name) != CTL_OK)
		return CTL_FAILED;
	if (arena == NULL)
		return ctl_fail("out of memory");
	return reader_account(ctl_db(c), arena, &key, account) == 0 ? CTL_OK : ctl_db_failed(c);
}

int target_exists(struct ctl *c, const char *name)
{
	struct arena *arena = arena_new(ARENA_MAX);
	struct reader_account account;
	int result = target_read(c, arena, name, &account);

	if (result == CTL_OK && !account.found)
		result = ctl_refuse(OUTCOME_NOT_FOUND,
		                    "there is no account %s; one is made by its first request, or by octroictl account "
		                    "create %s",
		                    name, name);
	arena_free(arena);
	return result;
}

struct command target_command(enum command_kind kind, const char *name)
{
	return (struct command){
		.kind = kind,
		.account = id_account_key(name, strlen(name)),
		.account_id = name,
		.member = "",
	};
}

int target_submit(struct ctl *c, struct command *command)
{
	const struct answer *a = &command->answer;

	ledger_submit(ctl_ledger(c), command, clock_monotonic_us() + CTL_LEDGER_TIMEOUT_US);
	if (a->outcome == OUTCOME_OK)
		return CTL_OK;
	if (a->outcome == OUTCOME_UNAVAILABLE)
		return ctl_refuse(OUTCOME_UNAVAILABLE,
		                  "the database did not answer in time; whether it was booked is not known.  "
		                  "Repeating it with the same --request-id is safe.");
	(void)ctl_refuse(a->outcome, "%s: %s%s%s", outcome_name(a->outcome), outcome_message(a->outcome, 0),
	                 a->outcome == OUTCOME_INVALID_REQUEST && a->field != NULL ? " Field: " : "",
	                 a->outcome == OUTCOME_INVALID_REQUEST && a->field != NULL ? a->field : "");
	return CTL_NO;
}

int target_limit(const char *text, const char *option, bool *set, micros *limit)
{
	if (text == NULL)
		return CTL_OK;
	*set = true;
	*limit = COMMAND_NO_LIMIT;
	if (strcmp(text, "none") == 0)
		return CTL_OK;
	return ctl_decimal(text, option, 0, MONEY_AMOUNT_MAX_MICROS, limit) == 0 ? CTL_OK : CTL_FAILED;
}
