/*
 * db: one connection to MariaDB (the only file that includes mysql.h).  Connects when first used,
 * never by itself in the middle of a transaction.  A session is READ COMMITTED, strict, UTC.  A
 * struct db belongs to one thread at a time.
 */
#ifndef OCTROI_DB_DB_H
#define OCTROI_DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct db;

struct db_options {
	const char *socket, *host; /* host may be a list; primary.h chooses one of them */
	const char *user, *password, *name, *tls_ca;
	unsigned port;
	int64_t timeout_ms;   /* for connecting, each read, each write */
	int64_t statement_ms; /* after which the server itself ends a statement (MariaDB only); 0: never */
	/* True: every statement begins a transaction, or belongs to one, and only COMMIT makes it last; db_bulk need
	 * not wait for answers.  False: a statement outside of a transaction lasts by itself. */
	bool manual_commit;
	/* True: a process of root's that has no password connects by the socket as the system user called user, whom
	 * MariaDB lets in by that name (unix_socket).  All threads have that user's rights while it connects. */
	bool as_system_user;
	bool untaken;  /* of a list: also a primary that was never taken over; octroictl makes its tables */
	bool one_host; /* the connection looks at its host alone, also if that is behind others of its cluster */
	bool fenced;   /* no connection to a server whose epoch forbids writing, also where the host is the only one */
};

enum db_result {
	DB_OK,
	DB_RETRY,     /* 1213, 1020, 1205: roll back, run the whole transaction again */
	DB_DUPLICATE, /* 1062 */
	DB_BUSY,      /* 1040, 1203, 1226: too many connections; 1047, 1290: this server takes no changes now */
	DB_FULL,      /* 1114, 1021, 1030, 1041…: no room on its disk or in its memory; nothing can be written */
	DB_LOST,      /* the connection is gone, or 1180, 1026, 3; a COMMIT under way may have taken place */
	DB_FAULT      /* anything else; logged here, with the server's sentence but no statement */
};

/* NULL, or a sentence why the client library does not keep the promise of these options.  A connection with such
 * options fails with that sentence. */
const char *db_options_wrong(const struct db_options *options);

/* The options' strings are copied.  No connection yet.  NULL, logged, when memory is short. */
struct db *db_new(const struct db_options *options);
void db_free(struct db *d);
/* Closes the connection; the next use opens another. */
void db_disconnect(struct db *d);
bool db_connected(const struct db *d);
bool db_manual_commit(const struct db *d); /* as in the options: a transaction needs no BEGIN */
bool db_cluster(const struct db *d);       /* the server is a node of Galera; as of the last connection */
int64_t db_idle_us(const struct db *d);    /* since the last use */

/*
 * Runs the statements in sql (separated by ';').  Results are read in order: after DB_OK the first
 * result is current.  After any other answer the results are drained and, unless DB_LOST, the
 * connection can be used.
 *
 * Connects when there is no connection, or when the server closed it while it was idle.  So a
 * transaction starts in one db_query.  The loss of its connection is always reported: the db_query,
 * db_next or db_finish that notices it returns DB_LOST.  A query that begins with COMMIT or ROLLBACK
 * never opens a connection (DB_LOST).  Results left over from the query before are drained first.
 * When one of them turns out to have failed, that failure is returned and sql is not run.  A failed
 * buf is a DB_FAULT.
 */
enum db_result db_query(struct db *d, const struct buf *sql);
/* As db_query, rows streamed from the server instead of stored (audits, exports). */
enum db_result db_query_stream(struct db *d, const struct buf *sql);

struct db_row {
	const char *const *field; /* NUL-terminated bytes, NULL for SQL NULL; valid until the next call */
	const unsigned long *length;
	unsigned count;
};
/* 1 and a row of the current result, 0 at its end, -1 fault (then db_error). */
int db_row(struct db *d, struct db_row *row);
/* Takes in a row; context is the caller's.  Below 0: the row does not answer the question, and reading ends. */
typedef int db_taker(void *context, const struct db_row *row);
/* Hands each row of the current result to take: the number of rows, or -1. */
int64_t db_each(struct db *d, db_taker *take, void *context);
/* Moves on: DB_OK and *more true when another result is current, *more false after the last. */
enum db_result db_next(struct db *d, bool *more);
/* Reads and drops all remaining results.  First error wins. */
enum db_result db_finish(struct db *d);

/*
 * Statements that are executed with many rows of values in one message (MariaDB's bulk protocol).  A statement is
 * prepared once for each connection, under a number of the caller's choice below DB_PREPARED_MAX.
 */
#define DB_PREPARED_MAX 192
#define DB_PARAMETERS_MAX 64
enum db_type { DB_INT, DB_TEXT, DB_BYTES };
struct db_values { /* of one parameter, a value for each row */
	enum db_type type;
	const int64_t *ints;      /* DB_INT */
	const char *const *texts; /* DB_TEXT (UTF-8) and DB_BYTES */
	const unsigned long *lengths;
};
/* True if the connected server knows the bulk protocol. */
bool db_bulk_possible(const struct db *d);
/* Executes the statement for each row.  sql is called for the text (literals and '?') if the statement is not prepared
 * yet.  Within a transaction only: never connects, DB_LOST when the connection is gone.  Returns as db_query does, and
 * no results are left.  But with manual_commit, a failure may be reported by the next call only, which then does
 * nothing.  Statements sent after the failed one are executed all the same.  If the failure ended the transaction (1213
 * does), they may run in a new one: so they must not last without a COMMIT. */
typedef void db_statement(struct buf *sql, int number);
enum db_result db_bulk(struct db *d, int number, db_statement *sql, const struct db_values *values, int parameters,
                       int rows);

/* Waits until all that was sent in bulk has been answered: DB_OK, or the first failure. */
enum db_result db_bulk_end(struct db *d);

/* Ends the query with DB_BUSY and closes the connection: its server must not be written to.  Logged with the reason. */
void db_refuse(struct db *d, const char *why);

/* Ends the transaction, if there is one, undoing it; closes the connection when that fails. */
void db_rollback(struct db *d);
bool db_in_transaction(const struct db *d);

/* Runs statements that read, hands each row of the first result to take, and drops other results: the number of rows,
 * or -1. */
int64_t db_read(struct db *d, const struct buf *sql, db_taker *take, void *context);
/* As db_read, rows streamed from the server instead of stored. */
int64_t db_read_stream(struct db *d, const struct buf *sql, db_taker *take, void *context);
/* Reads the integer that is the first column of the only row; -1 when there is another number of rows. */
int db_read_int(struct db *d, const struct buf *sql, int64_t *value);
/* Runs one statement that changes rows; returns their number, or -1. */
int64_t db_change(struct db *d, const struct buf *sql);
/* Rows that the current statement changed. */
int64_t db_affected(const struct db *d);
/* The last error, for people; never holds a statement. */
const char *db_error(const struct db *d);
unsigned db_errno(const struct db *d);

/* Field as integer; another text, or NULL, is a bug of the caller's statement. */
int64_t db_int(const struct db_row *row, unsigned column);

/* Counters since start, all connections, for metrics. */
struct db_counts {
	int64_t queries, connects, retries, lost, faults;
};
void db_count(struct db_counts *counts);

#endif
