#include "ctl/ctl.h"
#include "ctl/reads.h"
#include "ctl/target.h"
#include "ledger/names.h"

#define PAGE "100"

/* ---- list ------------------------------------------------------------------------------------ */

static const struct listing_column columns[] = {
	{"member", "member", LISTING_TEXT},
	{"role", "role", LISTING_TEXT},
	{"quotaMicros", "quota", LISTING_AMOUNT},
	{"usedMicros", "used", LISTING_AMOUNT},
	{"limitMicros", "limit", LISTING_AMOUNT},
	{"dailyUsedMicros", "today", LISTING_AMOUNT},
	{"dailyLimitMicros", "daily limit", LISTING_AMOUNT},
	{"monthlyUsedMicros", "this month", LISTING_AMOUNT},
	{"monthlyLimitMicros", "monthly limit", LISTING_AMOUNT},
	{"heldMicros", "held", LISTING_AMOUNT},
	{"createdAt", "since", LISTING_TEXT},
	{"removedAt", "removed", LISTING_TEXT},
	{0},
};

static int list(struct ctl *c, const char *name)
{
	struct reads r = {.query = {{.name = "limit", .value = PAGE}}};
	struct buf path;
	int result = target_exists(c, name);

	if (result != CTL_OK)
		return result;
	reads_account_path(&path, name, "/members");
	r.path = buf_text(&path);
	result = reads_list(c, &r, "members", columns, true);
	buf_free(&path);
	return result;
}

int ctl_member_list(struct ctl *c)
{
	const char *name;

	return ctl_arguments(c, NULL, &name, 1, 1) < 0 ? CTL_FAILED : list(c, name);
}

/* ---- set and remove ---------------------------------------------------------------------------- */

/* Changes a member of an existing account: a mistyped name must not make an account. */
static int change_member(struct ctl *c, const char *name, struct command *command)
{
	int result = target_exists(c, name);

	if (result == CTL_OK)
		result = target_submit(c, command);
	return result == CTL_OK ? list(c, name) : result;
}

static int operands(struct ctl *c, const struct ctl_option *options, const char **names)
{
	if (ctl_arguments(c, options, names, 2, 2) < 0 || target_check_id("an account's", names[0]) != CTL_OK ||
	    target_check_id("a member's", names[1]) != CTL_OK)
		return CTL_FAILED;
	return CTL_OK;
}

int ctl_member_set(struct ctl *c)
{
	const char *role = NULL, *limit = NULL, *daily = NULL, *monthly = NULL;
	const struct ctl_option options[] = {
		{.name = "--role", .value = &role},
		{.name = "--limit", .value = &limit},
		{.name = "--daily-limit", .value = &daily},
		{.name = "--monthly-limit", .value = &monthly},
		{0},
	};
	const char *names[2];
	struct command command;
	bool set[3] = {false, false, false};

	if (operands(c, options, names) != CTL_OK)
		return CTL_FAILED;
	command = target_command(COMMAND_MEMBER, names[0]);
	command.member = names[1];
	if (role != NULL) {
		command.member_change.set_role = true;
		command.member_change.role = names_to_role(role);
		if (command.member_change.role < 0)
			return ctl_wrong("--role cannot be '%s'", role);
	}
	if (target_limit(limit, "--limit", &set[0], &command.member_change.limit_micros) != CTL_OK ||
	    target_limit(daily, "--daily-limit", &set[1], &command.member_change.daily_limit_micros) != CTL_OK ||
	    target_limit(monthly, "--monthly-limit", &set[2], &command.member_change.monthly_limit_micros) != CTL_OK)
		return CTL_FAILED;
	command.member_change.set_limit = set[0];
	command.member_change.set_daily_limit = set[1];
	command.member_change.set_monthly_limit = set[2];
	return change_member(c, names[0], &command);
}

int ctl_member_remove(struct ctl *c)
{
	const char *names[2];
	struct command command;

	if (operands(c, NULL, names) != CTL_OK)
		return CTL_FAILED;
	command = target_command(COMMAND_MEMBER, names[0]);
	command.member = names[1];
	command.member_change.remove = true;
	return change_member(c, names[0], &command);
}
