#include "reports/examine.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/funds.h"
#include "queries/insight.h"

static enum diagnosis_card card_of(const struct insight_account *i)
{
	if (i->charged_state == STATEMENT_PAID)
		return CARD_VALID;
	if (i->charged_state < 0)
		return i->customer ? CARD_UNKNOWN : CARD_NONE;
	if (strcmp(i->failure, "expired_card") == 0)
		return CARD_EXPIRED;
	return strcmp(i->failure, "no_payment_method") == 0 ? CARD_NONE : CARD_DECLINED;
}

static void note_account(const struct reader_account *a, struct diagnosis_facts *f)
{
	const struct reader_workspace *w = &a->workspace;

	f->unit = (enum account_unit)a->unit;
	f->mode = (enum account_mode)a->mode;
	f->status = (enum account_status)a->status;
	f->balance_micros = a->balance_micros;
	f->held_micros = a->held_micros;
	f->hard_limit_micros = a->hard_limit_micros;
	f->soft_limit_micros = a->soft_limit_micros;
	f->available_micros =
		funds_promisable(a->balance_micros, a->held_micros, f->mode == MODE_POSTPAID, a->hard_limit_micros);
	f->daily_limit_micros = w->daily_limit_micros;
	f->monthly_limit_micros = w->monthly_limit_micros;
	if (!w->found)
		return;
	f->statement_at_us = w->statement_at_us;
	f->on_plan = w->plan[0] != '\0';
	f->allowance_micros = w->granted_micros + w->carried_micros;
	f->allowance_left_micros = w->left_micros;
	f->period_end_us = w->period_end_us;
}

static void note_insight(const struct insight_account *i, struct diagnosis_facts *f)
{
	f->stated_micros = i->stated_micros;
	f->unpaid_micros = i->unpaid_micros + i->overdue_micros; /* both are of one debt */
	f->overdue_micros = i->overdue_micros;
	f->card = card_of(i);
	f->card_code = i->charged_state == STATEMENT_PAID ? "" : i->failure;
	f->invoice_url = i->charged_state == STATEMENT_PAID ? "" : i->invoice_url;
	f->paid_type = (enum transaction_type)i->paid_type;
	f->paid_micros = i->paid_micros;
	f->paid_at_us = i->paid_at_us;
	f->item_kind = (enum price_kind)i->used_kind;
	f->item = i->used_item;
}

static void check(const struct examine_options *o, const struct diagnosis_facts *f, struct command *c)
{
	const bool model = f->item_kind == PRICE_MODEL;

	c->check.model = model ? f->item : "";
	c->check.action = !model && f->item[0] != '\0' ? f->item : NULL;
	c->check.input_tokens = o->input_tokens;
	c->check.max_output_tokens = o->output_tokens;
	ledger_submit(o->ledger, c, o->deadline_us);
}

int examine_verdict(const struct examine_options *o, const struct account_key *key, const char *account_id,
                    const char *member, struct diagnosis_facts *f)
{
	struct command command = {.kind = COMMAND_CHECK, .account = *key, .account_id = account_id, .member = member};
	const struct answer *a = &command.answer;

	check(o, f, &command);
	/* An item that has no price any more, or is not in the plan, is not typical: any request is checked instead. */
	if (a->outcome == OUTCOME_UNKNOWN_MODEL || a->outcome == OUTCOME_UNKNOWN_ACTION ||
	    a->outcome == OUTCOME_MODEL_NOT_IN_PLAN) {
		f->item = "";
		f->item_kind = PRICE_MODEL;
		check(o, f, &command);
	}
	if (a->outcome == OUTCOME_UNAVAILABLE)
		return -1;
	f->typical_micros = a->needed_micros;
	f->member_removed = a->outcome == OUTCOME_MEMBER_REMOVED;
	if (a->outcome == OUTCOME_OK || f->member_removed)
		return 0;
	CHECK(outcome_status(a->outcome) == 402);
	f->limit = a->limit;
	f->of_member = a->of_member;
	f->limit_micros = a->limit_micros;
	f->limit_used_micros = a->used_micros;
	f->resets_at_us = a->resets_at_us;
	return 0;
}

int examine_account(struct db *d, struct arena *arena, const struct account_key *key, const struct zone *zone,
                    const struct reader_account *account, struct diagnosis_facts *facts)
{
	struct insight_account insight;
	int64_t today_micros;

	CHECK(account->found);
	*facts = (struct diagnosis_facts){.limit = LIMIT_NONE};
	note_account(account, facts);
	if (insight_account(d, arena, key, &insight) < 0 ||
	    reader_used(d, key, zone, account->now_us, &today_micros, &facts->used_micros) < 0)
		return -1;
	note_insight(&insight, facts);
	return 0;
}
