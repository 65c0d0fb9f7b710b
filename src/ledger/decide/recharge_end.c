/*
 * recharge_end: the pending order ends without money: declined, refused, or never asked for.
 */
#include "ledger/decide/decide.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/alert.h"
#include "ledger/decide/recharge.h"
#include "ledger/decide/row_check.h"

#define HOUR_US (INT64_C(3600) * 1000000)

/* The pauses after declined charges; after the last of them comes no other. */
static const int64_t pauses_us[] = {HOUR_US, 6 * HOUR_US, 24 * HOUR_US};
#define PAUSES ((int64_t)(sizeof(pauses_us) / sizeof(pauses_us[0])))

static const struct {
	const char *code;
	int64_t times;
} rules[] = {
#define DECLINE(code, times) {code, times},
#include "ledger/declines.def"
#undef DECLINE
};

static bool is_final(const struct recharges_row *r)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (strcmp(rules[i].code, r->code) == 0 && r->code_count >= rules[i].times)
			return true;
	return r->failures > PAUSES;
}

static void count_failure(struct recharges_row *r, const char *code)
{
	r->failures++;
	r->code_count = strcmp(r->code, code) == 0 ? r->code_count + 1 : 1;
	r->code = code;
	CHECK(r->failures >= r->code_count);
}

static enum recharge_reason why_paused(const struct recharges_row *r, const struct command *c)
{
	if (c->recharge_end.refused)
		return RECHARGE_CHARGE_REFUSED;
	if (strcmp(c->recharge_end.code, "no_payment_method") == 0)
		return RECHARGE_NO_CARD;
	if (strcmp(c->recharge_end.code, "authentication_required") == 0)
		return RECHARGE_ACTION_NEEDED;
	return is_final(r) ? RECHARGE_CARD_DECLINED : RECHARGE_FINE;
}

static void fail_recharge(struct decide *d, struct slot *s, struct recharges_row *r, const struct command *c)
{
	enum recharge_reason reason;

	count_failure(r, c->recharge_end.code);
	if (r->state != RECHARGE_ON)
		return;
	reason = why_paused(r, c);
	if (reason != RECHARGE_FINE) {
		recharge_pause(d, s, r, reason);
		return;
	}
	CHECK(r->failures > 0 && r->failures <= PAUSES);
	r->reason = RECHARGE_BACKING_OFF;
	r->next_at_us = d->now_us + pauses_us[r->failures - 1];
	alert_post(d, s, &(struct alert_what){.kind = ALERT_RECHARGE_FAILED});
}

void decide_recharge_end(struct decide *d, struct slot *s, struct command *c)
{
	struct recharges_row *r = rows_recharge(d->rows, s);
	struct topups_row *t = rows_topup(d->rows, s, c->topup_seq);

	if (r == NULL || t == NULL) {
		c->answer.outcome = OUTCOME_NOT_FOUND;
		return;
	}

	/* From here on it succeeds. */
	c->answer.outcome = OUTCOME_OK;
	if (r->pending_seq != t->seq)
		return;
	recharge_drop(d, s, r, t);
	if (c->recharge_end.code[0] != '\0')
		fail_recharge(d, s, r, c);
	if (r->state == RECHARGE_ON)
		recharge_arm(d, s, r);
	row_check_recharge(r);
}
