#include "inbox/reconcile.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"

void reconcile_fail(struct reconcile *R, const char *format, ...)
{
	va_list arguments;

	if (R->failed)
		return;
	R->failed = true;
	va_start(arguments, format);
	(void)vsnprintf(R->error, sizeof(R->error), format, arguments);
	va_end(arguments);
}

static void fail_database(struct reconcile *R)
{
	R->unavailable = R->unavailable || !R->failed;
	reconcile_fail(R, "database: %s", db_error(R->db));
}

bool reconcile_read(struct reconcile *R, const struct buf *sql, db_taker *take, void *context)
{
	if (!buf_ok(sql))
		reconcile_fail(R, "out of memory");
	else if (db_read(R->db, sql, take, context) < 0)
		fail_database(R);
	return !R->failed;
}

bool reconcile_order(struct reconcile *R, const struct account_key *account, int64_t seq, struct reader_topup *row)
{
	if (reader_topup(R->db, R->arena, account, seq, row) == 0)
		return row->found;
	fail_database(R);
	return false;
}

void reconcile_tell(struct reconcile *R, const struct account_key *account, int64_t seq, const char *object,
                    const char *finding, const char *done)
{
	struct reader_account named = {.external_id = ""};
	char id[ID_PUBLIC_MAX] = "";

	if (seq > 0)
		id_public_format(account, seq, id);
	if (reader_account(R->db, R->arena, account, &named) != 0 || !named.found)
		named.external_id = "";
	R->differences += done == NULL ? 1 : 0;
	R->tell(R->context, &(struct reconcile_finding){.account = named.external_id,
	                                                .order = id,
	                                                .object = object,
	                                                .finding = finding,
	                                                .done = done != NULL ? done : ""});
}

void reconcile_unanswered(struct reconcile *R)
{
	reconcile_fail(R, "the database did not answer in time; repeating is safe");
}

struct inbox reconcile_inbox(struct reconcile *R)
{
	return (struct inbox){
		.ledger = R->ledger,
		.readers = R->readers,
		.plans = R->plans,
		.livemode = stripe_is_live(&R->stripe),
	};
}

bool reconcile_submit(struct reconcile *R, struct command *command, const char *object)
{
	const struct answer *a = &command->answer;

	ledger_submit(R->ledger, command, clock_monotonic_us() + RECONCILE_PATIENCE_US);
	if (a->outcome == OUTCOME_UNAVAILABLE) {
		reconcile_unanswered(R);
		return false;
	}
	if (a->outcome != OUTCOME_OK || a->event_state == EVENT_PARKED)
		reconcile_tell(R, &command->account, command->topup_seq, object,
		               a->note != NULL && a->note[0] != '\0' ? a->note : outcome_name(a->outcome), NULL);
	return true;
}

void reconcile_take_parked(struct reconcile *R, const char *payment_id)
{
	const struct inbox in = reconcile_inbox(R);

	if (inbox_resolve(&in, payment_id, clock_monotonic_us() + RECONCILE_PATIENCE_US) != 0)
		reconcile_unanswered(R);
}
