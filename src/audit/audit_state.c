#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "audit/audit_state.h"
#include "base/check.h"
#include "db/sql.h"

#define SQL_MAX 16384
#define DETAIL_MAX 320
#define QUERY_ROW_MAX 512

/* ---- findings -------------------------------------------------------------------------------- */

static void report(struct audit *A, const char *check, const char *table, const char *row, const char *format,
                   va_list arguments) __attribute__((format(printf, 5, 0)));

static void report(struct audit *A, const char *check, const char *table, const char *row, const char *format,
                   va_list arguments)
{
	char detail[DETAIL_MAX];

	(void)vsnprintf(detail, sizeof(detail), format, arguments);
	A->report->findings++;
	A->found(A->context, &(struct audit_finding){.check = check, .table = table, .row = row, .detail = detail});
}

void audit_find(struct audit *A, const char *check, const char *table, const struct subject *s, int64_t seq,
                const char *format, ...)
{
	char row[AUDIT_ROW_MAX];
	va_list arguments;

	if (seq == 0)
		(void)snprintf(row, sizeof(row), "account %s", s->name);
	else
		(void)snprintf(row, sizeof(row), "account %s seq %lld", s->name, (long long)seq);
	va_start(arguments, format);
	report(A, check, table, row, format, arguments);
	va_end(arguments);
}

void audit_find_row(struct audit *A, const char *check, const char *table, const char *row, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	report(A, check, table, row, format, arguments);
	va_end(arguments);
}

const char *audit_sum_text(audit_sum sum, char text[AUDIT_SUM_MAX])
{
	const bool negative = sum < 0;
	char *at = &text[AUDIT_SUM_MAX - 1];

	*at = '\0';
	do {
		const int digit = (int)(sum % 10);

		*--at = (char)('0' + (negative ? -digit : digit));
		sum /= 10;
	} while (sum != 0);
	if (negative)
		*--at = '-';
	return at;
}

void audit_row_checksum_add(const struct audit *A, row_checksum *sum, int64_t seq, enum audit_aspect aspect,
                            int64_t value)
{
	row_checksum_add(&A->key, sum, (int64_t)((uint64_t)seq * ASPECT_COUNT + aspect), value);
}

void audit_row_checksum_add_sum(const struct audit *A, row_checksum *sum, int64_t seq, enum audit_aspect aspect,
                                row_checksum value)
{
	row_checksum_add_sum(&A->key, sum, (int64_t)((uint64_t)seq * ASPECT_COUNT + aspect), value);
}

/* ---- rows from the database ------------------------------------------------------------------ */

void audit_select(struct buf *sql, enum table_id id)
{
	const struct table *t = table_of(id);

	sql_literal(sql, "SELECT ");
	for (int i = 0; i < t->column_count; i++) {
		sql_literal(sql, "r.");
		buf_add_text(sql, t->columns[i].name);
		sql_literal(sql, ",");
	}
}

void audit_read_row(const struct db_row *from, enum table_id id, union audit_row *to)
{
	const struct table *t = table_of(id);

	table_row_clear(&to->row, id);
	for (int i = 0; i < t->column_count; i++) {
		const struct column *c = &t->columns[i];
		char *field = (char *)to + c->offset;

		CHECK((unsigned)i < from->count && from->field[i] != NULL);
		switch (c->type) {
		case COLUMN_INT:
			*(int64_t *)(void *)field = db_int(from, (unsigned)i);
			break;
		case COLUMN_TEXT:
			*(const char **)(void *)field = from->field[i];
			break;
		case COLUMN_BYTES:
			CHECK(from->length[i] == c->size);
			memcpy(field, from->field[i], c->size);
			break;
		}
	}
}

/* ---- questions about many accounts at once --------------------------------------------------- */

struct asked {
	struct audit *audit;
	const struct audit_query *query;
};

static int take_wrong_row(void *context, const struct db_row *row)
{
	const struct asked *q = context;
	char name[QUERY_ROW_MAX];

	(void)snprintf(name, sizeof(name), "account %s %s", row->field[0], row->field[1]);
	audit_find_row(q->audit, q->query->check, q->query->table, name, "%s", row->field[2]);
	return 0;
}

static int ask_state(struct audit *A, const struct audit_query *query, const struct account_key *only)
{
	struct asked q = {A, query};
	struct buf sql;
	int64_t result;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT COALESCE(a.external_id, LOWER(HEX(q.account_id))), q.name, q.detail FROM (");
	buf_add_text(&sql, query->sql);
	sql_literal(&sql, ") q LEFT JOIN accounts a ON a.id = q.account_id");
	if (only != NULL) {
		sql_literal(&sql, " WHERE q.account_id = ");
		sql_bytes(&sql, only->bytes, sizeof(only->bytes));
	}
	result = db_read_stream(A->db, &sql, take_wrong_row, &q);
	buf_free(&sql);
	return result < 0 ? -1 : 0;
}

int audit_ask(struct audit *A, const struct audit_query *queries, size_t count, const struct account_key *only)
{
	for (size_t i = 0; i < count; i++)
		if (ask_state(A, &queries[i], only) != 0)
			return -1;
	return 0;
}
