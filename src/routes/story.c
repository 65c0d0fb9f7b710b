/*
 * story: all of one account, for an operator's pages.  Its history, its usages and its diagnosis are those that its
 * owner sees.
 */
#include <string.h>

#include "queries/platform.h"
#include "queries/reader.h"
#include "routes/api/call.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"
#include "routes/platform.h"
#include "routes/routes.h"
#include "routes/show.h"

#define SHOWN_MAX 50 /* rows of each list */

/* The account of the path is the call's.  False, rendered, if it is no account's id. */
static bool take_path_account(struct call *c)
{
	const char *account = c->segment[0];
	struct parse p;

	parse_query(&p, c->request);
	if (!id_account_valid(account, strlen(account)))
		parse_wrong(&p, "account", PARSE_ACCOUNT);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return false;
	}
	c->account = account;
	return true;
}

static const struct {
	const char *name;
	enum platform_list list;
} parts[] = {
	{"grants", PLATFORM_GRANTS},
	{"holds", PLATFORM_HOLDS},
	{"orders", PLATFORM_ORDERS},
	{"statements", PLATFORM_STATEMENTS},
	{"alerts", PLATFORM_ALERTS_OF_ACCOUNT},
};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

static void put_story(struct call *c, const struct account_key *key, const struct reader_account *account,
                      const struct platform_page *pages)
{
	struct json_writer w;
	bool complete = true;

	render_open(c, &w);
	json_open_record(&w, "account");
	show_account(&w, c, account);
	json_close_record(&w);
	for (size_t i = 0; i < PARTS; i++) {
		platform_put(&w, parts[i].name, parts[i].list, &pages[i], key);
		complete = complete && !pages[i].more;
	}
	json_put_bool(&w, "complete", complete);
	render_close(&w);
}

void story_show(struct call *c)
{
	struct platform_page pages[PARTS];
	struct reader_account account;
	struct account_key key;
	struct db *d;
	int result;

	if (!take_path_account(c))
		return;
	key = call_account_key(c);
	if (!call_touch(c, &key))
		return;
	d = call_reader(c);
	if (d == NULL)
		return;
	result = reader_account(d, c->request->arena, &key, &account);
	for (size_t i = 0; i < PARTS && result == 0; i++)
		result = platform_read(d, c->request->arena, parts[i].list, &key, NULL, SHOWN_MAX, &pages[i]);
	pool_give(c->readers, d);
	if (result < 0)
		render_outcome(c, OUTCOME_UNAVAILABLE);
	else if (!account.found)
		render_outcome(c, OUTCOME_NOT_FOUND);
	else
		put_story(c, &key, &account, pages);
}

void story_transactions(struct call *c)
{
	if (take_path_account(c))
		credits_transactions(c);
}

void story_usages(struct call *c)
{
	if (take_path_account(c))
		credits_usages(c);
}

void story_usage(struct call *c)
{
	if (!take_path_account(c))
		return;
	c->segment[0] = c->segment[1];
	usages_show(c);
}

void story_diagnosis(struct call *c)
{
	if (take_path_account(c))
		diagnosis_show(c);
}

/* ---- GET /api/credits/grants --------------------------------------------------------------------------- */

/* The grants of the account, in the order in which they are spent, as its owner and managers see them. */
void story_grants(struct call *c)
{
	const struct account_key key = call_account_key(c);
	struct platform_page page;
	struct json_writer w;
	struct db *d;
	int result;

	if (!call_may_manage(c) || !call_touch(c, &key))
		return;
	d = call_reader(c);
	if (d == NULL)
		return;
	result = platform_read(d, c->request->arena, PLATFORM_GRANTS, &key, NULL, SHOWN_MAX, &page);
	pool_give(c->readers, d);
	if (result < 0) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	render_open(c, &w);
	json_put_text(&w, "account", c->account);
	platform_put(&w, "items", PLATFORM_GRANTS, &page, &key);
	json_put_bool(&w, "complete", !page.more);
	render_close(&w);
}
