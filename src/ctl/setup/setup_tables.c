#include "ctl/setup/setup.h"

int setup_tables(struct setup *S)
{
	const char *const arguments[] = {"--admin-user", setup_admin_user(S), "--grants",
	                                 "--grant-host", setup_grant_host(S), NULL};
	int64_t now_us;

	ctl_close(S->ctl); /* init logs in by itself */
	if (setup_command(S, ctl_init, "init", arguments) != CTL_OK)
		return CTL_FAILED;
	if (S->dry_run)
		return CTL_OK;
	S->has_tables = true;
	ctl_close(S->ctl);
	if (ctl_now(S->ctl, &now_us) == CTL_OK)
		return CTL_OK;
	return ctl_fail("octroi cannot log in as the database user '%s': it was there before, so set db_password_file "
	                "to a file with its password, or drop the user and run setup again",
	                S->config.db_user);
}
