#include "queries/due.h"

#define SQL_MAX ((size_t)64 * 1024)

_Static_assert((int)OUTBOX_PENDING == (int)DELIVERY_PENDING, "the tables have one number for what is pending");

void due_put_held(struct buf *sql, int64_t until_us)
{
	sql_literal(sql, " AND state=" SQL(OUTBOX_PENDING) " AND claimed_until_us=");
	sql_int(sql, until_us);
}

/* Changes nothing if another process has claimed the row since it was read. */
static int64_t claim_found(struct db *d, struct buf *sql, const struct due_table *table, const struct due *due,
                           const void *context)
{
	buf_reset(sql);
	table->put_set(sql, context);
	sql_literal(sql, "attempts=attempts+1,claimed_until_us=");
	sql_int(sql, due->until_us);
	table->put_key(sql, context);
	due_put_held(sql, due->claimed_us);
	sql_literal(sql, " AND next_at_us<=" SQL_NOW_US " AND attempts=");
	sql_int(sql, due->attempts);
	return db_change(d, sql);
}

int due_claim(struct db *d, const struct due_table *table, int64_t lease_us, struct due *due, void *context)
{
	int64_t changed = 0;
	struct buf sql;
	int found = 1;

	buf_init(&sql, SQL_MAX);
	while (found > 0 && changed == 0) {
		buf_reset(&sql);
		found = table->find(d, &sql, context);
		if (found <= 0)
			break;
		due->until_us = due->now_us + lease_us;
		changed = claim_found(d, &sql, table, due, context);
		if (changed < 0)
			found = -1;
	}
	buf_free(&sql);
	return found;
}
