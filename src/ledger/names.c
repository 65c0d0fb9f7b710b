#include "ledger/names.h"

#include <stddef.h>
#include <string.h>

#include "base/check.h"
#include "ledger/command.h"
#include "prices/price.h"

static const char *const transactions[] = {
#define TRANSACTION(NAME, sign, priority, counterpart) #NAME,
#include "ledger/transactions.def"
#undef TRANSACTION
};
static const char *const settlements[] = {
	[SETTLEMENT_NONE] = "none",       [SETTLEMENT_EXACT] = "exact",
	[SETTLEMENT_PARTIAL] = "partial", [SETTLEMENT_ESTIMATED] = "estimated",
	[SETTLEMENT_LATE] = "late",       [SETTLEMENT_PROVIDER_REPORTED] = "provider_reported",
};
static const char *const modes[] = {[MODE_PREPAID] = "prepaid", [MODE_POSTPAID] = "postpaid"};
/* STATUS_UNPAID is called suspended too: the account may not spend.  reasons has the reason. */
static const char *const statuses[] = {
	[STATUS_ACTIVE] = "active",
	[STATUS_SUSPENDED] = "suspended",
	[STATUS_PAST_DUE] = "past_due",
	[STATUS_UNPAID] = "suspended",
};
static const char *const reasons[] = {
	[STATUS_ACTIVE] = "",
	[STATUS_SUSPENDED] = "manual",
	[STATUS_PAST_DUE] = "",
	[STATUS_UNPAID] = "unpaid",
};
static const char *const limits[] = {
	[LIMIT_NONE] = "",
	[LIMIT_BALANCE] = "balance",
	[LIMIT_HARD] = "hard_limit",
	[LIMIT_MEMBER] = "member",
	[LIMIT_DAILY] = "daily",
	[LIMIT_MONTHLY] = "monthly",
	[LIMIT_SUSPENDED] = "suspended",
};
static const char *const alerts[] = {
#define ALERT(NAME, name) [ALERT_##NAME] = name,
#include "ledger/alerts.def"
#undef ALERT
};
static const char *const roles[] = {[ROLE_MEMBER] = "member", [ROLE_MANAGER] = "manager"};
static const char *const sources[] = {[SOURCE_PLATFORM] = "platform", [SOURCE_BYOK] = "byok"};

static const char *const hold_states[] = {
	[HOLD_STATE_NONE] = "",           [HOLD_STATE_OPEN] = "open",
	[HOLD_STATE_SETTLED] = "settled", [HOLD_STATE_RELEASED] = "released",
	[HOLD_STATE_EXPIRED] = "expired",
};

static const char *const orders[] = {
	[TOPUP_OPEN] = "open",     [TOPUP_PENDING] = "pending", [TOPUP_EXPIRED] = "expired",
	[TOPUP_FAILED] = "failed", [TOPUP_PAID] = "paid",
};
static const char *const statements[] = {
	[STATEMENT_OPEN] = "open", [STATEMENT_SENT] = "sent", [STATEMENT_FAILED] = "failed",
	[STATEMENT_PAID] = "paid", [STATEMENT_VOID] = "void", [STATEMENT_CARRIED] = "carried",
};
static const char *const events[] = {
	[EVENT_APPLIED] = "applied",
	[EVENT_IGNORED] = "ignored",
	[EVENT_PARKED] = "parked",
	[EVENT_WAITING] = "waiting",
};
static const char *const tasks[] = {
	[OUTBOX_STATEMENT] = "statement", [OUTBOX_SOFT_LIMIT] = "soft_limit", [OUTBOX_RECHARGE] = "recharge"};
static const char *const task_states[] = {
	[OUTBOX_PENDING] = "pending", [OUTBOX_DONE] = "done", [OUTBOX_PARKED] = "parked"};

#define LENGTH(list) ((int)(sizeof(list) / sizeof((list)[0])))
_Static_assert(LENGTH(statuses) == LENGTH(reasons), "a reason for each status");

static const char *name_of(const char *const *list, int length, int64_t number)
{
	/* A number without a name would leave a gap in the list. */
	CHECK(number < 0 || number >= length || list[number] != NULL);
	return number >= 0 && number < length ? list[number] : "";
}

static int name_number(const char *const *list, int length, const char *name)
{
	for (int i = 0; i < length; i++)
		if (strcmp(list[i], name) == 0)
			return i;
	return -1;
}

const char *names_transaction(int64_t type)
{
	return name_of(transactions, LENGTH(transactions), type);
}

const char *names_settlement(int64_t settlement)
{
	return name_of(settlements, LENGTH(settlements), settlement);
}

const char *names_unit(int64_t unit)
{
	return price_unit_name(unit);
}

const char *names_mode(int64_t mode)
{
	return name_of(modes, LENGTH(modes), mode);
}

const char *names_status(int64_t status)
{
	return name_of(statuses, LENGTH(statuses), status);
}

const char *names_status_reason(int64_t status)
{
	return name_of(reasons, LENGTH(reasons), status);
}

const char *names_limit(int64_t limit)
{
	return name_of(limits, LENGTH(limits), limit);
}

const char *names_alert(int64_t kind)
{
	return name_of(alerts, LENGTH(alerts), kind);
}

const char *names_role(int64_t role)
{
	return name_of(roles, LENGTH(roles), role);
}

const char *names_source(int64_t source)
{
	return name_of(sources, LENGTH(sources), source);
}

const char *names_order(int64_t state)
{
	return name_of(orders, LENGTH(orders), state);
}

const char *names_statement(int64_t state)
{
	return name_of(statements, LENGTH(statements), state);
}

const char *names_event(int64_t state)
{
	return name_of(events, LENGTH(events), state);
}

const char *names_task(int64_t kind)
{
	return name_of(tasks, LENGTH(tasks), kind);
}

const char *names_task_state(int64_t state)
{
	return name_of(task_states, LENGTH(task_states), state);
}

const char *names_hold_state(int64_t state)
{
	return name_of(hold_states, LENGTH(hold_states), state);
}

int names_to_transaction(const char *name)
{
	return name_number(transactions, LENGTH(transactions), name);
}

int names_to_mode(const char *name)
{
	return name_number(modes, LENGTH(modes), name);
}

int names_to_status(const char *name)
{
	return name_number(statuses, STATUS_SUSPENDED + 1, name);
}

int names_to_role(const char *name)
{
	return name_number(roles, LENGTH(roles), name);
}
