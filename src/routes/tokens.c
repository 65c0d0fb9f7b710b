/*
 * tokens: browser tokens.  An application asks for one and hands it to its customer's browser.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "routes/api/call.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"
#include "routes/auth/token.h"
#include "routes/routes.h"

#include <string.h>

#define LIFE_MIN_SECONDS 10
#define TOKEN_ADDRESS_MAX ((size_t)8192)

static const char *const token_members[] = {"account", "member", "ttlSeconds", "page", NULL};

/* Pages of the web part that a token opens. */
enum page { PAGE_NONE, PAGE_BILLING };

static int page_number(const char *name)
{
	return strcmp(name, "billing") == 0 ? PAGE_BILLING : -1;
}

static void refuse_without_secret(struct call *c)
{
	render_said(c, OUTCOME_NOT_FOUND, NULL, SENTENCE_NO_TOKEN_SECRET);
}

/* Whether the member may have a token.  False, rendered, if the member was removed, or the ledger does not answer. */
static bool is_welcome(struct call *c, const char *account, const char *member)
{
	struct command command = {
		.kind = COMMAND_TOUCH,
		.account = id_account_key(account, strlen(account)),
		.account_id = account,
		.member = member,
	};

	return member == NULL || call_submit(c, &command);
}

/* The page's address with the token in its fragment, which no browser sends to a server. */
static void put_address(struct json_writer *w, const struct config *config, const char *token)
{
	const char *base = config->public_url;
	size_t length = strlen(base);
	struct buf url;

	if (length > 0 && base[length - 1] == '/')
		length--;
	buf_init(&url, TOKEN_ADDRESS_MAX);
	buf_add(&url, base, length);
	buf_add_text(&url, "/billing#token=");
	buf_add_text(&url, token);
	json_put_text(w, "url", buf_text(&url));
	buf_free(&url);
}

void tokens_issue(struct call *c)
{
	/* In whole seconds, as in the token, so that expiresAt is the token's own moment. */
	int64_t now_us = clock_wall_us() / CLOCK_US_PER_SECOND * CLOCK_US_PER_SECOND;
	const char *account, *member, *token;
	struct json_writer w;
	struct parse p;
	enum page page;
	int64_t life;

	parse_record(&p, c->request, c->body, token_members);
	parse_need(&p, "account");
	account = parse_account(&p, "account");
	member = parse_account(&p, "member");
	life = parse_int(&p, "ttlSeconds", LIFE_MIN_SECONDS, TOKEN_LIFE_MAX_SECONDS, TOKEN_LIFE_MAX_SECONDS);
	page = (enum page)parse_name(&p, "page", page_number, PAGE_NONE);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	if (strlen(c->config->token_secret) < TOKEN_SECRET_MIN) {
		refuse_without_secret(c);
		return;
	}
	if (page != PAGE_NONE && c->config->public_url[0] == '\0') {
		render_said(c, OUTCOME_NOT_FOUND, NULL, SENTENCE_NO_PAGE_ADDRESS);
		return;
	}
	c->account = account;
	if (!is_welcome(c, account, member))
		return;
	token = token_issue(c->request->arena, c->config->token_secret, account, member != NULL ? member : "", now_us,
	                    life);
	if (token == NULL) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	render_open(c, &w);
	json_put_text(&w, "token", token);
	json_put_time(&w, "expiresAt", now_us + life * CLOCK_US_PER_SECOND);
	if (page != PAGE_NONE)
		put_address(&w, c->config, token);
	render_close(&w);
}
