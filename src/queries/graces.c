#include "queries/graces.h"

#include <stdio.h>
#include <string.h>

#include "db/ask.h"
#include "db/sql.h"
#include "ledger/command.h"
#include "ledger/terms.h"

static int take_graces(struct ask *q, const struct db_row *row, void *out)
{
	struct graces_sums *sums = out;
	struct graces_out *of = db_int(row, 0) == UNIT_MONEY ? &sums->money : &sums->credit;

	(void)q;
	*of = (struct graces_out){.accounts = db_int(row, 1), .out_micros = db_int(row, 2)};
	return 0;
}

int graces_sum(struct db *d, struct graces_sums *sums)
{
	struct ask q;
	int result = -1;

	memset(sums, 0, sizeof(*sums));
	ask_init(&q, d, NULL);
	sql_literal(&q.sql, "SELECT a.unit,COUNT(*),CAST(SUM(g.limit_micros-g.booked_micros) AS SIGNED) FROM graces g"
	                    " JOIN accounts a ON a.id=g.account_id WHERE g.limit_micros>g.booked_micros"
	                    " AND g.ends_at_us>=" SQL_NOW_US "-");
	sql_int(&q.sql, TERMS_GRACE_BOOK_US);
	sql_literal(&q.sql, " GROUP BY a.unit");
	if (ask_send(&q) == 0 && ask_each(&q, take_graces, sums) >= 0)
		result = 0;
	return ask_end(&q, result);
}

static int take_grace_of(struct ask *q, const struct db_row *row, void *out)
{
	struct graces_one *one = out;

	(void)q;
	(void)snprintf(one->place, sizeof(one->place), "%s", row->field[0]);
	one->out_micros = db_int(row, 1);
	one->booked_micros = db_int(row, 2);
	one->ends_at_us = db_int(row, 3);
	return 0;
}

int graces_of(struct db *d, const struct account_key *key, struct graces_one *out)
{
	struct ask q;
	int result = -1;

	memset(out, 0, sizeof(*out));
	ask_init(&q, d, NULL);
	sql_literal(&q.sql, "SELECT place,IF(ends_at_us>=" SQL_NOW_US "-");
	sql_int(&q.sql, TERMS_GRACE_BOOK_US);
	sql_literal(&q.sql, ",limit_micros-booked_micros,0),booked_micros,ends_at_us FROM graces WHERE account_id=");
	ask_key(&q, key);
	if (ask_send(&q) == 0 && ask_rows(&q, 1, take_grace_of, out, sizeof(*out)) >= 0)
		result = 0;
	return ask_end(&q, result);
}
