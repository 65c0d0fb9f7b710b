#include "queries/hours.h"

#include "base/check.h"
#include "db/sql.h"
#include "ledger/sql_numbers.h"

#define SQL_MAX ((size_t)4 * 1024)
#define NOW SQL_NOW_US

_Static_assert(UNIT_MONEY < HOURS_UNITS && UNIT_CREDIT < HOURS_UNITS, "HOURS_UNITS");

static int take_newest_hour(void *context, const struct db_row *row)
{
	int64_t *figures = context;

	figures[0] = db_int(row, 0);
	figures[1] = db_int(row, 1);
	return 0;
}

int hours_newest(struct db *d, int64_t *now_us, int64_t *from_us)
{
	int64_t figures[2] = {0};
	struct buf sql;
	int64_t found;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT " NOW ",COALESCE(MAX(from_us),0) FROM hours");
	found = db_read(d, &sql, take_newest_hour, figures);
	buf_free(&sql);
	*now_us = figures[0];
	*from_us = figures[1];
	return found == 1 ? 0 : -1;
}

static int take_counted(void *context, const struct db_row *row)
{
	struct hours_row *rows = context;
	const int64_t unit = db_int(row, 0);

	if (unit < 0 || unit >= HOURS_UNITS)
		return -1;
	rows[unit].ended = db_int(row, 1);
	rows[unit].expired = db_int(row, 2);
	rows[unit].settled = db_int(row, 3);
	rows[unit].estimated = db_int(row, 4);
	rows[unit].cost_micros = db_int(row, 5);
	return 0;
}

int hours_count(struct db *d, int64_t from_us, struct hours_row rows[HOURS_UNITS])
{
	struct buf sql;
	int64_t read;

	for (int unit = 0; unit < HOURS_UNITS; unit++)
		rows[unit] = (struct hours_row){.from_us = from_us, .unit = unit};
	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT a.unit,COUNT(*),SUM(u.state=" SQL(USAGE_EXPIRED) ")");
	sql_literal(&sql, ",SUM(u.state=" SQL(USAGE_SETTLED) ")");
	sql_literal(&sql, ",SUM(u.state=" SQL(USAGE_SETTLED) " AND u.settlement=" SQL(SETTLEMENT_ESTIMATED) ")");
	sql_literal(&sql, ",SUM(u.cost_micros) FROM accounts a STRAIGHT_JOIN usages u FORCE INDEX (ended)"
	                  " ON u.account_id=a.id AND u.ended_at_us>=");
	sql_int(&sql, from_us);
	sql_literal(&sql, " AND u.ended_at_us<");
	sql_int(&sql, from_us + HOURS_US);
	sql_literal(&sql, " GROUP BY a.unit");
	read = db_read(d, &sql, take_counted, rows);
	buf_free(&sql);
	return read < 0 ? -1 : 0;
}

int hours_add(struct db *d, const struct hours_row rows[HOURS_UNITS])
{
	struct buf sql;
	int64_t changed;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql,
	            "INSERT IGNORE INTO hours (from_us,unit,ended,expired,settled,estimated,cost_micros) VALUES ");
	for (int unit = 0; unit < HOURS_UNITS; unit++) {
		const int64_t figures[] = {rows[unit].from_us,    rows[unit].unit,    rows[unit].ended,
		                           rows[unit].expired,    rows[unit].settled, rows[unit].estimated,
		                           rows[unit].cost_micros};

		if (unit > 0)
			buf_add_char(&sql, ',');
		buf_add_char(&sql, '(');
		for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
			if (i > 0)
				buf_add_char(&sql, ',');
			sql_int(&sql, figures[i]);
		}
		buf_add_char(&sql, ')');
	}
	changed = db_change(d, &sql);
	buf_free(&sql);
	return changed < 0 ? -1 : changed > 0;
}

struct hours_list {
	struct hours_row *rows;
	int count;
};

static int take_hour_before(void *context, const struct db_row *row)
{
	struct hours_list *list = context;

	CHECK(list->count < HOURS_WINDOW);
	list->rows[list->count++] = (struct hours_row){.from_us = db_int(row, 0), .cost_micros = db_int(row, 1)};
	return 0;
}

int hours_before(struct db *d, int64_t from_us, int64_t unit, struct hours_row rows[HOURS_WINDOW])
{
	struct hours_list list = {.rows = rows};
	struct buf sql;
	int64_t read;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT from_us,cost_micros FROM hours WHERE unit=");
	sql_int(&sql, unit);
	sql_literal(&sql, " AND from_us>=");
	sql_int(&sql, from_us - HOURS_WINDOW * HOURS_US);
	sql_literal(&sql, " AND from_us<");
	sql_int(&sql, from_us);
	sql_literal(&sql, " ORDER BY from_us LIMIT ");
	sql_int(&sql, HOURS_WINDOW);
	read = db_read(d, &sql, take_hour_before, &list);
	buf_free(&sql);
	return (int)read;
}
