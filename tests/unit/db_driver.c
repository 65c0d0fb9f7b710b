/*
 * db_driver: database connections that do what they are told on stdin, for tests that watch the
 * other side (tests/api/test_database.py).  Arguments: socket user password database timeout_ms.
 * One line each; N is one of four connections, of which the last has manual_commit:
 *
 *   query N SQL    runs it and reads all: `RESULT errno rows in_transaction connected`, rows of all
 *   results as fields joined by "," and rows by ";" stream N SQL   the same, streamed, but reads
 *   only the first row finish N       reads what is left: as query, without rows rollback N
 *   db_rollback disconnect N counts         queries connects retries lost faults
 *   bulk N K INTS SQL   statement number K for each of the integers, joined by ","
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "db/db.h"

#define CONNECTIONS 4
#define STATEMENTS 8
#define INTS_MAX 16
#define SQL_BYTES_MAX 65536

static const char *const names[] = {
	[DB_OK] = "OK",     [DB_RETRY] = "RETRY", [DB_DUPLICATE] = "DUPLICATE", [DB_BUSY] = "BUSY",
	[DB_FULL] = "FULL", [DB_LOST] = "LOST",   [DB_FAULT] = "FAULT",
};

static void add_row(struct buf *out, const struct db_row *row)
{
	if (out->length > 0)
		buf_add_char(out, ';');
	for (unsigned i = 0; i < row->count; i++) {
		if (i > 0)
			buf_add_char(out, ',');
		buf_add_text(out, row->field[i] != NULL ? row->field[i] : "NULL");
	}
}

static void report(const struct db *d, enum db_result result, const struct buf *rows)
{
	printf("%s %u [%s] %s %s\n", names[result], db_errno(d), buf_text(rows),
	       db_in_transaction(d) ? "transaction" : "-", db_connected(d) ? "connected" : "-");
}

static void query(struct db *d, const char *text, bool stream)
{
	struct buf sql, rows;
	struct db_row row;
	enum db_result result;
	bool more = true;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_init(&rows, SQL_BYTES_MAX);
	buf_add_text(&sql, text);
	result = stream ? db_query_stream(d, &sql) : db_query(d, &sql);
	while (result == DB_OK && more) {
		while (db_row(d, &row) == 1) {
			add_row(&rows, &row);
			if (stream)
				break;
		}
		if (stream)
			break;
		result = db_next(d, &more);
	}
	report(d, result, &rows);
	buf_free(&sql);
	buf_free(&rows);
}

static const char *statements[STATEMENTS];

static void add_statement(struct buf *sql, int number)
{
	buf_add_text(sql, statements[number]);
}

static void bulk(struct db *d, char *rest)
{
	static const struct buf none;
	const int number = (int)strtol(strsep(&rest, " "), NULL, 10) % STATEMENTS;
	char *texts = strsep(&rest, " ");
	int64_t ints[INTS_MAX];
	const struct db_values values = {.type = DB_INT, .ints = ints};
	int count = 0;

	statements[number] = rest;
	while (texts != NULL && count < INTS_MAX)
		ints[count++] = strtoll(strsep(&texts, ","), NULL, 10);
	report(d, db_bulk(d, number, add_statement, &values, 1, count), &none);
}

static void run(struct db *const *connections, char *line)
{
	static const struct buf none;
	char *rest = line;
	const char *word = strsep(&rest, " ");
	const char *number = strsep(&rest, " ");
	struct db *d = number != NULL ? connections[(number[0] - '0') % CONNECTIONS] : NULL;
	struct db_counts counts;

	if (strcmp(word, "counts") == 0) {
		db_count(&counts);
		printf("%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n", counts.queries, counts.connects,
		       counts.retries, counts.lost, counts.faults);
		return;
	}
	CHECK(d != NULL);
	if (strcmp(word, "query") == 0 || strcmp(word, "stream") == 0) {
		CHECK(rest != NULL);
		query(d, rest, word[0] == 's');
		return;
	}
	if (strcmp(word, "bulk") == 0) {
		CHECK(rest != NULL);
		bulk(d, rest);
		return;
	}
	if (strcmp(word, "rollback") == 0)
		db_rollback(d);
	else if (strcmp(word, "disconnect") == 0)
		db_disconnect(d);
	else
		CHECK(strcmp(word, "finish") == 0);
	report(d, db_finish(d), &none);
}

int main(int argc, char **argv)
{
	struct db *connections[CONNECTIONS];
	struct db_options options;
	char *line = NULL;
	size_t capacity = 0;

	CHECK(argc == 6);
	options = (struct db_options){.socket = argv[1],
	                              .user = argv[2],
	                              .password = argv[3],
	                              .name = argv[4],
	                              .timeout_ms = strtoll(argv[5], NULL, 10)};
	log_open(NULL, LOG_LEVEL_DEBUG);
	for (int i = 0; i < CONNECTIONS; i++) {
		options.manual_commit = i == CONNECTIONS - 1;
		connections[i] = db_new(&options);
	}
	while (getline(&line, &capacity, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		run(connections, line);
		fflush(stdout);
	}
	for (int i = 0; i < CONNECTIONS; i++)
		db_free(connections[i]);
	free(line);
	log_flush();
	return 0;
}
