#include "ctl/reconcile.h"

#include "base/clock.h"

bool reconcile_order(struct reconcile *R, const struct account_key *account, int64_t seq, struct reader_topup *row)
{
	if (reader_topup(ctl_db(R->ctl), R->arena, account, seq, row) == 0)
		return row->found;
	R->failed = true;
	(void)ctl_db_failed(R->ctl);
	return false;
}

void reconcile_tell(struct reconcile *R, const struct account_key *account, int64_t seq, const char *object,
                    const char *finding, const char *done)
{
	struct reader_account named = {.external_id = ""};
	char id[ID_PUBLIC_MAX] = "";

	if (seq > 0)
		id_public_format(account, seq, id);
	if (reader_account(ctl_db(R->ctl), R->arena, account, &named) != 0 || !named.found)
		named.external_id = "";
	R->differences += done == NULL ? 1 : 0;
	R->told++;
	listing_row(R->list);
	listing_text(R->list, "account", "account", named.external_id);
	listing_text(R->list, "topup", "top-up", id);
	listing_text(R->list, "object", "at Stripe", object);
	listing_text(R->list, "finding", "finding", finding);
	listing_text(R->list, "done", "done", done != NULL ? done : "");
}

void reconcile_unanswered(struct reconcile *R)
{
	R->failed = true;
	(void)ctl_fail("the database did not answer in time; repeating is safe");
}

struct inbox reconcile_inbox(struct reconcile *R)
{
	return (struct inbox){
		.ledger = ctl_ledger(R->ctl),
		.readers = R->ctl->pool,
		.plans = R->ctl->config->plan_prices,
		.livemode = stripe_is_live(&R->stripe),
	};
}

bool reconcile_submit(struct reconcile *R, struct command *command, const char *object)
{
	const struct answer *a = &command->answer;

	ledger_submit(ctl_ledger(R->ctl), command, clock_monotonic_us() + CTL_LEDGER_TIMEOUT_US);
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

	if (inbox_resolve(&in, payment_id, clock_monotonic_us() + CTL_LEDGER_TIMEOUT_US) != 0)
		reconcile_unanswered(R);
}
