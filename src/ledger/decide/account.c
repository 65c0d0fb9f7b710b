/*
 * account: an account is made on first sight or on request; an application may set its fields.
 */
#include "ledger/decide/decide.h"

#include "base/check.h"
#include "ledger/decide/allowance.h"
#include "ledger/decide/bill.h"
#include "ledger/decide/campaign.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/row_check.h"
#include "ledger/decide/window.h"
#include "ledger/decide/workspace.h"

static void set_profile(struct decide *d, struct slot *s, const struct command *c)
{
	const char *const given[] = {c->account_change.email, c->account_change.name, c->account_change.locale,
	                             c->account_change.time_zone};
	struct profiles_row *p;
	bool any = false;

	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
		any = any || given[i] != NULL;
	if (!any)
		return;
	p = effects_profile(d, s);
	p->email = given[0] != NULL ? given[0] : p->email;
	p->name = given[1] != NULL ? given[1] : p->name;
	p->locale = given[2] != NULL ? given[2] : p->locale;
	p->time_zone = given[3] != NULL ? given[3] : p->time_zone;
}

/* Running windows and periods keep their end; the next ones are computed in the new zone. */
static void set_zone(struct decide *d, struct slot *s, const struct command *c)
{
	struct workspaces_row *w = workspace_of(d, s);

	if (c->account_change.time_zone == NULL)
		return;
	s->zone = c->account_change.zone != NULL ? c->account_change.zone : d->billing.zone;
	if (w == NULL)
		return;
	w->time_zone = c->account_change.time_zone;
	rows_touch(d->rows, &w->row);
	if (s->account->mode == MODE_POSTPAID)
		bill_schedule(d, s);
}

static void set_mode(struct decide *d, struct slot *s, const struct command *c)
{
	if (!c->account_change.set_mode || s->account->mode == (int64_t)c->account_change.mode)
		return;
	CHECK(c->account_change.mode == MODE_PREPAID || c->account_change.mode == MODE_POSTPAID);
	s->account->mode = c->account_change.mode;
	if (s->account->mode == MODE_POSTPAID || workspace_of(d, s) != NULL)
		bill_schedule(d, s);
	/* A postpaid account has months, and those are in its workspace. */
	CHECK(s->account->mode != MODE_POSTPAID || s->workspace != NULL);
}

static bool sets_limit(bool set, micros limit)
{
	return set && limit != COMMAND_NO_LIMIT;
}

/* A window counts from when the account has a workspace; the earlier use, as far as it is known, counts too. */
static void catch_up(const struct decide *d, const struct slot *s, window_end *end, int64_t *until_us, micros *counted,
                     micros used)
{
	CHECK(used >= 0 && *counted >= 0);
	window_turn(counted, until_us, s->zone, end, d->now_us);
	if (*counted < used)
		*counted = used;
}

static void set_limits(struct decide *d, struct slot *s, const struct command *c)
{
	struct workspaces_row *w;

	if (!c->account_change.set_daily_limit && !c->account_change.set_monthly_limit)
		return;
	if (workspace_of(d, s) == NULL &&
	    !sets_limit(c->account_change.set_daily_limit, c->account_change.daily_limit_micros) &&
	    !sets_limit(c->account_change.set_monthly_limit, c->account_change.monthly_limit_micros))
		return;
	w = workspace_ensure(d, s);
	catch_up(d, s, zone_next_day, &w->day_until_us, &w->day_micros, c->account_change.day_micros);
	catch_up(d, s, zone_next_month, &w->month_until_us, &w->month_micros, c->account_change.month_micros);
	if (c->account_change.set_daily_limit)
		w->daily_limit_micros = c->account_change.daily_limit_micros;
	if (c->account_change.set_monthly_limit)
		w->monthly_limit_micros = c->account_change.monthly_limit_micros;
	row_check_workspace(w);
}

/* True if amounts are, or will be, counted in the account's unit.  An open order may be paid at any moment. */
static bool unit_is_fixed(struct decide *d, struct slot *s)
{
	const struct workspaces_row *w = workspace_of(d, s);
	const struct billing_row *b = rows_billing(d->rows, s);

	return s->account->entry_seq > 0 || s->account->hold_seq > 0 || (w != NULL && w->plan[0] != '\0') ||
	       (b != NULL && b->orders_live > 0);
}

static enum outcome check_account_change(struct decide *d, struct slot *s, const struct command *c)
{
	enum account_unit unit = s->account != NULL ? (enum account_unit)s->account->unit : UNIT_MONEY;

	if (c->account_change.set_unit && s->account != NULL && unit != c->account_change.unit && unit_is_fixed(d, s))
		return OUTCOME_ACCOUNT_CONFLICT;
	if (c->account_change.set_unit)
		unit = c->account_change.unit;
	CHECK(unit == UNIT_MONEY || unit == UNIT_CREDIT);
	return c->account_change.plan != NULL ? allowance_check_plan(d, s, unit, c->account_change.plan) : OUTCOME_OK;
}

void decide_account(struct decide *d, struct slot *s, struct command *c)
{
	struct accounts_row *account;

	c->answer.outcome = check_account_change(d, s, c);
	if (c->answer.outcome == OUTCOME_INVALID_REQUEST)
		c->answer.field = "plan";
	if (c->answer.outcome != OUTCOME_OK)
		return;

	/* From here on it succeeds. */
	account = effects_account(d, s, c);
	if (c->account_change.set_unit)
		account->unit = c->account_change.unit;
	if (c->account_change.set_status)
		account->status = c->account_change.status;
	if (c->account_change.set_hard_limit)
		account->hard_limit_micros = c->account_change.hard_limit_micros;
	if (c->account_change.set_soft_limit)
		account->soft_limit_micros = c->account_change.soft_limit_micros;
	if (c->account_change.set_byok)
		account->byok = c->account_change.byok;
	set_profile(d, s, c);
	if (c->account_change.has_claims)
		campaign_know_email(d, c->account_change.account_claim, c->account_change.email_claim);
	set_zone(d, s, c);
	set_limits(d, s, c);
	set_mode(d, s, c);
	if (c->account_change.plan != NULL)
		allowance_set_plan(d, s, c->account_change.plan);
	row_check_account(account);
	funds_figures(s, &c->answer);
}
