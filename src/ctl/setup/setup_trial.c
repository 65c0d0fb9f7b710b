#include <stdio.h>

#include "ctl/setup/setup.h"
#include "db/sql.h"

#define SQL_MAX 4096

/* The number of trial accounts, or of their transactions: a run that was cut off may have left one without credit. */
static int count(struct setup *S, bool transactions, int64_t *number)
{
	struct buf sql;
	int result;

	*number = 0; /* a dry run has none: there may be no tables */
	if (S->dry_run)
		return CTL_OK;
	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT COUNT(*) FROM accounts a ");
	if (transactions)
		sql_literal(&sql, "JOIN transactions t ON t.account_id = a.id ");
	sql_literal(&sql, "WHERE a.external_id = ");
	sql_text(&sql, SETUP_TRIAL_ACCOUNT);
	result = setup_count(S, &sql, number);
	buf_free(&sql);
	return result;
}

int setup_trial(struct setup *S)
{
	const char *const create[] = {SETUP_TRIAL_ACCOUNT, NULL};
	const char *const credit[] = {
		SETUP_TRIAL_ACCOUNT, "1",     "--type",       "ADJUSTMENT",      "--reason", "octroictl setup",
		"--actor",           "setup", "--request-id", "octroictl-setup", NULL};
	int64_t accounts, transactions;

	if (count(S, false, &accounts) != CTL_OK || count(S, true, &transactions) != CTL_OK)
		return CTL_FAILED;
	if (accounts > 0)
		setup_say(S, SETUP_KEPT, "account %s", SETUP_TRIAL_ACCOUNT);
	else if (setup_command(S, ctl_account_create, "account create", create) != CTL_OK)
		return CTL_FAILED;
	return transactions > 0 ? CTL_OK : setup_command(S, ctl_account_credit, "account credit", credit);
}
