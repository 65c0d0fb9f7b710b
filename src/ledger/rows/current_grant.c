#include "ledger/rows/current_grant.h"

#include <string.h>

#include "base/check.h"

micros current_grant_remaining(const struct accounts_row *a, const struct grants_row *g)
{
	const bool current = a->current_grant_seq > 0 && g->seq == a->current_grant_seq;

	CHECK(memcmp(a->id, g->account_id, sizeof(a->id)) == 0);
	return current ? a->current_remaining_micros : g->remaining_micros;
}

bool current_grant_needs_rows(const struct accounts_row *a)
{
	return a->current_grant_seq == 0 || a->grants_beside != 0;
}

static struct grants_row *find(struct slot *s, int64_t seq)
{
	struct grants_row *g = s->grants;

	CHECK(seq > 0);
	while (g != NULL && g->seq != seq)
		g = (struct grants_row *)g->row.next;
	return g;
}

bool current_grant_load(struct rows *r, struct slot *s)
{
	const struct accounts_row *a = s->account;
	struct grants_row *g;

	if (a == NULL || !s->grants_loaded || a->current_grant_seq <= 0)
		return true;
	g = find(s, a->current_grant_seq);
	if (g != NULL) {
		CHECK(g->row.change == ROW_CLEAN);
		g->remaining_micros = a->current_remaining_micros;
		g->warned = a->current_warned;
		return true;
	}
	g = (struct grants_row *)rows_alloc(r, TABLE_GRANTS);
	memcpy(g->account_id, a->id, sizeof(g->account_id));
	g->seq = a->current_grant_seq;
	g->type = a->current_type;
	g->priority = a->current_priority;
	g->expires_at_us = a->current_expires_at_us;
	g->amount_micros = a->current_amount_micros;
	g->remaining_micros = a->current_remaining_micros;
	g->created_at_us = a->current_created_at_us;
	g->warned = a->current_warned;
	CHECK(g->row.change == ROW_CLEAN && g->row.table == TABLE_GRANTS);
	return !rows_failed(r) && rows_load(r, s, &g->row);
}

static void copy(struct accounts_row *a, const struct grants_row *g)
{
	CHECK(g->remaining_micros > 0);
	a->current_grant_seq = g->seq;
	a->current_type = g->type;
	a->current_priority = g->priority;
	a->current_expires_at_us = g->expires_at_us;
	a->current_amount_micros = g->amount_micros;
	a->current_remaining_micros = g->remaining_micros;
	a->current_created_at_us = g->created_at_us;
	a->current_warned = g->warned;
}

static void copy_none(struct accounts_row *a)
{
	a->current_grant_seq = CURRENT_GRANT_NONE;
	a->current_type = a->current_priority = a->current_expires_at_us = 0;
	a->current_amount_micros = a->current_remaining_micros = a->current_created_at_us = 0;
	a->current_warned = 0;
}

/* The row of the current grant need not be written, because the copy is.  A grant that is current no more gets its true
 * rest.  The row of the grant that becomes current, first, is true then, and so has a rest. */
static void leave_behind(struct rows *r, struct slot *s, struct grants_row *first)
{
	const int64_t seq = s->account->current_grant_seq;
	struct grants_row *g;

	CHECK(first == NULL || first->remaining_micros > 0);
	if (seq <= 0)
		return;
	if (first != NULL && first->seq == seq) {
		if (first->row.change == ROW_CHANGED)
			first->row.change = ROW_COPIED;
		return;
	}
	g = find(s, seq);
	CHECK(g != NULL);
	rows_touch(r, &g->row);
}

void current_grant_note(struct rows *r, struct slot *s)
{
	struct accounts_row *a = s->account;
	struct grants_row *first = NULL;
	bool changed = false;
	int64_t open = 0;

	if (a == NULL || !s->grants_loaded)
		return;
	for (struct grants_row *g = s->grants; g != NULL; g = (struct grants_row *)g->row.next) {
		changed = changed || g->row.change != ROW_CLEAN;
		if (g->remaining_micros == 0)
			continue;
		if (first == NULL)
			first = g;
		open++;
	}
	if (!changed && a->row.change == ROW_CLEAN)
		return;
	leave_behind(r, s, first);
	rows_touch(r, &a->row);
	if (first != NULL)
		copy(a, first);
	else
		copy_none(a);
	a->grants_beside = open > 0 ? open - 1 : 0;
	/* Without a current grant there is nothing beside it. */
	CHECK(a->current_grant_seq != 0 && (first != NULL || a->grants_beside == 0));
}
