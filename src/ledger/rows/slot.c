#include "ledger/rows/slot.h"

#include "ledger/rows/packed_hold.h"

static bool is_there(const struct row *row)
{
	return row->change != ROW_ENDED && row->change != ROW_DROPPED;
}

static const char *check_grants(const struct slot *s)
{
	const micros arrears = s->workspace != NULL ? s->workspace->arrears_micros : 0;
	micros owned, remaining = 0;

	for (const struct grants_row *g = s->grants; g != NULL; g = (const struct grants_row *)g->row.next) {
		if (g->remaining_micros < 0 || g->remaining_micros > g->amount_micros)
			return "what remains of a grant is not between 0 and its amount";
		if (!money_add(remaining, g->remaining_micros, &remaining))
			return "the grants come to more than an amount can be";
	}
	/* The arrears are not known before the account's workspace has been read. */
	if (!s->grants_loaded || (s->account->workspace != 0 && s->workspace == NULL))
		return NULL;
	if (!money_add(s->account->balance_micros, arrears, &owned))
		return "the balance and the arrears come to more than an amount can be";
	return remaining == (owned > 0 ? owned : 0) ? NULL : "the grants do not come to the balance and the arrears";
}

static const char *check_holds(const struct slot *s)
{
	micros held = 0;
	int64_t count = 0;

	for (const struct holds_row *h = s->holds; h != NULL; h = (const struct holds_row *)h->row.next) {
		if (!is_there(&h->row))
			continue;
		if (h->reserved_micros < 0 || !money_add(held, h->reserved_micros, &held))
			return "a hold reserves less than nothing, or all of them more than an amount can be";
		count++;
	}
	if (!s->holds_loaded)
		return NULL;
	if (count != s->account->open_holds)
		return "open_holds is not the number of holds";
	return held == s->account->held_micros ? NULL : "the holds do not come to what is held";
}

const char *slot_check(const struct slot *s)
{
	const char *wrong;

	if (s->account == NULL)
		return NULL;
	if (s->account->held_micros < 0 || s->account->open_holds < 0)
		return "less than nothing is held";
	wrong = packed_hold_check(s->account);
	if (wrong == NULL)
		wrong = check_grants(s);
	return wrong != NULL ? wrong : check_holds(s);
}
