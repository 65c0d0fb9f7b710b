#include "ledger/decide/workspace.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/alert.h"
#include "ledger/decide/due.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/row_check.h"
#include "ledger/decide/window.h"

struct workspaces_row *workspace_of(struct decide *d, struct slot *s)
{
	(void)d;
	CHECK(s->workspace == NULL || (s->account != NULL && s->account->workspace != 0));
	return s->workspace;
}

struct workspaces_row *workspace_ensure(struct decide *d, struct slot *s)
{
	struct workspaces_row *w = s->workspace;

	CHECK(s->account != NULL && (w != NULL || s->account->workspace == 0));
	if (w == NULL) {
		w = (struct workspaces_row *)rows_alloc(d->rows, TABLE_WORKSPACES);
		memcpy(w->account_id, s->key.bytes, sizeof(w->account_id));
		w->time_zone = s->zone == d->billing.zone ? "" : zone_name(s->zone);
		w->daily_limit_micros = COMMAND_NO_LIMIT;
		w->monthly_limit_micros = COMMAND_NO_LIMIT;
		rows_add(d->rows, s, &w->row);
		s->workspace = w;
		s->account->workspace = 1;
		rows_touch(d->rows, &s->account->row);
	}
	rows_touch(d->rows, &w->row);
	row_check_workspace(w);
	return w;
}

const struct zone *workspace_zone(const struct decide *d, const struct workspaces_row *w)
{
	struct account_key key;

	memcpy(key.bytes, w->account_id, sizeof(key.bytes));
	return rows_slot_known(d->rows, &key)->zone;
}

struct members_row *workspace_member(struct decide *d, struct slot *s, const char *member)
{
	if (s->workspace == NULL || member[0] == '\0')
		return NULL;
	if (rows_wanted(d->rows, s, TABLE_MEMBERS, member))
		return rows_member(d->rows, s, member);
	/* Of a workspace that was made in this batch all members are known. */
	CHECK(s->members_loaded);
	return NULL;
}

/* ---- windows ------------------------------------------------------------------------------------- */

/* Adds to a window's sum.  The sum never falls below zero, even if a cost of an earlier window is taken back. */
static void count_member(micros *used, micros change)
{
	CHECK(*used >= 0);
	*used = money_sum(*used, change);
	if (*used < 0)
		*used = 0;
}

/* Without a plan a member's period is the month. */
static void turn_period(const struct slot *s, struct members_row *m, int64_t at_us)
{
	if (at_us >= m->period_until_us && s->workspace->period_end_us > at_us)
		window_begin(&m->period_micros, &m->period_until_us, s->workspace->period_end_us);
	else
		window_turn(&m->period_micros, &m->period_until_us, s->zone, zone_next_month, at_us);
	CHECK(at_us < m->period_until_us);
}

/* ---- members ------------------------------------------------------------------------------------- */

micros workspace_used(const struct members_row *m, int64_t at_us)
{
	return window_used(m->period_micros, m->period_until_us, at_us);
}

micros workspace_unused(const struct members_row *m, int64_t at_us)
{
	const micros unused = money_sum(m->quota_micros, -money_sum(workspace_used(m, at_us), m->held_micros));

	CHECK(unused <= m->quota_micros);
	return unused > 0 ? unused : 0;
}

static void reserve_in_workspace(struct decide *d, struct slot *s, struct members_row *m, micros before, int64_t at_us)
{
	const micros more = money_sum(workspace_unused(m, at_us), -before);

	s->workspace->reserved_micros = money_sum(s->workspace->reserved_micros, more);
	CHECK(s->workspace->reserved_micros >= 0);
	row_check_member(m);
	rows_touch(d->rows, &m->row);
	rows_touch(d->rows, &s->workspace->row);
}

void workspace_set_quota(struct decide *d, struct slot *s, struct members_row *m, micros quota, int64_t at_us)
{
	const micros before = workspace_unused(m, at_us);

	CHECK(quota >= 0);
	m->quota_micros = quota;
	reserve_in_workspace(d, s, m, before, at_us);
}

void workspace_restart(struct decide *d, struct slot *s, struct members_row *m, micros quota, int64_t at_us)
{
	/* As of the end of the period before: that amount is reserved until now. */
	const micros before = workspace_unused(m, at_us - 1);

	m->period_until_us = 0;
	turn_period(s, m, at_us);
	CHECK(quota >= 0 && workspace_used(m, at_us) == 0);
	m->quota_micros = quota;
	reserve_in_workspace(d, s, m, before, at_us);
}

/* An event in the very moment in which the plan's period ends comes before that end. */
static int64_t within_period(const struct workspaces_row *w, int64_t at_us)
{
	return w->period_end_us != 0 && at_us >= w->period_end_us ? w->period_end_us - 1 : at_us;
}

void workspace_held(struct decide *d, struct slot *s, const struct holds_row *h, micros change, int64_t at_us)
{
	struct members_row *m = workspace_member(d, s, h->member);
	micros before;

	/* Holds from before the member joined are not its own. */
	if (m == NULL || h->seq <= m->from_seq)
		return;
	at_us = within_period(s->workspace, at_us);
	before = workspace_unused(m, at_us);
	m->held_micros = money_sum(m->held_micros, change);
	CHECK(m->held_micros >= 0);
	reserve_in_workspace(d, s, m, before, at_us);
}

/* Counts within a window that has a limit, and tells when the limit is reached. */
static void count_limited(struct decide *d, struct slot *s, micros *used, micros change, const struct alert_what *limit)
{
	const micros before = *used;

	count_member(used, change);
	alert_limit(d, s, limit, before, *used);
}

static void count_account(struct decide *d, struct slot *s, struct workspaces_row *w, micros change)
{
	struct alert_what limit = {.limit = LIMIT_DAILY, .threshold_micros = w->daily_limit_micros};

	count_limited(d, s, &w->day_micros, change, &limit);
	limit.limit = LIMIT_MONTHLY;
	limit.threshold_micros = w->monthly_limit_micros;
	count_limited(d, s, &w->month_micros, change, &limit);
}

static void count_of_member(struct decide *d, struct slot *s, struct members_row *m, micros change)
{
	struct alert_what limit = {.limit = LIMIT_MEMBER, .threshold_micros = m->limit_micros, .member = m->member_id};

	count_limited(d, s, &m->period_micros, change, &limit);
	limit.limit = LIMIT_DAILY;
	limit.threshold_micros = m->daily_limit_micros;
	count_limited(d, s, &m->day_micros, change, &limit);
	limit.limit = LIMIT_MONTHLY;
	limit.threshold_micros = m->monthly_limit_micros;
	count_limited(d, s, &m->month_micros, change, &limit);
}

void workspace_spent(struct decide *d, struct slot *s, const char *member, micros change, int64_t at_us)
{
	struct workspaces_row *w = workspace_of(d, s);
	struct members_row *m = workspace_member(d, s, member);
	micros before;

	if (w == NULL)
		return;
	window_turn(&w->day_micros, &w->day_until_us, s->zone, zone_next_day, at_us);
	window_turn(&w->month_micros, &w->month_until_us, s->zone, zone_next_month, at_us);
	count_account(d, s, w, change);
	row_check_workspace(w);
	rows_touch(d->rows, &w->row);
	if (m == NULL)
		return;
	window_turn(&m->day_micros, &m->day_until_us, s->zone, zone_next_day, at_us);
	window_turn(&m->month_micros, &m->month_until_us, s->zone, zone_next_month, at_us);
	at_us = within_period(w, at_us);
	before = workspace_unused(m, at_us);
	turn_period(s, m, at_us);
	count_of_member(d, s, m, change);
	reserve_in_workspace(d, s, m, before, at_us);
}

void workspace_note(struct decide *d, struct slot *s, const char *member, struct captures_row *c)
{
	const struct workspaces_row *w = workspace_of(d, s);
	const struct members_row *m = workspace_member(d, s, member);

	if (w == NULL)
		return;
	c->period_end_us = w->period_end_us;
	c->day_until_us = w->day_until_us;
	c->month_until_us = w->month_until_us;
	if (m == NULL)
		return;
	c->member_period_until_us = m->period_until_us;
	c->member_day_until_us = m->day_until_us;
	c->member_month_until_us = m->month_until_us;
}

static void leave(int64_t counted_us, int64_t until_us, micros *used, micros amount, int64_t at_us)
{
	CHECK(amount > 0);
	if (counted_us == until_us && at_us < until_us)
		count_member(used, -amount);
}

void workspace_given_back(struct decide *d, struct slot *s, const char *member, const struct captures_row *c,
                          micros amount, int64_t at_us)
{
	struct workspaces_row *w = workspace_of(d, s);
	struct members_row *m = workspace_member(d, s, member);
	micros before;

	if (w == NULL)
		return;
	leave(c->day_until_us, w->day_until_us, &w->day_micros, amount, at_us);
	leave(c->month_until_us, w->month_until_us, &w->month_micros, amount, at_us);
	rows_touch(d->rows, &w->row);
	if (m == NULL)
		return;
	leave(c->member_day_until_us, m->day_until_us, &m->day_micros, amount, at_us);
	leave(c->member_month_until_us, m->month_until_us, &m->month_micros, amount, at_us);
	before = workspace_unused(m, at_us);
	/* A plan that has begun or ended since began the member's period anew, even where both end at the same time. */
	if (c->period_end_us == w->period_end_us && c->created_at_us >= w->period_start_us)
		leave(c->member_period_until_us, m->period_until_us, &m->period_micros, amount, at_us);
	reserve_in_workspace(d, s, m, before, at_us);
}

/* ---- what is owed -------------------------------------------------------------------------------- */

void workspace_paid(struct decide *d, struct slot *s, micros debt)
{
	struct workspaces_row *w = s->workspace;

	CHECK(debt >= 0);
	if (w == NULL || (w->arrears_micros <= debt && w->overdue_micros <= debt))
		return;
	if (w->arrears_micros > debt)
		w->arrears_micros = debt;
	if (w->overdue_micros > debt)
		w->overdue_micros = debt;
	row_check_workspace(w);
	workspace_restore(d, s);
	rows_touch(d->rows, &w->row);
}

void workspace_owes(struct decide *d, struct slot *s, micros debt)
{
	struct workspaces_row *w = workspace_of(d, s);

	if (w == NULL || debt == 0)
		return;
	CHECK(debt > 0);
	w->arrears_micros = money_sum(w->arrears_micros, debt);
	/* Arrears are a part of the debt. */
	CHECK(w->arrears_micros <= FUNDS_BALANCE_MAX);
	rows_touch(d->rows, &w->row);
}

void workspace_fall_behind(struct decide *d, struct slot *s)
{
	struct workspaces_row *w = s->workspace;
	const micros before = w->arrears_micros;

	w->arrears_micros = funds_debt(s);
	CHECK(w->arrears_micros >= before);
	rows_touch(d->rows, &w->row);
}

void workspace_restore(struct decide *d, struct slot *s)
{
	struct workspaces_row *w = s->workspace;

	if (w->failed_statements != 0 || w->overdue_micros != 0)
		return;
	/* A payment does not restore an account that a person has suspended. */
	if (s->account->status == STATUS_PAST_DUE || s->account->status == STATUS_UNPAID)
		s->account->status = STATUS_ACTIVE;
	w->past_due_at_us = 0;
	w->suspend_at_us = 0;
	rows_touch(d->rows, &w->row);
	rows_touch(d->rows, &s->account->row);
}

int64_t workspace_due_us(const struct workspaces_row *w)
{
	const int64_t times[] = {w->period_end_us, w->statement_at_us, w->suspend_at_us};
	int64_t due_us = DUE_NEVER;

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (times[i] != 0 && times[i] < due_us)
			due_us = times[i];
	return due_us;
}
