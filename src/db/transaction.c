#include "db/transaction.h"

#include "base/check.h"
#include "db/sql.h"

#define SQL_MAX 64

int transaction_begin(struct db *d)
{
	struct buf sql;
	int64_t begun;

	CHECK(!db_in_transaction(d));
	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "BEGIN");
	begun = db_change(d, &sql);
	buf_free(&sql);
	return begun < 0 ? -1 : 0;
}

int transaction_end(struct db *d, int result)
{
	struct buf sql;

	if (result <= 0) {
		db_rollback(d);
		return result;
	}
	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "COMMIT");
	if (db_change(d, &sql) < 0) {
		db_rollback(d);
		result = -1;
	}
	buf_free(&sql);
	return result;
}
