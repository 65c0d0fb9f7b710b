/*
 * member: a person joins an account, changes role, or leaves; history stays.
 */
#include "ledger/decide/decide.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/allowance.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/paid_period.h"
#include "ledger/decide/row_check.h"
#include "ledger/decide/workspace.h"

static struct members_row *new_member(struct decide *d, struct slot *s, const struct command *c)
{
	struct members_row *m = (struct members_row *)rows_alloc(d->rows, TABLE_MEMBERS);

	CHECK(c->member[0] != '\0');
	memcpy(m->account_id, s->key.bytes, sizeof(m->account_id));
	m->member_id = c->member;
	m->created_at_us = d->now_us;
	m->from_seq = s->account->hold_seq;
	m->limit_micros = m->daily_limit_micros = m->monthly_limit_micros = COMMAND_NO_LIMIT;
	rows_add(d->rows, s, &m->row);
	return m;
}

static int64_t wanted_role(const struct members_row *m, const struct command *c)
{
	if (c->member_change.set_role)
		return c->member_change.role;
	return m != NULL ? m->role : PLAN_MEMBER;
}

static enum outcome check_member_change(struct decide *d, struct slot *s, const struct members_row *m, bool present,
                                        const struct command *c)
{
	const int64_t role = wanted_role(m, c);

	CHECK(role == PLAN_MEMBER || role == PLAN_MANAGER);
	if (!present && (c->member_change.remove || c->member_change.must_exist))
		return OUTCOME_NOT_FOUND;
	if (c->member_change.remove || (present && m->role == role))
		return OUTCOME_OK;
	return allowance_check_seat(d, s, role);
}

static void change(struct members_row *m, const struct command *c)
{
	m->removed_at_us = 0;
	m->role = wanted_role(m, c);
	if (c->member_change.set_limit)
		m->limit_micros = c->member_change.limit_micros;
	if (c->member_change.set_daily_limit)
		m->daily_limit_micros = c->member_change.daily_limit_micros;
	if (c->member_change.set_monthly_limit)
		m->monthly_limit_micros = c->member_change.monthly_limit_micros;
}

void decide_member(struct decide *d, struct slot *s, struct command *c)
{
	struct members_row *m = s->account != NULL ? workspace_member(d, s, c->member) : NULL;
	const bool known = m != NULL, present = known && m->removed_at_us == 0;
	struct members_row before;
	micros granted;

	c->answer.outcome = check_member_change(d, s, m, present, c);
	if (c->answer.outcome != OUTCOME_OK)
		return;

	/* From here on it succeeds. */
	effects_account(d, s, c);
	(void)workspace_ensure(d, s);
	if (known)
		before = *m;
	else
		m = new_member(d, s, c);
	rows_touch(d->rows, &m->row);
	if (c->member_change.remove)
		m->removed_at_us = d->now_us;
	else
		change(m, c);
	granted = workspace_of(d, s)->granted_micros;
	allowance_seat(d, s, known ? &before : NULL, m);
	/* A seat may add to the allowance; leaving takes nothing from it. */
	CHECK(workspace_of(d, s)->granted_micros >= granted);
	paid_period_seated(d, s, workspace_of(d, s)->granted_micros - granted);
	row_check_member(m);
	row_check_workspace(workspace_of(d, s));
	funds_figures(s, &c->answer);
}
