#include <stdio.h>

#include "ctl/setup/setup.h"
#include "db/sql.h"

#define SQL_MAX 4096

int setup_key(struct setup *S)
{
	static const struct key_terms terms = {
		.scope = "guard", .label = "octroictl setup", .account = "", .member = ""};
	struct buf sql;
	struct key made;
	int64_t keys = 0; /* a dry run has none: there may be no tables */
	int result;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT COUNT(*) FROM api_keys WHERE scope = 'guard' AND revoked_at_us = 0");
	result = S->dry_run ? CTL_OK : setup_count(S, &sql, &keys);
	buf_free(&sql);
	if (result != CTL_OK)
		return CTL_FAILED;
	if (keys > 0) {
		setup_say(S, SETUP_KEPT, "%lld API keys of scope guard", (long long)keys);
		return CTL_OK;
	}
	setup_say(S, SETUP_MADE, "API key of scope guard, for the application (shown once, below)");
	if (S->dry_run)
		return CTL_OK;
	if (ctl_key_make(S->ctl, &terms, &made) != CTL_OK)
		return CTL_FAILED;
	(void)snprintf(S->key, sizeof(S->key), "%s", made.text);
	return CTL_OK;
}
