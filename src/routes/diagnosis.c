/*
 * diagnosis: the reasons for an account's balance, and the steps to take.
 */
#include <string.h>

#include "reports/diagnosis_json.h"
#include "options.h"
#include "reports/examine.h"
#include "routes/api/call.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"
#include "routes/routes.h"

/* The account was just touched.  If it is not found, the server reads from a lagging copy: -1, rendered. */
static int read_facts(struct call *c, const struct account_key *key, struct diagnosis_facts *facts)
{
	struct reader_account account;
	struct db *d = call_reader(c);
	int result = -1;

	if (d == NULL)
		return -1;
	if (reader_account(d, c->request->arena, key, &account) == 0 && account.found)
		result = examine_account(d, c->request->arena, key, options_zone_of(c->config, &account), &account,
		                         facts);
	pool_give(c->readers, d);
	if (result < 0)
		render_outcome(c, OUTCOME_UNAVAILABLE);
	return result;
}

static int ask_verdict(struct call *c, const struct account_key *key, struct diagnosis_facts *facts)
{
	const struct examine_options options = {
		.ledger = c->ledger,
		.deadline_us = c->request->deadline_us,
		.input_tokens = c->config->estimate_input_tokens,
		.output_tokens = c->config->estimate_output_tokens,
	};
	int result = examine_verdict(&options, key, c->account, c->member, facts);

	if (result < 0)
		render_outcome(c, OUTCOME_UNAVAILABLE);
	return result;
}

void diagnosis_show(struct call *c)
{
	const struct account_key key = call_account_key(c);
	const struct wording words = {.currency = c->config->currency, .french = c->french};
	char topup_url[CONFIG_URL_MAX];
	struct diagnosis_links links = {.topup_url = topup_url};
	struct diagnosis_facts facts;
	struct json_writer w;

	if (call_manages(c, &links.invoice) < 0 || !call_touch(c, &key) || read_facts(c, &key, &facts) < 0 ||
	    ask_verdict(c, &key, &facts) < 0)
		return;
	config_topup_url(c->config, topup_url);
	render_open(c, &w);
	json_put_text(&w, "account", c->account);
	diagnosis_json_put(&w, &facts, &words, &links);
	render_close(&w);
}
