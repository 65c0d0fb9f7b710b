#include "ledger/decide/refusal.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/limits.h"
#include "ledger/decide/workspace.h"

bool refusal_suspended(const struct slot *s, struct answer *a)
{
	if (s->account == NULL || (s->account->status != STATUS_SUSPENDED && s->account->status != STATUS_UNPAID))
		return false;
	a->outcome = OUTCOME_ACCOUNT_SUSPENDED;
	a->limit = LIMIT_SUSPENDED;
	return true;
}

bool refusal_removed(struct decide *d, struct slot *s, const char *member, struct answer *a)
{
	const struct members_row *m = workspace_member(d, s, member);

	CHECK(m == NULL || strcmp(m->member_id, member) == 0);
	if (m == NULL || m->removed_at_us == 0)
		return false;
	a->outcome = OUTCOME_MEMBER_REMOVED;
	return true;
}

const struct price *refusal_action_price(const struct decide *d, const struct slot *s, const char *action,
                                         struct price *standard)
{
	const struct plan *plan = limits_plan(d, s);
	const struct price *p = book_price_at(d->book, PRICE_ACTION, action, d->now_us);

	CHECK(d->action_price_micros >= 0 && (p == NULL || p->kind == PRICE_ACTION));
	*standard = (struct price){.kind = PRICE_ACTION, .terms = d->terms, .credits_micros = d->action_price_micros};
	if (plan != NULL && plan_action_price(plan, action, &standard->credits_micros))
		return standard;
	if (p != NULL)
		return p;
	return d->action_price_micros != 0 ? standard : NULL;
}
