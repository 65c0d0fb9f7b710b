/*
 * diagnosis: why an account's balance is what it is, and what to do.
 */
#include <string.h>

#include "ledger/diagnosis_json.h"
#include "ledger/examine.h"
#include "routes/call.h"
#include "routes/render.h"
#include "routes/spending.h"

static int examine(struct call *c, struct db *d, const struct account_key *key, struct diagnosis_facts *facts)
{
	struct examine_options options = {
		.ledger = c->ledger,
		.deadline_us = c->request->deadline_us,
		.input_tokens = c->config->estimate_input_tokens,
		.output_tokens = c->config->estimate_output_tokens,
	};
	struct reader_account account;

	/* Just touched; not there yet: a server that reads from a lagging copy. */
	if (reader_account(d, c->request->arena, key, &account) < 0 || !account.found)
		return -1;
	options.zone = spending_zone(c, &account);
	return examine_account(&options, d, c->request->arena, key, c->member, &account, facts);
}

void diagnosis_show(struct call *c)
{
	const struct account_key key = id_account_key(c->account, strlen(c->account));
	const struct wording words = {.currency = c->config->currency, .french = c->french};
	char topup_url[CONFIG_URL_MAX];
	struct diagnosis_links links = {.topup_url = topup_url};
	struct diagnosis_facts facts;
	struct json_writer w;
	struct db *d;
	int result;

	if (call_manages(c, &links.invoice) < 0 || !call_touch(c, &key))
		return;
	d = call_reader(c);
	if (d == NULL)
		return;
	result = examine(c, d, &key, &facts);
	pool_give(c->readers, d);
	if (result < 0) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	config_topup_url(c->config, topup_url);
	render_open(c, &w);
	json_put_text(&w, "account", c->account);
	diagnosis_json_put(&w, &facts, &words, &links);
	render_close(&w);
}
