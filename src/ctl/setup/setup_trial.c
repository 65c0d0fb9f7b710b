#include <stdio.h>

#include "ctl/setup/setup.h"
#include "db/sql.h"

#define SQL_MAX 4096

int setup_trial(struct setup *S)
{
	const char *const create[] = {SETUP_TRIAL_ACCOUNT, NULL};
	const char *const credit[] = {
		SETUP_TRIAL_ACCOUNT, "1",     "--type",       "ADJUSTMENT",      "--reason", "octroictl setup",
		"--actor",           "setup", "--request-id", "octroictl-setup", NULL};
	struct buf sql;
	int64_t accounts = 0; /* a dry run has none: there may be no tables */
	int result;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT COUNT(*) FROM accounts WHERE external_id = ");
	sql_text(&sql, SETUP_TRIAL_ACCOUNT);
	result = S->dry_run ? CTL_OK : setup_count(S, &sql, &accounts);
	buf_free(&sql);
	if (result != CTL_OK)
		return CTL_FAILED;
	if (accounts > 0) {
		setup_say(S, SETUP_KEPT, "account %s", SETUP_TRIAL_ACCOUNT);
		return CTL_OK;
	}
	if (setup_command(S, ctl_account_create, "account create", create) != CTL_OK)
		return CTL_FAILED;
	return setup_command(S, ctl_account_credit, "account credit", credit);
}
