#include <stdio.h>

#include "ctl/setup/setup.h"
#include "db/sql.h"

#define SQL_MAX 4096

int setup_prices(struct setup *S)
{
	const char *file = S->answers.prices;
	struct buf sql;
	int64_t prices = 0; /* a dry run has none: there may be no tables */
	int result;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT COUNT(*) FROM prices WHERE kind = ");
	sql_int(&sql, PRICE_MODEL);
	result = S->dry_run ? CTL_OK : setup_count(S, &sql, &prices);
	buf_free(&sql);
	if (result != CTL_OK)
		return CTL_FAILED;
	S->has_prices = prices > 0;
	if (file != NULL && *file != '\0') {
		const char *const arguments[] = {file, "--yes", NULL};

		S->has_prices = setup_command(S, ctl_price_import, "price import", arguments) == CTL_OK;
		return S->has_prices ? CTL_OK : CTL_FAILED;
	}
	if (S->has_prices)
		setup_say(S, SETUP_KEPT, "%lld prices of models", (long long)prices);
	else
		setup_say(S, SETUP_BY_HAND,
		          "no model has a price, so every model is refused: octroictl price import "
		          "FILE, with the list that docs/prices.md names");
	return CTL_OK;
}
