/*
 * alerts: an account sets the thresholds of its balance at which it wants to be told, or takes the configured one.
 */
#include "base/check.h"
#include "ledger/decide/alert.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/row_check.h"

void decide_alerts(struct decide *d, struct slot *s, struct command *c)
{
	CHECK(c->alerts.count <= ALERT_THRESHOLDS_MAX);
	for (int i = 0; i < c->alerts.count; i++)
		CHECK(c->alerts.thresholds[i] > 0 && c->alerts.thresholds[i] <= MONEY_AMOUNT_MAX_MICROS);

	/* From here on it succeeds. */
	effects_account(d, s, c);
	alert_set_thresholds(d, s, c->alerts.thresholds, c->alerts.count);
	row_check_account(s->account);
	c->answer.outcome = OUTCOME_OK;
}
