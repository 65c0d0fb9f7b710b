#include "ledger/decide/limits.h"

#include "base/check.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/window.h"
#include "ledger/decide/workspace.h"

/* Computed in int128 and clipped: a figure for comparison and display, never for a row. */
static micros left_of(micros limit, micros used, micros held)
{
	const __int128 left = (__int128)limit - used - held;

	if (left > INT64_MAX)
		return INT64_MAX;
	return left < INT64_MIN ? INT64_MIN : (micros)left;
}

static micros used_of(micros used, micros held)
{
	return left_of(used, 0, -held);
}

/* Replaces the verdict by the limit if the limit leaves less. */
static void tighten(struct limits_verdict *v, const struct limits_verdict *limit)
{
	if (limit->available_micros < v->available_micros)
		*v = *limit;
}

static void balance(const struct slot *s, struct limits_verdict *v)
{
	const struct accounts_row *a = s->account;

	*v = (struct limits_verdict){.kind = LIMIT_BALANCE, .available_micros = funds_available(a)};
	if (a == NULL)
		return;
	if (s->workspace != NULL)
		v->resets_at_us = s->workspace->period_end_us;
	v->limit_micros = a->balance_micros;
	v->used_micros = a->held_micros;
	if (a->mode == MODE_POSTPAID) {
		v->kind = LIMIT_HARD;
		v->limit_micros = a->hard_limit_micros;
		v->used_micros = left_of(a->held_micros, a->balance_micros, 0);
		v->resets_at_us = 0;
	}
}

/* Used and held amounts of a window that ends at until_us; the one after it ends at next_us. */
struct window {
	micros used, held;
	int64_t until_us, next_us;
};

static void spending(const struct decide *d, enum limit_kind kind, bool of_member, micros limit, const struct window *w,
                     struct limits_verdict *v)
{
	const micros used = window_used(w->used, w->until_us, d->now_us);
	const struct limits_verdict found = {
		.kind = kind,
		.of_member = of_member,
		.available_micros = left_of(limit, used, w->held),
		.limit_micros = limit,
		.used_micros = used_of(used, w->held),
		.resets_at_us = window_resets(w->until_us, w->next_us, d->now_us),
	};

	CHECK(limit >= COMMAND_NO_LIMIT && w->held >= 0);
	CHECK(found.resets_at_us > d->now_us);
	if (limit != COMMAND_NO_LIMIT)
		tighten(v, &found);
}

static int64_t period_end(const struct slot *s, int64_t next_month_us)
{
	return s->workspace->period_end_us != 0 ? s->workspace->period_end_us : next_month_us;
}

/* A member may not spend the unused quota of other members; nor may a request without a member. */
static void limit_share(const struct decide *d, const struct slot *s, const struct members_row *m,
                        int64_t next_month_us, struct limits_verdict *v)
{
	const micros own = m != NULL ? workspace_unused(m, d->now_us) : 0;
	const micros others = s->workspace->reserved_micros - own;
	const struct limits_verdict found = {
		.kind = LIMIT_MEMBER,
		.of_member = true,
		.available_micros = left_of(funds_available(s->account), others, 0),
		.limit_micros = m != NULL ? m->quota_micros : 0,
		.used_micros = m != NULL ? used_of(workspace_used(m, d->now_us), m->held_micros) : 0,
		.resets_at_us = period_end(s, next_month_us),
	};

	CHECK(own >= 0 && others >= 0);
	tighten(v, &found);
}

void limits_verdict(struct decide *d, struct slot *s, const char *member, struct limits_verdict *v)
{
	const struct workspaces_row *w = workspace_of(d, s);
	const struct members_row *m = workspace_member(d, s, member);
	int64_t day_us, month_us, end_us;

	balance(s, v);
	if (w == NULL)
		return;
	CHECK(m == NULL || m->held_micros <= s->account->held_micros);
	day_us = zone_next_day(s->zone, d->now_us);
	month_us = zone_next_month(s->zone, d->now_us);
	limit_share(d, s, m, month_us, v);
	end_us = period_end(s, month_us);
	if (m != NULL)
		spending(d, LIMIT_MEMBER, true, m->limit_micros,
		         &(struct window){m->period_micros, m->held_micros, m->period_until_us, end_us}, v);
	spending(d, LIMIT_DAILY, false, w->daily_limit_micros,
	         &(struct window){w->day_micros, s->account->held_micros, w->day_until_us, day_us}, v);
	if (m != NULL)
		spending(d, LIMIT_DAILY, true, m->daily_limit_micros,
		         &(struct window){m->day_micros, m->held_micros, m->day_until_us, day_us}, v);
	spending(d, LIMIT_MONTHLY, false, w->monthly_limit_micros,
	         &(struct window){w->month_micros, s->account->held_micros, w->month_until_us, month_us}, v);
	if (m != NULL)
		spending(d, LIMIT_MONTHLY, true, m->monthly_limit_micros,
		         &(struct window){m->month_micros, m->held_micros, m->month_until_us, month_us}, v);
	CHECK(v->kind >= LIMIT_BALANCE && v->kind <= LIMIT_MONTHLY);
	CHECK(v->available_micros <= funds_available(s->account));
}

const struct plan *limits_plan(const struct decide *d, const struct slot *s)
{
	const struct workspaces_row *w = s->workspace;

	return w != NULL && w->plan[0] != '\0' ? book_plan_of_version(d->book, w->plan, w->plan_version) : NULL;
}

void limits_refuse(const struct limits_verdict *v, micros needed, struct answer *a)
{
	static const enum outcome outcomes[] = {
		[LIMIT_BALANCE] = OUTCOME_INSUFFICIENT_CREDITS,   [LIMIT_HARD] = OUTCOME_HARD_LIMIT_REACHED,
		[LIMIT_MEMBER] = OUTCOME_MEMBER_LIMIT_REACHED,    [LIMIT_DAILY] = OUTCOME_SPENDING_LIMIT_REACHED,
		[LIMIT_MONTHLY] = OUTCOME_SPENDING_LIMIT_REACHED,
	};

	CHECK(v->kind >= LIMIT_BALANCE && v->kind <= LIMIT_MONTHLY);
	CHECK(needed > v->available_micros);
	a->outcome = outcomes[v->kind];
	a->limit = v->kind;
	a->of_member = v->of_member;
	a->needed_micros = needed;
	a->available_micros = v->available_micros;
	a->limit_micros = v->limit_micros;
	a->used_micros = v->used_micros;
	a->resets_at_us = v->resets_at_us;
}
