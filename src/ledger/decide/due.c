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

/* Tasks of recharges are numbered apart from those of a workspace, from here on. */
#define RECHARGE_SEQ_BASE (INT64_C(1) << 40)

static void add_task(struct decide *d, struct slot *s, const struct outbox_row *task)
{
	struct outbox_row *o = (struct outbox_row *)rows_alloc(d->rows, TABLE_OUTBOX);

	memcpy(o->account_id, s->key.bytes, sizeof(o->account_id));
	o->seq = task->seq;
	o->kind = task->kind;
	o->subject_seq = task->subject_seq;
	o->state = OUTBOX_PENDING;
	o->next_at_us = task->next_at_us;
	o->created_at_us = task->created_at_us;
	row_check_outbox(o);
	rows_add(d->rows, s, &o->row);
}

void due_post(struct decide *d, struct slot *s, struct workspaces_row *w, enum outbox_kind kind, int64_t subject_seq,
              int64_t at_us)
{
	CHECK(w->outbox_seq < RECHARGE_SEQ_BASE - 1);
	add_task(d, s,
	         &(struct outbox_row){.seq = ++w->outbox_seq,
	                              .kind = kind,
	                              .subject_seq = subject_seq,
	                              .next_at_us = at_us,
	                              .created_at_us = at_us});
	rows_touch(d->rows, &w->row);
}

void due_post_recharge(struct decide *d, struct slot *s, int64_t number, int64_t at_us)
{
	CHECK(number > 0 && at_us >= d->now_us);
	add_task(d, s,
	         &(struct outbox_row){.seq = RECHARGE_SEQ_BASE + number,
	                              .kind = OUTBOX_RECHARGE,
	                              .subject_seq = number,
	                              .next_at_us = at_us,
	                              .created_at_us = d->now_us});
}
