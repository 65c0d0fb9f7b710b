#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "ctl/target.h"
#include "ledger/names.h"

#define PAGE 100

/* ---- list ------------------------------------------------------------------------------------ */

static int64_t used(int64_t used_micros, int64_t until_us, int64_t now_us)
{
	return until_us > now_us ? used_micros : 0;
}

static void put(struct listing *l, const struct reader_account *a, const struct reader_member *m)
{
	listing_row(l);
	listing_text(l, "member", "member", m->id);
	listing_text(l, "role", "role", names_role(m->role));
	listing_amount(l, "quotaMicros", "quota", m->quota_micros);
	listing_amount(l, "usedMicros", "used", used(m->period_micros, m->period_until_us, a->now_us));
	listing_limit(l, "limitMicros", "limit", m->limit_micros);
	listing_amount(l, "dailyUsedMicros", "today", used(m->day_micros, m->day_until_us, a->now_us));
	listing_limit(l, "dailyLimitMicros", "daily limit", m->daily_limit_micros);
	listing_amount(l, "monthlyUsedMicros", "this month", used(m->month_micros, m->month_until_us, a->now_us));
	listing_limit(l, "monthlyLimitMicros", "monthly limit", m->monthly_limit_micros);
	listing_amount(l, "heldMicros", "held", m->held_micros);
	listing_time(l, "createdAt", "since", m->created_at_us);
	listing_time(l, "removedAt", "removed", m->removed_at_us);
}

/* Lists all members, a page at a time. */
static int read_all(struct ctl *c, struct arena *arena, const struct reader_account *a, struct listing *l)
{
	const struct account_key key = id_account_key(a->external_id, strlen(a->external_id));
	char after[ID_ACCOUNT_MAX + 1] = "";
	bool more = true;

	while (more) {
		struct reader_member *rows = NULL;
		int count = 0;

		arena_reset(arena);
		if (reader_members(ctl_db(c), arena, &key, after, PAGE, &rows, &count, &more) != 0)
			return ctl_db_failed(c);
		for (int i = 0; i < count; i++)
			put(l, a, &rows[i]);
		if (more)
			memcpy(after, rows[count - 1].id, strlen(rows[count - 1].id) + 1);
	}
	return CTL_OK;
}

static int list(struct ctl *c, const char *name)
{
	struct arena *arena = target_arena(), *pages = target_arena();
	struct listing *l = listing_new("members");
	struct reader_account account;
	int result = arena != NULL && pages != NULL ? target_find(c, arena, name, &account) : CTL_FAILED;

	if (result == CTL_OK)
		result = read_all(c, pages, &account, l);
	if (result == CTL_OK)
		listing_print(l, c->json);
	listing_free(l);
	arena_free(pages);
	arena_free(arena);
	return result;
}

int ctl_member_list(struct ctl *c)
{
	const char *name;

	if (ctl_arguments(c, NULL, &name, 1, 1) < 0 || target_check_id("an account's", name) != CTL_OK)
		return CTL_FAILED;
	return list(c, name);
}

/* ---- set and remove ---------------------------------------------------------------------------- */

/* Changes a member of an existing account: a mistyped name must not make an account. */
static int change(struct ctl *c, const char *name, struct command *command)
{
	struct arena *arena = target_arena();
	struct reader_account account;
	int result;

	if (arena == NULL)
		return CTL_FAILED;
	result = target_find(c, arena, name, &account);
	arena_free(arena);
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
			return ctl_fail("--role cannot be '%s'", role);
	}
	if (target_limit(limit, "--limit", &set[0], &command.member_change.limit_micros) != CTL_OK ||
	    target_limit(daily, "--daily-limit", &set[1], &command.member_change.daily_limit_micros) != CTL_OK ||
	    target_limit(monthly, "--monthly-limit", &set[2], &command.member_change.monthly_limit_micros) != CTL_OK)
		return CTL_FAILED;
	command.member_change.set_limit = set[0];
	command.member_change.set_daily_limit = set[1];
	command.member_change.set_monthly_limit = set[2];
	return change(c, names[0], &command);
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
	return change(c, names[0], &command);
}
