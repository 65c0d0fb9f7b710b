/*
 * alerts: an account sets the thresholds of its balance at which it wants to be told, or takes the configured one;
 * where alerts are mailed to, and their language.
 */
#include "base/check.h"
#include "ledger/decide/alert.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/row_check.h"

static void set_contacts(struct decide *d, struct slot *s, const struct command *c)
{
	struct profiles_row *p = rows_profile(d->rows, s);

	if (p == NULL && c->alerts.addresses[0] == '\0' && c->alerts.language[0] == '\0')
		return;
	p = effects_profile(d, s);
	p->alert_addresses = c->alerts.addresses;
	p->alert_language = c->alerts.language;
}

void decide_alerts(struct decide *d, struct slot *s, struct command *c)
{
	CHECK(c->alerts.count <= ALERT_THRESHOLDS_MAX);
	for (int i = 0; i < c->alerts.count; i++)
		CHECK(c->alerts.thresholds[i] > 0 && c->alerts.thresholds[i] <= MONEY_AMOUNT_MAX_MICROS);

	/* From here on it succeeds. */
	effects_account(d, s, c);
	alert_set_thresholds(d, s, c->alerts.thresholds, c->alerts.count);
	alert_set_percents(d, s, c->alerts.percents, c->alerts.percent_count);
	set_contacts(d, s, c);
	row_check_account(s->account);
	c->answer.outcome = OUTCOME_OK;
}
