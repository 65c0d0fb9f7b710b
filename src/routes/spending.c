#include "routes/spending.h"

#include "options.h"
#include "queries/reader.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"

static int read_used(struct call *c, struct db *d, struct command *command)
{
	struct reader_account account;

	if (reader_account(d, c->request->arena, &command->account, &account) < 0)
		return -1;
	if (!account.found)
		return 0;
	if (command->account_change.time_zone != NULL)
		account.time_zone = command->account_change.time_zone;
	return reader_used(d, &command->account, options_zone_of(c->config, &account), account.now_us,
	                   &command->account_change.day_micros, &command->account_change.month_micros);
}

bool spending_count(struct call *c, struct command *command)
{
	struct db *d;
	int result;

	if (!command->account_change.set_daily_limit && !command->account_change.set_monthly_limit)
		return true;
	d = call_reader(c);
	if (d == NULL)
		return false;
	result = read_used(c, d, command);
	pool_give(c->readers, d);
	if (result < 0)
		render_outcome(c, OUTCOME_UNAVAILABLE);
	return result == 0;
}
