#include "ledger/decide/allowance.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/due.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/row_check.h"
#include "ledger/decide/workspace.h"

/* ---- giving ---------------------------------------------------------------------------------------- */

static struct allowances_row *note_allowance(struct decide *d, struct slot *s, enum allowance_reason reason,
                                             micros amount, int64_t paid_seq, int64_t at_us)
{
	struct workspaces_row *w = workspace_of(d, s);
	struct allowances_row *row = (struct allowances_row *)rows_alloc(d->rows, TABLE_ALLOWANCES);

	CHECK(amount >= 0 || reason == ALLOWANCE_LESS);
	CHECK(paid_seq >= 0);
	memcpy(row->account_id, s->key.bytes, sizeof(row->account_id));
	row->seq = ++w->allowance_seq;
	row->plan = w->plan;
	row->plan_version = w->plan_version;
	row->period_start_us = w->period_start_us;
	row->period_end_us = w->period_end_us;
	row->reason = reason;
	row->amount_micros = amount;
	row->created_at_us = at_us;
	row->paid_seq = paid_seq;
	/* A plan may upgrade the same period a second time, after other plans, when there are more people.  A
	 * paid allowance is given once by its row of paid_periods. */
	row->upgrade_seq = reason == ALLOWANCE_UPGRADE || reason == ALLOWANCE_LESS || paid_seq != 0 ? row->seq : 0;
	rows_touch(d->rows, &w->row);
	return row;
}

micros allowance_give(struct decide *d, struct slot *s, const struct allowance_given *what, int64_t at_us)
{
	struct workspaces_row *w = workspace_of(d, s);
	micros amount = what->amount_micros;
	struct allowances_row *row;

	CHECK(amount >= 0);
	if (!funds_fit(s->account, amount))
		amount = FUNDS_BALANCE_MAX - s->account->balance_micros;
	CHECK(amount >= 0 && amount <= what->amount_micros);
	row = note_allowance(d, s, what->reason, amount, what->paid_seq, at_us);
	row->member = what->member != NULL ? what->member : "";
	if (amount > 0) {
		const struct effects_transaction t = {
			.type = TRANSACTION_PLAN_ALLOWANCE,
			.amount_micros = amount,
			.priority = effects_priority(TRANSACTION_PLAN_ALLOWANCE),
			.expires_at_us = w->period_end_us,
			.at_us = at_us,
			.description = what->reason == ALLOWANCE_CARRIED ? "carried over" : "plan allowance",
			.reference = w->plan,
			.actor = "plan",
		};

		row->transaction_seq = effects_transact(d, s, &t);
		row->grant_seq = s->account->grant_seq;
	}
	row_check_allowance(row);
	rows_add(d->rows, s, &row->row);
	return amount;
}

void allowance_take(struct decide *d, struct slot *s, micros amount, int64_t grant_seq, int64_t at_us)
{
	struct workspaces_row *w = workspace_of(d, s);
	struct allowances_row *row = note_allowance(d, s, ALLOWANCE_LESS, -amount, 0, at_us);

	if (amount > 0) {
		const struct effects_transaction t = {
			.type = TRANSACTION_REFUND,
			.amount_micros = -amount,
			.at_us = at_us,
			.description = "smaller plan",
			.reference = w->plan,
			.actor = "plan",
		};

		row->transaction_seq = effects_claw_back(d, s, &t, grant_seq);
	}
	row_check_allowance(row);
	rows_add(d->rows, s, &row->row);
	w->granted_micros -= amount;
}

/* ---- seats ----------------------------------------------------------------------------------------- */

static int64_t *seats_of(struct workspaces_row *w, int64_t role)
{
	CHECK(role == PLAN_MEMBER || role == PLAN_MANAGER);
	return role == PLAN_MANAGER ? &w->manager_seats : &w->member_seats;
}

static int64_t *people_of(struct workspaces_row *w, int64_t role)
{
	CHECK(role == PLAN_MEMBER || role == PLAN_MANAGER);
	return role == PLAN_MANAGER ? &w->managers : &w->members;
}

/* Takes a seat of the running period, if one is left and the member has had none in it.  Returns the seat's quota, 0
 * without a seat. */
static micros take_seat(struct workspaces_row *w, const struct plan *p, struct members_row *m)
{
	int64_t *seats = seats_of(w, m->role);

	CHECK(m->removed_at_us == 0 && *seats >= 0);
	if (m->seat_period_us == w->period_start_us || *seats >= plan_seats(p, (enum plan_role)m->role))
		return 0;
	++*seats;
	m->seat_period_us = w->period_start_us;
	return plan_quota(p, (enum plan_role)m->role);
}

/* Merges two lists that are in the order of their ids. */
static struct members_row *merge(struct members_row *a, struct members_row *b)
{
	struct row *head = NULL, **end = &head;

	while (a != NULL && b != NULL) {
		struct members_row **first = strcmp(a->member_id, b->member_id) < 0 ? &a : &b, *taken = *first;

		*end = &taken->row;
		end = &taken->row.next;
		*first = (struct members_row *)taken->row.next;
		/* Each id is there once, and each list was sorted. */
		CHECK(*first == NULL || strcmp(taken->member_id, (*first)->member_id) < 0);
	}
	*end = a != NULL ? &a->row : b != NULL ? &b->row : NULL;
	return (struct members_row *)head;
}

/* Sorts by id: where there are not seats for all, the same people get them at any time of the call.  Sorts the first
 * count rows of list; *rest is the row behind them. */
static struct members_row *sort(struct members_row *list, int64_t count, struct members_row **rest)
{
	struct members_row *left, *right;

	CHECK(count > 0);
	if (count == 1) {
		*rest = (struct members_row *)list->row.next;
		list->row.next = NULL;
		return list;
	}
	left = sort(list, count / 2, &right);
	right = sort(right, count - count / 2, rest);
	return merge(left, right);
}

static void sort_members(struct slot *s)
{
	struct members_row *rest;
	int64_t count = 0;

	for (const struct members_row *m = rows_members(s); m != NULL; m = (const struct members_row *)m->row.next)
		count++;
	if (count == 0)
		return;
	s->members = sort(s->members, count, &rest);
	CHECK(rest == NULL);
}

/* Begins the period of every member.  p NULL: without a plan. */
static void seat_everybody(struct decide *d, struct slot *s, const struct plan *p, int64_t at_us)
{
	struct workspaces_row *w = workspace_of(d, s);

	w->manager_seats = w->member_seats = 0;
	sort_members(s);
	for (struct members_row *m = rows_members(s); m != NULL; m = (struct members_row *)m->row.next) {
		const bool seated = p != NULL && m->removed_at_us == 0;

		/* A removed member whose period is over stays as it is. */
		if (m->removed_at_us != 0 && m->period_until_us <= at_us)
			continue;
		workspace_restart(d, s, m, seated ? take_seat(w, p, m) : 0, at_us);
	}
}

/* ---- periods --------------------------------------------------------------------------------------- */

static int64_t boundary(const struct decide *d, const struct workspaces_row *w, int64_t index)
{
	CHECK(index >= 0);
	return zone_instant(workspace_zone(d, w), zone_add_months(w->anchor_local_us, index));
}

void allowance_name_plan(struct workspaces_row *w, const struct plan *p)
{
	w->plan = p->name;
	w->plan_version = p->version;
	w->changing = 0;
	w->next_plan = "";
}

void allowance_begin(struct decide *d, struct slot *s, const struct plan *p, micros carried,
                     const struct allowance_given *what, int64_t at_us)
{
	const struct allowance_given rest = {
		.reason = ALLOWANCE_CARRIED, .amount_micros = carried, .paid_seq = what->paid_seq};
	struct workspaces_row *w = workspace_of(d, s);

	CHECK(w->period_start_us <= at_us && at_us < w->period_end_us);
	CHECK(what->reason == ALLOWANCE_PERIOD && carried >= -1);
	allowance_name_plan(w, p);
	workspace_fall_behind(d, s);
	seat_everybody(d, s, p, at_us);
	w->carried_micros = carried >= 0 ? allowance_give(d, s, &rest, at_us) : 0;
	w->granted_micros = allowance_give(d, s, what, at_us);
	rows_touch(d->rows, &w->row);
	due_note(s->account, w->period_end_us);
	rows_touch(d->rows, &s->account->row);
	row_check_workspace(w);
}

/* Begins a period without a payment: the plan's whole allowance for the people who are there. */
static void begin_period(struct decide *d, struct slot *s, const struct plan *p, micros carried, int64_t at_us)
{
	const struct workspaces_row *w = workspace_of(d, s);
	const struct allowance_given what = {.reason = ALLOWANCE_PERIOD,
	                                     .amount_micros = plan_allowance(p, w->managers, w->members)};

	allowance_begin(d, s, p, carried, &what, at_us);
}

void allowance_end(struct decide *d, struct slot *s, int64_t at_us)
{
	struct workspaces_row *w = workspace_of(d, s);

	w->plan = w->next_plan = "";
	w->plan_version = w->changing = 0;
	w->anchor_local_us = w->period_index = 0;
	w->period_start_us = at_us;
	w->period_end_us = 0;
	w->granted_micros = w->carried_micros = 0;
	w->subscribed = 0;
	w->rate_micros = w->rate_from_us = w->earned_micros = w->whole_us = 0;
	seat_everybody(d, s, NULL, at_us);
	rows_touch(d->rows, &w->row);
	row_check_workspace(w);
}

micros allowance_expire(struct decide *d, struct slot *s, int64_t at_us)
{
	micros left = 0;

	for (struct grants_row *g = rows_grants(s); g != NULL; g = (struct grants_row *)g->row.next) {
		const struct effects_transaction t = {
			.type = TRANSACTION_ALLOWANCE_EXPIRY,
			.amount_micros = -g->remaining_micros,
			.description = "end of the period",
			.actor = "plan",
			.at_us = at_us,
		};

		if (g->type != TRANSACTION_PLAN_ALLOWANCE || g->expires_at_us != at_us || g->remaining_micros == 0)
			continue;
		left += g->remaining_micros; /* the sum is within one balance */
		effects_expire_grant(d, s, g, &t);
	}
	return left;
}

void allowance_turn(struct decide *d, struct slot *s)
{
	struct workspaces_row *w = workspace_of(d, s);
	const int64_t at_us = w->period_end_us;
	const struct plan *old = book_plan_of_version(d->book, w->plan, w->plan_version);
	const struct plan *p = book_plan_at(d->book, w->changing ? w->next_plan : w->plan, at_us);
	const micros rollover = old != NULL ? old->rollover_micros : 0;
	micros left;

	CHECK(w->plan[0] != '\0' && at_us != 0);
	CHECK(w->subscribed == 0);
	left = allowance_expire(d, s, at_us);
	if (p == NULL) {
		allowance_end(d, s, at_us);
		return;
	}
	w->period_index++;
	w->period_start_us = at_us;
	w->period_end_us = boundary(d, w, w->period_index + 1);
	begin_period(d, s, p, left < rollover ? left : rollover, at_us);
}

/* ---- plans ----------------------------------------------------------------------------------------- */

static bool runs(const struct workspaces_row *w)
{
	return w != NULL && w->plan[0] != '\0';
}

static bool is_running(const struct workspaces_row *w, const char *plan)
{
	return runs(w) && strcmp(w->plan, plan) == 0;
}

enum outcome allowance_check_plan(struct decide *d, struct slot *s, enum account_unit unit, const char *plan)
{
	const struct workspaces_row *w = workspace_of(d, s);
	const struct plan *p = book_plan_at(d->book, plan, d->now_us);

	if (plan[0] == '\0' || is_running(w, plan))
		return OUTCOME_OK;
	if (p == NULL)
		return OUTCOME_UNKNOWN_PLAN;
	CHECK(strcmp(p->name, plan) == 0);
	if (p->unit != unit)
		return OUTCOME_PLAN_OTHER_UNIT;
	if (w != NULL && w->members > plan_seats(p, PLAN_MEMBER))
		return OUTCOME_SEATS_TAKEN;
	if (!funds_fit(s->account, plan_allowance(p, w != NULL ? w->managers : 0, w != NULL ? w->members : 0)))
		return OUTCOME_INVALID_REQUEST;
	return OUTCOME_OK;
}

/* Begins the first period: the current month.  The clock may have stepped back behind the end of the plan before. */
static void start(struct decide *d, struct slot *s, const struct plan *p)
{
	struct workspaces_row *w = workspace_of(d, s);
	const struct zone *z = workspace_zone(d, w);
	const int64_t ended_us = w->period_start_us;
	const int64_t now_us = d->now_us > ended_us ? d->now_us : ended_us;

	CHECK(!runs(w) && w->period_end_us == 0);
	w->anchor_local_us = zone_local_month(zone_local(z, now_us));
	w->period_index = 0;
	while (boundary(d, w, w->period_index + 1) <= now_us)
		w->period_index++;
	w->period_start_us = boundary(d, w, w->period_index);
	if (w->period_start_us < ended_us)
		w->period_start_us = ended_us;
	w->period_end_us = boundary(d, w, w->period_index + 1);
	begin_period(d, s, p, -1, now_us);
}

void allowance_take_seats(struct workspaces_row *w, const struct plan *p)
{
	for (int64_t role = PLAN_MEMBER; role <= PLAN_MANAGER; role++) {
		const int64_t people = *people_of(w, role), seats = plan_seats(p, (enum plan_role)role);
		const int64_t taken = people < seats ? people : seats;

		if (*seats_of(w, role) < taken)
			*seats_of(w, role) = taken;
	}
}

/* The greater plan takes effect at once.  Quotas stay as they are until the period ends.  The difference is for
 * everybody, and is given for the people who are there, so their seats are taken. */
static void upgrade(struct decide *d, struct slot *s, const struct plan *p)
{
	struct workspaces_row *w = workspace_of(d, s);
	const struct allowance_given more = {
		.reason = ALLOWANCE_UPGRADE,
		.amount_micros = plan_allowance(p, w->managers, w->members) - w->granted_micros,
	};

	CHECK(more.amount_micros > 0);
	allowance_name_plan(w, p);
	allowance_take_seats(w, p);
	w->granted_micros += allowance_give(d, s, &more, d->now_us);
}

/* A person sets the plan now, without a payment.  Months count from the end of the paid one. */
static void leave_subscription(struct workspaces_row *w, const struct zone *z)
{
	CHECK(runs(w) && w->period_end_us != 0);
	w->subscribed = 0;
	w->anchor_local_us = zone_local(z, w->period_end_us);
	w->period_index = -1;
}

void allowance_set_plan(struct decide *d, struct slot *s, const char *plan)
{
	struct workspaces_row *w = workspace_of(d, s);
	const struct plan *p = book_plan_at(d->book, plan, d->now_us);

	if (plan[0] == '\0' && !runs(w))
		return;
	w = workspace_ensure(d, s);
	rows_touch(d->rows, &w->row);
	if (is_running(w, plan)) {
		w->changing = 0;
		w->next_plan = "";
		return;
	}
	CHECK(plan[0] == '\0' || p != NULL);
	CHECK(p == NULL || p->unit == (enum account_unit)s->account->unit);
	if (p != NULL && w->subscribed != 0)
		leave_subscription(w, workspace_zone(d, w));
	if (!runs(w)) {
		start(d, s, p);
	} else if (p != NULL && plan_allowance(p, w->managers, w->members) > w->granted_micros) {
		upgrade(d, s, p);
	} else {
		w->changing = 1;
		w->next_plan = plan;
	}
	row_check_workspace(w);
}

/* ---- people ---------------------------------------------------------------------------------------- */

enum outcome allowance_check_seat(struct decide *d, struct slot *s, int64_t role)
{
	const struct workspaces_row *w = workspace_of(d, s);
	const struct plan *p;

	if (w == NULL)
		return OUTCOME_OK;
	CHECK(role == PLAN_MEMBER || role == PLAN_MANAGER);
	/* One transaction turns the period of everybody, so the number of people has a limit. */
	if (w->managers + w->members >= ALLOWANCE_PEOPLE_MAX)
		return OUTCOME_SEATS_TAKEN;
	p = runs(w) ? book_plan_of_version(d->book, w->plan, w->plan_version) : NULL;
	if (p == NULL || role == PLAN_MANAGER || w->members < plan_seats(p, PLAN_MEMBER))
		return OUTCOME_OK;
	return OUTCOME_SEATS_TAKEN;
}

/* The seq of the paid_periods row that pays for the running period; 0: a person set its plan. */
static int64_t paying(struct slot *s, const struct workspaces_row *w)
{
	int64_t seq = 0;

	if (w->subscribed == 0)
		return 0;
	for (const struct paid_periods_row *r = rows_periods(s); r != NULL;
	     r = (const struct paid_periods_row *)r->row.next)
		if (r->running != 0 && r->instead_of[0] == '\0')
			seq = r->seq;
	return seq;
}

static void join(struct decide *d, struct slot *s, const struct members_row *before, struct members_row *m)
{
	struct workspaces_row *w = workspace_of(d, s);
	const struct plan *p = runs(w) ? book_plan_of_version(d->book, w->plan, w->plan_version) : NULL;
	micros quota;

	CHECK(m->removed_at_us == 0);
	/* A member who was there in this period was counted when the period began, or when the plan grew. */
	if (p == NULL || (before != NULL && before->removed_at_us >= w->period_start_us))
		return;
	quota = take_seat(w, p, m);
	if (quota > 0) {
		const struct allowance_given seat = {.reason = ALLOWANCE_SEAT,
		                                     .member = m->member_id,
		                                     .amount_micros = quota,
		                                     .paid_seq = paying(s, w)};

		w->granted_micros += allowance_give(d, s, &seat, d->now_us);
	}
	workspace_set_quota(d, s, m, quota, d->now_us);
}

void allowance_seat(struct decide *d, struct slot *s, const struct members_row *before, struct members_row *after)
{
	struct workspaces_row *w = workspace_of(d, s);
	const bool was = before != NULL && before->removed_at_us == 0, is = after->removed_at_us == 0;

	if (was)
		--*people_of(w, before->role);
	if (is)
		++*people_of(w, after->role);
	CHECK(w->managers >= 0 && w->members >= 0);
	rows_touch(d->rows, &w->row);
	if (is && !was)
		join(d, s, before, after);
	else if (was && !is)
		workspace_set_quota(d, s, after, 0, d->now_us);
	row_check_member(after);
}
