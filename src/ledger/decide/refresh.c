/*
 * refresh: events that fall due with time, done when the account is next touched.  Events are taken in the order of
 * their times and booked at those times.  So the result does not depend on the time of the touch.
 */
#include "ledger/decide/decide.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/alert.h"
#include "ledger/decide/allowance.h"
#include "ledger/decide/bill.h"
#include "ledger/decide/due.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/expiry.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/paid_period.h"
#include "ledger/decide/row_check.h"
#include "ledger/decide/workspace.h"

/* Prefetch read the holds so that the list is in the order of expiry. */
static struct holds_row *next_hold(struct holds_row *h)
{
	while (h != NULL && (h->row.change == ROW_ENDED || h->row.change == ROW_DROPPED))
		h = (struct holds_row *)h->row.next;
	return h;
}

static struct grants_row *next_grant(struct slot *s)
{
	struct grants_row *first = NULL;

	for (struct grants_row *g = rows_grants(s); g != NULL; g = (struct grants_row *)g->row.next)
		if (g->expires_at_us != 0 && g->remaining_micros > 0 &&
		    (first == NULL || expiry_next_us(g) < expiry_next_us(first)))
			first = g;
	return first;
}

static void expire_hold(struct decide *d, struct slot *s, struct holds_row *h)
{
	const micros estimate = h->reserved_micros;
	struct usages_row *u;

	CHECK(h->expires_at_us <= d->now_us);
	u = effects_end_hold(d, s, h, USAGE_EXPIRED, h->expires_at_us);
	/* A late settlement may not name the input. */
	u->input_tokens = h->input_tokens;
	if (d->capture_expired && funds_fit(s->account, -estimate)) {
		u->settlement = SETTLEMENT_ESTIMATED;
		effects_capture(d, s, u, estimate, u->ended_at_us);
	} else {
		effects_cost(d, s, u, 0, 0, u->ended_at_us);
	}
	/* A charge without a settlement is the estimate, and is marked so. */
	CHECK(u->cost_micros == (u->settlement == SETTLEMENT_ESTIMATED ? estimate : 0));
}

static void expire_grant(struct decide *d, struct slot *s, struct grants_row *g)
{
	const struct effects_transaction t = {
		.type = TRANSACTION_ALLOWANCE_EXPIRY,
		.amount_micros = -g->remaining_micros,
		.description = "expired",
		.at_us = g->expires_at_us,
	};

	CHECK(g->expires_at_us != 0 && g->expires_at_us <= d->now_us);
	effects_expire_grant(d, s, g, &t);
}

/* Tells a term before the expiry.  When the account was not looked at in time, a term is told only if the next one is
 * still ahead. */
static void warn_of_expiry(struct decide *d, struct slot *s, struct grants_row *g)
{
	const int64_t days = expiry_term_days(g->warned);

	CHECK(g->remaining_micros > 0 && expiry_next_us(g) <= d->now_us);
	g->warned++;
	rows_touch(d->rows, &g->row);
	if (expiry_next_us(g) > d->now_us)
		alert_grant(d, s, g, days);
}

/* The kinds of events.  Events that fall due at the same time are taken in this order. */
enum kind { DUE_HOLD, DUE_MONTH, DUE_PERIOD, DUE_GRANT, DUE_SUSPENSION, DUE_KINDS };

struct due {
	struct holds_row *hold;
	struct grants_row *grant;
	int64_t at_us[DUE_KINDS]; /* DUE_NEVER: nothing of the kind */
};

static int64_t at_or_never(int64_t at_us)
{
	return at_us != 0 ? at_us : DUE_NEVER;
}

/* hold: the first hold that was not examined yet. */
static void look(struct decide *d, struct slot *s, struct holds_row *hold, struct due *due)
{
	const struct workspaces_row *w = workspace_of(d, s);

	due->hold = next_hold(hold);
	due->grant = next_grant(s);
	/* The list is in the order of expiry. */
	CHECK(hold == NULL || due->hold == NULL || due->hold->expires_at_us >= hold->expires_at_us);
	due->at_us[DUE_HOLD] = due->hold != NULL ? due->hold->expires_at_us : DUE_NEVER;
	due->at_us[DUE_MONTH] = w != NULL ? at_or_never(w->statement_at_us) : DUE_NEVER;
	due->at_us[DUE_PERIOD] = w != NULL ? at_or_never(w->period_end_us) : DUE_NEVER;
	due->at_us[DUE_GRANT] = due->grant != NULL ? expiry_next_us(due->grant) : DUE_NEVER;
	due->at_us[DUE_SUSPENSION] = w != NULL ? at_or_never(w->suspend_at_us) : DUE_NEVER;
}

static enum kind earliest(const struct due *due)
{
	int first = DUE_HOLD;

	for (int k = first + 1; k < DUE_KINDS; k++)
		if (due->at_us[k] < due->at_us[first])
			first = k;
	return (enum kind)first;
}

static void happen(struct decide *d, struct slot *s, enum kind k, const struct due *due)
{
	switch (k) {
	case DUE_HOLD:
		CHECK(due->hold != NULL);
		expire_hold(d, s, due->hold);
		break;
	case DUE_MONTH:
		bill_month(d, s);
		break;
	case DUE_PERIOD:
		paid_period_turn(d, s);
		break;
	case DUE_GRANT:
		CHECK(due->grant != NULL);
		if (expiry_next_us(due->grant) < due->grant->expires_at_us)
			warn_of_expiry(d, s, due->grant);
		else
			expire_grant(d, s, due->grant);
		break;
	case DUE_SUSPENSION:
		bill_suspend(d, s);
		break;
	case DUE_KINDS:
		UNREACHABLE("no kind");
	}
}

/* Begins the months of an account that has been postpaid since before there were statements. */
static void begin_months(struct decide *d, struct slot *s)
{
	const struct workspaces_row *w = workspace_of(d, s);

	if (w != NULL && w->statement_at_us == 0 && s->account->mode == MODE_POSTPAID)
		bill_schedule(d, s);
}

void decide_refresh(struct decide *d, struct slot *s)
{
	struct due due;
	enum kind next;
	int64_t past_us = 0;

	s->refreshed = true;
	if (due_next_us(s->account) > d->now_us)
		return;
	begin_months(d, s);
	look(d, s, rows_open_holds(s), &due);
	for (next = earliest(&due); due.at_us[next] <= d->now_us; next = earliest(&due)) {
		CHECK(due.at_us[next] >= past_us); /* no event falls due before its cause */
		past_us = due.at_us[next];
		happen(d, s, next, &due);
		look(d, s, due.hold, &due);
	}
	/* Everything that is open has been loaded, so the bounds become exact again. */
	rows_touch(d->rows, &s->account->row);
	if (s->account->open_holds > 0)
		s->account->holds_due_at_us = due.at_us[DUE_HOLD];
	CHECK((due.hold != NULL) == (s->account->open_holds > 0));
	due.at_us[DUE_HOLD] = DUE_NEVER;
	s->account->due_at_us = due.at_us[earliest(&due)];
	row_check_account(s->account);
	/* The workspace knows the earliest of its own events, too. */
	CHECK(s->workspace == NULL || s->account->due_at_us <= workspace_due_us(s->workspace));
}
