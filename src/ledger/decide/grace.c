#include "ledger/decide/grace.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/row_check.h"

static micros micros_out(const struct graces_row *g)
{
	row_check_grace(g);
	return g->limit_micros - g->booked_micros;
}

static bool is_of_place(const struct graces_row *g, const struct command *c)
{
	return strcmp(g->place, c->authorize.place) == 0;
}

/* ---- booking ---------------------------------------------------------------------------------------- */

bool grace_refuses(const struct decide *d, struct slot *s, const struct command *c, struct answer *a)
{
	const struct command_grace *used = &c->authorize.used;
	const struct graces_row *g = rows_grace(d->rows, s);

	CHECK(used->serial > 0 && used->micros >= 0);
	if (g != NULL && is_of_place(g, c) && used->serial <= g->serial && used->micros <= micros_out(g) &&
	    d->now_us - TERMS_GRACE_BOOK_US <= used->ends_at_us)
		return false;
	a->outcome = OUTCOME_GRACE_REFUSED;
	return true;
}

void grace_book(struct decide *d, struct slot *s, const struct command *c)
{
	struct graces_row *g = rows_grace(d->rows, s);

	CHECK(g != NULL && c->authorize.used.micros <= micros_out(g));
	g->booked_micros += c->authorize.used.micros;
	row_check_grace(g);
	rows_touch(d->rows, &g->row);
}

/* ---- giving ----------------------------------------------------------------------------------------- */

/* True if nothing that another place was given can still be booked. */
static bool is_place_free(const struct decide *d, const struct graces_row *g)
{
	return micros_out(g) == 0 || d->now_us - TERMS_GRACE_BOOK_US > g->ends_at_us;
}

/* The account's row, of the place; NULL while another place has the grace. */
static struct graces_row *take_grace(struct decide *d, struct slot *s, const struct command *c)
{
	struct graces_row *g = rows_grace(d->rows, s);

	if (g != NULL && is_of_place(g, c))
		return g;
	if (g != NULL && !is_place_free(d, g))
		return NULL;
	if (g == NULL) {
		g = (struct graces_row *)rows_alloc(d->rows, TABLE_GRACES);
		memcpy(g->account_id, s->key.bytes, sizeof(g->account_id));
		rows_add(d->rows, s, &g->row);
	}
	g->place = c->authorize.place;
	g->limit_micros = g->booked_micros = 0;
	return g;
}

static bool is_grace_young(const struct decide *d, const struct graces_row *g)
{
	const int64_t age_us = d->now_us - g->granted_at_us;

	return age_us >= 0 && age_us < d->grace.life_us / 2;
}

static void renew_grace(struct decide *d, struct graces_row *g, micros limit)
{
	g->serial++;
	g->limit_micros = limit;
	g->granted_at_us = d->now_us;
	g->ends_at_us = d->now_us + d->grace.life_us;
	row_check_grace(g);
	rows_touch(d->rows, &g->row);
}

void grace_give(struct decide *d, struct slot *s, struct command *c, micros available_micros)
{
	const micros amount = available_micros < d->grace.amount_micros ? available_micros : d->grace.amount_micros;
	struct graces_row *g;
	micros limit;

	if (amount <= 0 || c->authorize.place == NULL)
		return;
	g = take_grace(d, s, c);
	/* An amount that is out cannot be called back: the place gets no new time for it. */
	if (g == NULL || !money_add(g->booked_micros, amount, &limit) || limit < g->limit_micros)
		return;
	if (limit > g->limit_micros || !is_grace_young(d, g))
		renew_grace(d, g, limit);
	c->answer.grace = (struct answer_grace){.serial = g->serial,
	                                        .ends_at_us = g->ends_at_us,
	                                        .left_us = g->ends_at_us - d->now_us,
	                                        .limit_micros = g->limit_micros,
	                                        .booked_micros = g->booked_micros};
}
