#include "db/ask.h"

#include "base/clock.h"
#include "db/sql.h"

#define SQL_MAX ((size_t)128 * 1024)
/* A connection that the server has closed fails at once.  A server that was silent for longer is not asked again. */
#define FOUND_OUT_US CLOCK_US_PER_SECOND

void ask_init(struct ask *q, struct db *d, struct arena *a)
{
	q->db = d;
	q->arena = a;
	buf_init(&q->sql, SQL_MAX);
}

static int sent(struct ask *q, enum db_result (*query)(struct db *d, const struct buf *sql))
{
	const int64_t began_us = clock_monotonic_us();
	const bool was_connected = db_connected(q->db);
	enum db_result result = query(q->db, &q->sql);
	const bool at_once = clock_monotonic_us() - began_us < FOUND_OUT_US;

	if (result == DB_RETRY || (result == DB_LOST && was_connected && at_once))
		result = query(q->db, &q->sql);
	return result == DB_OK ? 0 : -1;
}

int ask_send(struct ask *q)
{
	return sent(q, db_query);
}

int ask_send_stream(struct ask *q)
{
	return sent(q, db_query_stream);
}

int ask_rows(struct ask *q, int max, ask_taker *take, void *rows, size_t size)
{
	struct db_row row;
	int count = 0;
	int got = 1;

	while (count < max) {
		got = db_row(q->db, &row);
		if (got != 1)
			break;
		if (take(q, &row, (char *)rows + (size_t)count * size) < 0)
			return -1;
		count++;
	}
	return got < 0 ? -1 : count;
}

int ask_page(struct ask *q, int limit, ask_taker *take, size_t size, void **rows, int *count, bool *more)
{
	struct db_row row;
	int extra;

	*count = 0;
	*more = false;
	*rows = arena_alloc(q->arena, (size_t)limit * size);
	if (*rows == NULL)
		return -1;
	*count = ask_rows(q, limit, take, *rows, size);
	if (*count < limit)
		return *count < 0 ? -1 : 0;
	extra = db_row(q->db, &row);
	*more = extra == 1;
	return extra < 0 ? -1 : 0;
}

static int take_first(struct ask *q, const struct db_row *row, void *out)
{
	(void)q;
	*(int64_t *)out = db_int(row, 0);
	return 0;
}

int ask_int(struct ask *q, int64_t *value)
{
	return ask_rows(q, 1, take_first, value, sizeof(*value));
}

int ask_each(struct ask *q, ask_taker *take, void *out)
{
	struct db_row row;
	int got = db_row(q->db, &row);

	for (; got == 1; got = db_row(q->db, &row))
		if (take(q, &row, out) < 0)
			return -1;
	return got;
}

int ask_next(struct ask *q)
{
	bool more = false;

	return db_next(q->db, &more) == DB_OK && more ? 0 : -1;
}

int ask_end(struct ask *q, int result)
{
	if (db_finish(q->db) != DB_OK)
		result = -1;
	buf_free(&q->sql);
	return result;
}

const char *ask_text(struct ask *q, const struct db_row *row, unsigned column)
{
	if (row->field[column] == NULL || row->length[column] == 0)
		return "";
	return arena_copy(q->arena, row->field[column], row->length[column]);
}

void ask_key(struct ask *q, const struct account_key *key)
{
	sql_bytes(&q->sql, key->bytes, sizeof(key->bytes));
}
