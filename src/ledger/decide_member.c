/*
 * member: someone joins an account, changes role, or leaves; history stays.
 */
#include "ledger/decide.h"

#include <string.h>

#include "ledger/effects.h"

void decide_member(struct decide *d, struct slot *s, struct command *c)
{
	struct members_row *m = rows_member(d->rows, s, c->member);
	const bool present = m != NULL && m->removed_at_us == 0;

	if (c->member_change.remove && !present) {
		c->answer.outcome = OUTCOME_NOT_FOUND;
		return;
	}

	/* From here on it succeeds. */
	effects_account(d, s, c);
	if (m == NULL) {
		m = (struct members_row *)rows_alloc(d->rows, TABLE_MEMBERS);
		memcpy(m->account_id, s->key.bytes, sizeof(m->account_id));
		m->member_id = c->member;
		m->created_at_us = d->now_us;
		rows_add(d->rows, s, &m->row);
	}
	rows_touch(d->rows, &m->row);
	if (c->member_change.remove) {
		m->removed_at_us = d->now_us;
	} else {
		m->removed_at_us = 0;
		m->role = c->member_change.role;
	}
	c->answer.outcome = OUTCOME_OK;
}
