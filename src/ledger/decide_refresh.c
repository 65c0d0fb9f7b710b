/*
 * What falls due with time, done when the account is next touched.  Events are taken in the order of
 * their times and booked at those times, so that the result does not depend on when somebody looked.
 */
#include "ledger/decide.h"

#include <string.h>

#include "base/check.h"
#include "ledger/effects.h"

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
		    (first == NULL || g->expires_at_us < first->expires_at_us))
			first = g;
	return first;
}

static void expire_hold(struct decide *d, struct slot *s, struct holds_row *h)
{
	const micros estimate = h->reserved_micros;
	struct usages_row *u = effects_end_hold(d, s, h, USAGE_EXPIRED, h->expires_at_us);

	if (d->capture_expired && effects_fits(s->account, -estimate)) {
		u->settlement = SETTLEMENT_ESTIMATED;
		effects_cost(d, s, u, estimate, u->ended_at_us);
	}
	u->balance_micros = s->account->balance_micros;
	u->available_micros = effects_available(s->account);
}

static void expire_grant(struct decide *d, struct slot *s, struct grants_row *g)
{
	const struct effects_transaction t = {
		.type = TRANSACTION_ALLOWANCE_EXPIRY,
		.amount_micros = -g->remaining_micros,
		.description = "expired",
		.at_us = g->expires_at_us,
	};

	effects_expire_grant(d, s, g, &t);
}

/* Everything that is open has been loaded, so the bound becomes exact again. */
static void set_due(struct slot *s, const struct holds_row *open)
{
	const struct grants_row *expiring = next_grant(s);

	s->account->due_at_us = EFFECTS_NEVER_DUE;
	if (open != NULL)
		effects_due(s->account, open->expires_at_us);
	if (expiring != NULL)
		effects_due(s->account, expiring->expires_at_us);
}

void decide_refresh(struct decide *d, struct slot *s)
{
	s->refreshed = true;
	if (s->account->due_at_us > d->now_us)
		return;
	struct holds_row *h = next_hold(rows_open_holds(s));
	struct grants_row *g = next_grant(s);

	for (;;) {
		const int64_t hold_at_us = h != NULL ? h->expires_at_us : EFFECTS_NEVER_DUE;
		const int64_t grant_at_us = g != NULL ? g->expires_at_us : EFFECTS_NEVER_DUE;

		if (hold_at_us > d->now_us && grant_at_us > d->now_us)
			break;
		if (hold_at_us <= grant_at_us) {
			CHECK(h != NULL);
			expire_hold(d, s, h);
			h = next_hold(h);
			CHECK(h == NULL || h->expires_at_us >= hold_at_us);
		} else {
			CHECK(g != NULL);
			expire_grant(d, s, g);
		}
		g = next_grant(s);
	}
	rows_touch(d->rows, &s->account->row);
	set_due(s, h);
}
