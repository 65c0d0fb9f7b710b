#include "ledger/decide/due.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/row_check.h"

void due_note(struct accounts_row *a, int64_t at_us)
{
	if (at_us != 0 && at_us < a->due_at_us)
		a->due_at_us = at_us;
}

void due_note_hold(struct accounts_row *a, int64_t at_us)
{
	CHECK(a->open_holds > 0 && at_us > 0);
	if (a->open_holds == 1 || at_us < a->holds_due_at_us)
		a->holds_due_at_us = at_us;
}

int64_t due_next_us(const struct accounts_row *a)
{
	return a->open_holds > 0 && a->holds_due_at_us < a->due_at_us ? a->holds_due_at_us : a->due_at_us;
}

void due_post(struct decide *d, struct slot *s, struct workspaces_row *w, enum outbox_kind kind, int64_t subject_seq,
              int64_t at_us)
{
	struct outbox_row *o = (struct outbox_row *)rows_alloc(d->rows, TABLE_OUTBOX);

	memcpy(o->account_id, s->key.bytes, sizeof(o->account_id));
	o->seq = ++w->outbox_seq;
	o->kind = kind;
	o->subject_seq = subject_seq;
	o->state = OUTBOX_PENDING;
	o->next_at_us = at_us;
	o->created_at_us = at_us;
	row_check_outbox(o);
	rows_add(d->rows, s, &o->row);
	rows_touch(d->rows, &w->row);
}
