#include "db/db.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/system_user.h"
#include "base/unset.h"
#include "db/primary.h"
#include "db/sql.h"

#define ERROR_TEXT_MAX 512
#define LOCK_WAIT_SECONDS_MAX 10
/* Not in every edition of mysqld_error.h. */
#define ERROR_CLIENT_INTERACTION_TIMEOUT 4031
/* An error of mysys, which the server passes on unchanged: a file could not be written. */
#define ERROR_FILE_WRITE 3

/* mysql is NULL while there is no connection; result and pending belong to the last query. */
struct db {
	MYSQL *mysql;
	MYSQL_RES *result;     /* the current one; NULL for statements that have none */
	bool streaming;        /* rows of this query come one by one from the server */
	bool pending;          /* results of the query are still to be read */
	int unread;            /* answers to statements sent in bulk */
	enum db_result failed; /* of this query: the first failure, else DB_OK */
	int64_t used_us;       /* monotonic */
	int64_t affected;
	unsigned number;
	char error[ERROR_TEXT_MAX];
	MYSQL_STMT *prepared[DB_PREPARED_MAX]; /* of this connection; NULL: not yet */

	char *socket, *user, *password, *name, *tls_ca;
	struct primary_host hosts[PRIMARY_HOSTS_MAX];
	int host_count; /* above 1: primary.c chooses */
	int64_t moves;  /* of that choice, when this connection was opened */
	bool cluster;   /* the server is, or was, a node of Galera */
	unsigned timeout_seconds;
	int64_t statement_ms;
	bool manual_commit;
	bool as_system_user;
	bool one_host;
	bool fenced;
	bool doubtful; /* a statement failed: a transaction may be open that no answer has reported */
};

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static struct db_counts counters; /* every member atomic */
static int64_t refused_logged_us; /* atomic: time of the last log line about a database that is away or full */

static void count_result_rows(int64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static void library_init(void)
{
	CHECK(mysql_library_init(0, NULL, NULL) == 0);
}

/* Copies the text, or "" for NULL; *failed is set when memory is short. */
static char *copy_of(const char *text, bool *failed)
{
	char *copy = strdup(text != NULL ? text : "");

	*failed = *failed || copy == NULL;
	return copy;
}

/* From this version on, MariaDB's library does not compare a certificate's name with these hosts (CONC-712).  Any
 * certificate of the same CA would pass there. */
#define UNCHECKED_SINCE 30402
static const char *const unchecked_hosts[] = {"127.0.0.1", "::1"};

static bool is_unchecked(const char *host)
{
	for (size_t i = 0; i < sizeof(unchecked_hosts) / sizeof(unchecked_hosts[0]); i++)
		if (strcmp(host, unchecked_hosts[i]) == 0)
			return mysql_get_client_version() >= UNCHECKED_SINCE;
	return false;
}

static const char *wrong_options(const char *socket, const char *tls_ca, const struct primary_host *hosts, int count)
{
	bool unchecked = false;

	if (count < 0)
		return "db_host: it has to be a list of at most 8 hosts, such as db1,db2:3307";
	for (int i = 0; i < count; i++)
		unchecked = unchecked || is_unchecked(hosts[i].name);
	if (tls_ca[0] == '\0' || socket[0] != '\0' || !unchecked)
		return NULL;
	return "db_tls_ca: for 127.0.0.1 and ::1 this MariaDB client library does not compare the name in the "
	       "database's certificate; set db_socket, or db_host to a name that leads there";
}

const char *db_options_wrong(const struct db_options *options)
{
	struct primary_host hosts[PRIMARY_HOSTS_MAX];
	const int count = primary_parse(options->host != NULL ? options->host : "", options->port, hosts);

	return wrong_options(options->socket != NULL ? options->socket : "",
	                     options->tls_ca != NULL ? options->tls_ca : "", hosts, count);
}

struct db *db_new(const struct db_options *options)
{
	struct db *d = memory_part("connection", sizeof(*d));
	bool failed = false;

	CHECK(options->timeout_ms > 0);
	if (d == NULL)
		return NULL;
	pthread_once(&library_once, library_init);
	d->socket = copy_of(options->socket, &failed);
	d->user = copy_of(options->user, &failed);
	d->password = copy_of(options->password, &failed);
	d->name = copy_of(options->name, &failed);
	d->tls_ca = copy_of(options->tls_ca, &failed);
	d->host_count = primary_parse(options->host != NULL ? options->host : "", options->port, d->hosts);
	d->manual_commit = options->manual_commit;
	d->as_system_user = options->as_system_user;
	d->one_host = options->one_host;
	d->fenced = options->fenced;
	d->statement_ms = options->statement_ms;
	/* The connector knows whole seconds only, and 0 as "for ever". */
	d->timeout_seconds = (unsigned)((options->timeout_ms + 999) / 1000);
	d->used_us = clock_monotonic_us();
	if (!failed)
		return d;
	memory_missing("connection");
	db_free(d);
	return NULL;
}

static void drop_result(struct db *d)
{
	if (d->result != NULL)
		mysql_free_result(d->result);
	d->result = NULL;
}

static void drop_prepared(struct db *d, int number)
{
	if (d->prepared[number] != NULL)
		mysql_stmt_close(d->prepared[number]);
	d->prepared[number] = NULL;
}

void db_disconnect(struct db *d)
{
	drop_result(d);
	d->pending = false;
	d->unread = 0;
	d->doubtful = false;
	for (int i = 0; i < DB_PREPARED_MAX; i++)
		drop_prepared(d, i);
	if (d->mysql != NULL)
		mysql_close(d->mysql);
	d->mysql = NULL;
}

void db_free(struct db *d)
{
	if (d == NULL)
		return;
	db_disconnect(d);
	if (d->password != NULL)
		explicit_bzero(d->password, strlen(d->password));
	free(d->socket);
	free(d->user);
	free(d->password);
	free(d->name);
	free(d->tls_ca);
	free(d);
}

bool db_connected(const struct db *d)
{
	return d->mysql != NULL;
}

bool db_manual_commit(const struct db *d)
{
	return d->manual_commit;
}

bool db_cluster(const struct db *d)
{
	return d->cluster;
}

int64_t db_idle_us(const struct db *d)
{
	return clock_monotonic_us() - d->used_us;
}

bool db_in_transaction(const struct db *d)
{
	unsigned status = 0;

	if (d->mysql == NULL)
		return false;
	CHECK(mariadb_get_infov(d->mysql, MARIADB_CONNECTION_SERVER_STATUS, &status) == 0);
	return d->doubtful || (status & SERVER_STATUS_IN_TRANS) != 0;
}

static enum db_result result_of(unsigned number)
{
	switch (number) {
	case ER_LOCK_DEADLOCK:
	case ER_CHECKREAD:
	case ER_LOCK_WAIT_TIMEOUT:
		return DB_RETRY;
	case ER_DUP_ENTRY:
		return DB_DUPLICATE;
	case ER_CON_COUNT_ERROR:
	case ER_TOO_MANY_USER_CONNECTIONS:
	case ER_USER_LIMIT_REACHED:
	case ER_UNKNOWN_COM_ERROR:         /* a Galera node that is not ready */
	case ER_OPTION_PREVENTS_STATEMENT: /* read_only: another server is the primary, or will be */
		return DB_BUSY;
	case ER_DISK_FULL:
	case ER_RECORD_FILE_FULL:
	case ER_GET_ERRNO: /* "Got error 28 from storage engine" and the like */
	case ER_OUT_OF_RESOURCES:
	case ER_OUTOFMEMORY:
	case ER_TEMP_FILE_WRITE_FAILURE:
		return DB_FULL;
	/* A COMMIT may fail with these too, as when the binary log has no room: it may have taken place. */
	case ER_ERROR_DURING_COMMIT:
	case ER_ERROR_ON_WRITE:
	case ERROR_FILE_WRITE:
	case CR_SERVER_GONE_ERROR:
	case CR_SERVER_LOST:
	case CR_SERVER_LOST_EXTENDED:
	case CR_CONNECTION_ERROR:
	case CR_CONN_HOST_ERROR:
	case CR_UNKNOWN_HOST:
	case ER_CONNECTION_KILLED:
	case ER_SERVER_SHUTDOWN:
	case ER_ABORTING_CONNECTION:
	case ERROR_CLIENT_INTERACTION_TIMEOUT:
		return DB_LOST;
	default:
		return DB_FAULT;
	}
}

/* The server quotes the statement in a syntax error; statements carry customers' data. */
static void keep_error(struct db *d, unsigned number, const char *text)
{
	d->number = number;
	if (number == ER_PARSE_ERROR)
		text = "syntax error";
	snprintf(d->error, sizeof(d->error), "%s", text);
}

static void log_failure(const struct db *d, enum db_result result, const char *event)
{
	if (result == DB_RETRY || result == DB_DUPLICATE)
		return;
	log_event(result == DB_FAULT || result == DB_FULL ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, event,
	          LOG_NUMBER("code", (int64_t)d->number), LOG_TEXT("message", d->error));
}

/* While the database is away or full, every request would log a line; one line a second is enough. */
static void log_seldom(const struct db *d, enum db_result result, const char *event)
{
	int64_t now = clock_monotonic_us();
	int64_t last = __atomic_load_n(&refused_logged_us, __ATOMIC_RELAXED);

	if (last != 0 && now - last < CLOCK_US_PER_SECOND)
		return;
	if (__atomic_compare_exchange_n(&refused_logged_us, &last, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		log_failure(d, result, event);
}

/* True for the library's own errors: the progress of the query and the unread part of its answer are unknown then.
 * CR_NET_PACKET_TOO_LARGE is none of them, for it only means that the query is too long to be sent. */
static bool is_of_library(unsigned number)
{
	return number == 0 || (number >= CR_MIN_ERROR && number <= CR_MAX_ERROR && number != CR_NET_PACKET_TOO_LARGE) ||
	       (number >= CER_MIN_ERROR && number <= CER_MAX_ERROR);
}

/* Notes an error of a query; the first failure of a query stands. */
static enum db_result fail_with(struct db *d, unsigned number, const char *text)
{
	enum db_result result = is_of_library(number) ? DB_LOST : result_of(number);

	keep_error(d, number, text);
	drop_result(d);
	d->pending = false;
	d->doubtful = d->manual_commit;
	if (result == DB_RETRY)
		count_result_rows(&counters.retries);
	if (result == DB_FAULT || result == DB_FULL)
		count_result_rows(&counters.faults);
	if (result == DB_FULL)
		log_seldom(d, result, "database_full");
	else
		log_failure(d, result, result == DB_LOST ? "database_lost" : "database_error");
	if (result == DB_LOST) {
		count_result_rows(&counters.lost);
		db_disconnect(d);
	}
	if (d->failed == DB_OK)
		d->failed = result;
	return d->failed;
}

static enum db_result fail(struct db *d)
{
	return fail_with(d, mysql_errno(d->mysql), mysql_error(d->mysql));
}

/* False when one of the options could not be set: a connection without it (such as TLS) must not be used. */
static bool set_connection_options(const struct db *d, MYSQL *m)
{
	my_bool yes = 1;
	my_bool no = 0;
	unsigned local_infile = 0;
	int failed = 0;

	failed |= mysql_options(m, MYSQL_OPT_CONNECT_TIMEOUT, &d->timeout_seconds);
	failed |= mysql_options(m, MYSQL_OPT_READ_TIMEOUT, &d->timeout_seconds);
	failed |= mysql_options(m, MYSQL_OPT_WRITE_TIMEOUT, &d->timeout_seconds);
	failed |= mysql_options(m, MYSQL_OPT_LOCAL_INFILE, &local_infile);
	failed |= mysql_options(m, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	failed |= mysql_optionsv(m, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "octroi");
	if (d->tls_ca[0] != '\0') {
		/* A CA alone checks the chain only, and without "enforce" plain text would pass. */
		failed |= mysql_options(m, MYSQL_OPT_SSL_ENFORCE, &yes);
		failed |= mysql_options(m, MYSQL_OPT_SSL_CA, d->tls_ca);
		failed |= mysql_options(m, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
	} else {
		failed |= mysql_options(m, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &no);
	}
	return failed == 0;
}

/* Sets the properties of every session, for the server's defaults may differ. */
static bool set_session(const struct db *d, MYSQL *m)
{
	struct buf sql;
	unsigned lock_wait = d->timeout_seconds - 1;
	bool done;

	/* A wait for a lock must fail before the read times out, or the connection would be given
	 * up for lost. */
	if (lock_wait > LOCK_WAIT_SECONDS_MAX)
		lock_wait = LOCK_WAIT_SECONDS_MAX;
	if (lock_wait < 1)
		lock_wait = 1;
	buf_init(&sql, 1024);
	sql_literal(&sql, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;"
	                  "SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = "
	                  "'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
	                  "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', "
	                  "innodb_lock_wait_timeout = ");
	sql_int(&sql, lock_wait);
	sql_literal(&sql, ", autocommit = ");
	sql_int(&sql, d->manual_commit ? 0 : 1);
	if (d->statement_ms > 0) {
		/* The server goes on with a statement when its client goes away, unless it has a limit.  MariaDB runs
		 * such a comment; other servers do not know the variable. */
		sql_literal(&sql, " /"
		                  "*M!100101 , max_statement_time = ");
		sql_int(&sql, (d->statement_ms + 999) / 1000);
		sql_literal(&sql, " *"
		                  "/");
	}
	done = buf_ok(&sql) && mysql_real_query(m, sql.data, sql.length) == 0;
	while (done && mysql_more_results(m))
		done = mysql_next_result(m) == 0;
	buf_free(&sql);
	return done;
}

/* Runs a statement of the connection's own; the first column of its only row, -1 without one, or on a failure. */
static int64_t ask_server(MYSQL *m, const char *sql)
{
	MYSQL_RES *result = NULL;
	MYSQL_ROW row = NULL;
	int64_t value = -1;

	if (mysql_real_query(m, sql, strlen(sql)) == 0)
		result = mysql_store_result(m);
	if (result != NULL)
		row = mysql_fetch_row(result);
	if (row != NULL && row[0] != NULL)
		value = strtoll(row[0], NULL, 10);
	if (result != NULL)
		mysql_free_result(result);
	return value;
}

/* A node of a cluster may not have applied yet what another node has committed.  One read waits for that, and so does
 * every later read of a connection that is not the ledger's: the ledger's rows are certified at COMMIT.  Servers
 * without Galera do not know the variable. */
static bool set_cluster(struct db *d, MYSQL *m)
{
	static const char after[] = "SET SESSION wsrep_sync_wait = 0";

	d->cluster = ask_server(m, "SELECT @@wsrep_on") == 1;
	if (!d->cluster || d->one_host)
		return true;
	if (ask_server(m, "SET SESSION wsrep_sync_wait = 15") != -1 || mysql_errno(m) != 0)
		return false;
	if (ask_server(m, "SELECT 1") != 1)
		return false;
	return !d->manual_commit || mysql_real_query(m, after, strlen(after)) == 0;
}

/* Reads the newest epoch of the server.  A database of an earlier schema version, or an empty one, has none. */
static bool read_server_epoch(MYSQL *m, struct epoch *e, const char **wrong)
{
	MYSQL_RES *result = NULL;
	MYSQL_ROW row = NULL;

	if (mysql_real_query(m, PRIMARY_EPOCH_SQL, strlen(PRIMARY_EPOCH_SQL)) != 0)
		return mysql_errno(m) == ER_NO_SUCH_TABLE;
	result = mysql_store_result(m);
	if (result == NULL)
		return false;
	row = mysql_fetch_row(result);
	if (row != NULL && !primary_take_epoch(e, (const char *const *)row))
		*wrong = "its newest epoch is no row of octroi's";
	mysql_free_result(result);
	return *wrong == NULL;
}

/* A server of an old epoch is not even read: claims of tasks, keys and the like are written by single statements, which
 * no batch checks.  Such a server has been chosen by nobody where db_host is no list.  *wrong: why it is not used. */
static bool may_use(const struct db *d, MYSQL *m, const char **wrong)
{
	struct primary_server s = {.heard = true, .epoch = {.servers = 1}};
	enum primary_verdict verdict;

	if (!d->fenced)
		return true;
	if (!read_server_epoch(m, &s.epoch, wrong))
		return false;
	if (s.epoch.number == 0)
		return true;
	s.server_id = ask_server(m, "SELECT @@server_id");
	if (s.server_id < 0)
		return false;
	verdict = primary_check(&s);
	if (verdict != PRIMARY_PRIMARY)
		*wrong = primary_sentence(verdict);
	return verdict == PRIMARY_PRIMARY;
}

/* Finds the host to connect to; NULL, or a sentence why there is none. */
static const char *find_host(struct db *d, const struct primary_host **host)
{
	enum primary_verdict why;
	int chosen = 0;

	*host = NULL;
	if (d->host_count > 1)
		chosen = primary_chosen(&why);
	if (chosen < 0)
		return primary_sentence(why);
	if (d->host_count > 0)
		*host = &d->hosts[chosen];
	return NULL;
}

static bool connect_as_user(struct db *d, MYSQL *m, const struct primary_host *host, const char *socket)
{
	/* The server asks the kernel for the user at connect (SO_PEERCRED in unix(7)). */
	const bool entered = d->as_system_user && host == NULL && d->password[0] == '\0' && system_user_enter(d->user);
	const bool done = mysql_real_connect(m, host != NULL ? host->name : NULL, d->user, d->password, d->name,
	                                     host != NULL ? host->port : 0, socket,
	                                     CLIENT_MULTI_STATEMENTS | CLIENT_MULTI_RESULTS) != NULL;

	if (entered)
		system_user_leave();
	return done;
}

/* Notes that no connection was tried. */
static enum db_result not_connected(struct db *d, unsigned number, const char *why, enum db_result result)
{
	keep_error(d, number, why);
	count_result_rows(result == DB_FAULT ? &counters.faults : &counters.lost);
	log_seldom(d, result, "database_unreachable");
	d->failed = result;
	return result;
}

static enum db_result connect_now(struct db *d)
{
	const char *wrong = wrong_options(d->socket, d->tls_ca, d->hosts, d->host_count);
	const char *socket = d->socket[0] != '\0' ? d->socket : NULL;
	const struct primary_host *host = NULL;
	enum db_result result;
	MYSQL *m;

	d->moves = primary_moves();
	if (wrong != NULL)
		return not_connected(d, CR_SSL_CONNECTION_ERROR, wrong, DB_FAULT);
	wrong = socket == NULL ? find_host(d, &host) : NULL;
	if (wrong != NULL)
		return not_connected(d, CR_CONN_HOST_ERROR, wrong, DB_LOST);
	m = mysql_init(NULL);
	if (m == NULL)
		return not_connected(d, CR_OUT_OF_MEMORY, "no memory for a connection", DB_FAULT);
	if (set_connection_options(d, m) && connect_as_user(d, m, host, socket) && set_session(d, m) &&
	    set_cluster(d, m) && may_use(d, m, &wrong)) {
		d->mysql = m;
		count_result_rows(&counters.connects);
		return DB_OK;
	}
	if (wrong != NULL) {
		mysql_close(m);
		return not_connected(d, CR_CONN_HOST_ERROR, wrong, DB_LOST);
	}
	keep_error(d, mysql_errno(m), mysql_error(m));
	result = result_of(d->number);
	/* There is no transaction yet that could be run again. */
	if (result == DB_RETRY || result == DB_DUPLICATE)
		result = DB_FAULT;
	count_result_rows(result == DB_FAULT ? &counters.faults : &counters.lost);
	log_seldom(d, result, "database_unreachable");
	mysql_close(m);
	d->failed = result;
	return result;
}

/* True if the server closed the idle connection.  The server only sends when it is asked, so a readable
 * socket means an end of file or a last message. */
static bool stale(const struct db *d)
{
	struct pollfd p = {.fd = (int)mysql_get_socket(d->mysql), .events = POLLIN};

	return poll(&p, 1, 0) != 0;
}

/* True if another host was chosen since, or a later epoch was seen. */
static bool primary_moved(const struct db *d)
{
	return (d->host_count > 1 || d->fenced) && d->moves != primary_moves();
}

static bool begins_with(const struct buf *sql, const char *word)
{
	size_t length = strlen(word);

	return sql->length >= length && strncasecmp(sql->data, word, length) == 0;
}

static enum db_result transaction_gone(struct db *d)
{
	keep_error(d, CR_SERVER_LOST, "the connection of this transaction is gone");
	return d->failed = DB_LOST;
}

static enum db_result ready(struct db *d, const struct buf *sql)
{
	if (d->mysql != NULL && !db_in_transaction(d) && (stale(d) || primary_moved(d)))
		db_disconnect(d);
	if (d->mysql != NULL)
		return DB_OK;
	if (begins_with(sql, "COMMIT") || begins_with(sql, "ROLLBACK"))
		return transaction_gone(d);
	return connect_now(d);
}

/* Takes the result that the server has just announced. */
static enum db_result take_result(struct db *d)
{
	d->affected = 0;
	d->result = d->streaming ? mysql_use_result(d->mysql) : mysql_store_result(d->mysql);
	if (d->result == NULL) {
		/* Where memory is short, libmariadb may keep no error beside columns whose rows it did not read. */
		if (mysql_errno(d->mysql) != 0 || mysql_field_count(d->mysql) != 0)
			return fail(d);
		d->affected = (int64_t)mysql_affected_rows(d->mysql);
	}
	return DB_OK;
}

/* A statement that did not fit its buffer is never sent in part. */
static enum db_result refuse_query(struct db *d)
{
	keep_error(d, CR_OUT_OF_MEMORY, "the statement is too large");
	count_result_rows(&counters.faults);
	log_failure(d, DB_FAULT, "database_error");
	d->failed = DB_FAULT;
	return DB_FAULT;
}

/* Reads all answers to statements sent in bulk, or the next query would take one for its own. */
static enum db_result read_unread(struct db *d)
{
	while (d->unread > 0) {
		d->unread--;
		if (mysql_read_query_result(d->mysql) != 0)
			fail(d);
	}
	return d->failed;
}

/* Ends the query before, and forgets its outcome unless it fails only now. */
static enum db_result begin_query(struct db *d)
{
	enum db_result result = d->pending ? db_finish(d) : DB_OK;

	if (result == DB_OK)
		result = db_bulk_end(d);
	if (result != DB_OK)
		return result;
	drop_result(d);
	d->failed = DB_OK;
	d->number = 0;
	d->error[0] = '\0';
	return DB_OK;
}

static enum db_result query(struct db *d, const struct buf *sql, bool streaming)
{
	enum db_result result = begin_query(d);

	if (result != DB_OK)
		return result;
	if (!buf_ok(sql))
		return refuse_query(d);
	CHECK(sql->length > 0);
	result = ready(d, sql);
	if (result != DB_OK)
		return result;
	count_result_rows(&counters.queries);
	d->streaming = streaming;
	d->pending = true;
	if (mysql_real_query(d->mysql, sql->data, sql->length) != 0)
		result = fail(d);
	else
		result = take_result(d);
	d->used_us = clock_monotonic_us();
	return result;
}

enum db_result db_query(struct db *d, const struct buf *sql)
{
	return query(d, sql, false);
}

enum db_result db_query_stream(struct db *d, const struct buf *sql)
{
	return query(d, sql, true);
}

int db_row(struct db *d, struct db_row *row)
{
	MYSQL_ROW fields;

	if (d->failed != DB_OK)
		return -1;
	if (d->result == NULL)
		return 0;
	fields = mysql_fetch_row(d->result);
	if (fields == NULL) {
		if (d->streaming && mysql_errno(d->mysql) != 0) {
			fail(d);
			return -1;
		}
		return 0;
	}
	row->field = (const char *const *)fields;
	row->length = mysql_fetch_lengths(d->result);
	row->count = mysql_num_fields(d->result);
	return 1;
}

enum db_result db_next(struct db *d, bool *more)
{
	int next;

	*more = false;
	if (d->failed != DB_OK || !d->pending)
		return d->failed;
	drop_result(d); /* reads the remainder of a streamed one */
	next = mysql_next_result(d->mysql);
	d->used_us = clock_monotonic_us();
	if (next > 0)
		return fail(d);
	if (next < 0) {
		d->pending = false;
		return DB_OK;
	}
	*more = true;
	return take_result(d);
}

enum db_result db_finish(struct db *d)
{
	bool more = true;

	while (more) {
		if (db_next(d, &more) != DB_OK)
			break;
	}
	return d->failed;
}

/* ---- many rows at once ---------------------------------------------------------------------------- */

bool db_bulk_possible(const struct db *d)
{
	unsigned long capabilities = 0;

	if (d->mysql == NULL ||
	    mariadb_get_infov(d->mysql, MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES, &capabilities) != 0)
		return false;
	return (capabilities & (MARIADB_CLIENT_STMT_BULK_OPERATIONS >> 32)) != 0;
}

/* Notes why the statement failed; statement is NULL when there was no memory for it. */
static enum db_result fail_prepared(struct db *d, MYSQL_STMT *statement)
{
	if (statement == NULL)
		return fail_with(d, CR_OUT_OF_MEMORY, "no memory for a statement");
	return fail_with(d, mysql_stmt_errno(statement), mysql_stmt_error(statement));
}

static enum db_result prepare(struct db *d, int number, db_statement *sql)
{
	MYSQL_STMT *statement = mysql_stmt_init(d->mysql);
	enum db_result result = DB_OK;
	struct buf text;

	buf_init(&text, 4096);
	sql(&text, number);
	if (!buf_ok(&text))
		result = refuse_query(d);
	else if (statement == NULL || mysql_stmt_prepare(statement, text.data, text.length) != 0)
		result = fail_prepared(d, statement);
	buf_free(&text);
	if (result == DB_OK)
		d->prepared[number] = statement;
	else if (statement != NULL)
		mysql_stmt_close(statement);
	return result;
}

static MYSQL_BIND bind_of(const struct db_values *v)
{
	MYSQL_BIND bind = {0};

	if (v->type == DB_INT) {
		bind.buffer_type = MYSQL_TYPE_LONGLONG;
		bind.buffer = (void *)(uintptr_t)v->ints;
	} else {
		bind.buffer_type = v->type == DB_TEXT ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
		bind.buffer = (void *)(uintptr_t)v->texts;
		bind.length = (unsigned long *)(uintptr_t)v->lengths;
	}
	return bind; /* the connector only reads through these pointers */
}

/* Sends the rows; read_unread reads the answer. */
static bool send_bulk(struct db *d, MYSQL_STMT *statement, const struct db_values *values, int parameters, int rows)
{
	UNSET MYSQL_BIND binds[DB_PARAMETERS_MAX];
	unsigned count_rows = (unsigned)rows;
	my_bool yes = 1, no = 0;
	bool sent;

	for (int i = 0; i < parameters; i++)
		binds[i] = bind_of(&values[i]);
	sent = mysql_stmt_attr_set(statement, STMT_ATTR_ARRAY_SIZE, &count_rows) == 0 &&
	       mysql_stmt_bind_param(statement, binds) == 0 &&
	       mysql_options(d->mysql, MARIADB_OPT_SKIP_READ_RESPONSE, &yes) == 0 && mysql_stmt_execute(statement) == 0;
	if (mysql_options(d->mysql, MARIADB_OPT_SKIP_READ_RESPONSE, &no) != 0)
		return false;
	d->unread += sent ? 1 : 0;
	return sent;
}

enum db_result db_bulk(struct db *d, int number, db_statement *sql, const struct db_values *values, int parameters,
                       int rows)
{
	enum db_result result = d->unread > 0 ? DB_OK : begin_query(d);

	CHECK(number >= 0 && number < DB_PREPARED_MAX && parameters > 0 && parameters <= DB_PARAMETERS_MAX && rows > 0);
	if (result != DB_OK)
		return result;
	if (d->mysql == NULL)
		return transaction_gone(d);
	if (d->prepared[number] == NULL) {
		result = read_unread(d);
		if (result == DB_OK)
			result = prepare(d, number, sql);
	}
	if (result != DB_OK)
		return result;
	count_result_rows(&counters.queries);
	if (!send_bulk(d, d->prepared[number], values, parameters, rows)) {
		result = fail_prepared(d, d->prepared[number]);
		drop_prepared(d, number); /* the next one begins anew */
	} else if (!d->manual_commit) {
		result = read_unread(d);
	}
	d->used_us = clock_monotonic_us();
	return result;
}

enum db_result db_bulk_end(struct db *d)
{
	return d->unread > 0 ? read_unread(d) : DB_OK;
}

void db_refuse(struct db *d, const char *why)
{
	keep_error(d, ER_OPTION_PREVENTS_STATEMENT, why);
	log_seldom(d, DB_BUSY, "database_not_primary");
	db_disconnect(d);
	d->failed = DB_BUSY;
}

void db_rollback(struct db *d)
{
	struct buf sql;

	if (d->pending)
		db_finish(d);
	(void)read_unread(d);
	if (!db_in_transaction(d))
		return;
	buf_init(&sql, 64);
	sql_literal(&sql, "ROLLBACK");
	if (db_query(d, &sql) != DB_OK || db_finish(d) != DB_OK)
		db_disconnect(d);
	d->doubtful = false;
	buf_free(&sql);
}

int64_t db_affected(const struct db *d)
{
	return d->affected;
}

int64_t db_each(struct db *d, db_taker *take, void *context)
{
	struct db_row row;
	int64_t count = 0;
	int got = db_row(d, &row);

	for (; got == 1; got = db_row(d, &row)) {
		if (take(context, &row) < 0)
			return -1;
		count++;
	}
	return got < 0 ? -1 : count;
}

static int64_t read_result(struct db *d, enum db_result sent, db_taker *take, void *context)
{
	const int64_t count = sent == DB_OK ? db_each(d, take, context) : -1;

	return db_finish(d) == DB_OK ? count : -1;
}

int64_t db_read(struct db *d, const struct buf *sql, db_taker *take, void *context)
{
	return read_result(d, db_query(d, sql), take, context);
}

int64_t db_read_stream(struct db *d, const struct buf *sql, db_taker *take, void *context)
{
	return read_result(d, db_query_stream(d, sql), take, context);
}

static int take_first_int(void *context, const struct db_row *row)
{
	*(int64_t *)context = db_int(row, 0);
	return 0;
}

int db_read_int(struct db *d, const struct buf *sql, int64_t *value)
{
	return db_read(d, sql, take_first_int, value) == 1 ? 0 : -1;
}

int64_t db_change(struct db *d, const struct buf *sql)
{
	int64_t changed = -1;

	if (db_query(d, sql) == DB_OK)
		changed = db_affected(d);
	return db_finish(d) == DB_OK ? changed : -1;
}

const char *db_error(const struct db *d)
{
	return d->error;
}

unsigned db_errno(const struct db *d)
{
	return d->number;
}

int64_t db_int(const struct db_row *row, unsigned column)
{
	const char *at;
	bool negative;
	int64_t value = 0;

	CHECK(column < row->count && row->field[column] != NULL);
	at = row->field[column];
	negative = *at == '-';
	at += negative ? 1 : 0;
	CHECK(*at != '\0');
	for (; *at != '\0'; at++) {
		int digit = *at - '0';

		CHECK(digit >= 0 && digit <= 9);
		/* Downwards, because -INT64_MIN does not exist. */
		CHECK(!__builtin_mul_overflow(value, INT64_C(10), &value));
		CHECK(!__builtin_sub_overflow(value, digit, &value));
	}
	CHECK(negative || value != INT64_MIN);
	return negative ? value : -value;
}

void db_count(struct db_counts *counts)
{
	counts->queries = __atomic_load_n(&counters.queries, __ATOMIC_RELAXED);
	counts->connects = __atomic_load_n(&counters.connects, __ATOMIC_RELAXED);
	counts->retries = __atomic_load_n(&counters.retries, __ATOMIC_RELAXED);
	counts->lost = __atomic_load_n(&counters.lost, __ATOMIC_RELAXED);
	counts->faults = __atomic_load_n(&counters.faults, __ATOMIC_RELAXED);
}
