#include "db/hosts.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/lock.h"
#include "db/sql.h"

#define LOOK_TIMEOUT_MS 1000
#define MISSES_MAX 1
#define SYNCED 4 /* wsrep_local_state */

/* A host of the list; last and replica are of the last look that it answered. */
struct place {
	struct db *db;
	int misses; /* looks since then */
	struct primary_server last;
	bool replica;
};

static struct {
	struct lock lock;
	struct place places[PRIMARY_HOSTS_MAX];
	bool looked;
} looks;

static pthread_once_t lock_once = PTHREAD_ONCE_INIT;

static void init_looks_lock(void)
{
	lock_init(&looks.lock);
}

static void lock_looks(void)
{
	pthread_once(&lock_once, init_looks_lock);
	lock_take(&looks.lock);
}

static bool by_socket(const struct db_options *options)
{
	return (options->socket != NULL && options->socket[0] != '\0') || options->host == NULL ||
	       options->host[0] == '\0';
}

static int parse_hosts(const struct db_options *options, struct primary_host hosts[PRIMARY_HOSTS_MAX])
{
	if (!by_socket(options))
		return primary_parse(options->host, options->port, hosts);
	(void)snprintf(hosts[0].name, sizeof(hosts[0].name), "%s",
	               options->socket != NULL && options->socket[0] != '\0' ? options->socket : "localhost");
	hosts[0].port = 0;
	return 1;
}

bool hosts_listed(const struct db_options *options)
{
	struct primary_host hosts[PRIMARY_HOSTS_MAX];

	return parse_hosts(options, hosts) > 1;
}

/* ---- one server -------------------------------------------------------------------------------------- */

struct facts {
	struct primary_server server;
	bool replica, table, primary_part, wsrep_ready, synced;
};

static bool is_on(const char *text)
{
	return strcmp(text, "OFF") != 0 && strcmp(text, "0") != 0;
}

/* Takes a variable or a state: name, value. */
static int take_fact(void *context, const struct db_row *row)
{
	struct facts *f = context;
	const char *name = row->field[0], *value = row->count > 1 ? row->field[1] : NULL;

	if (name == NULL || value == NULL)
		return 0;
	if (strcmp(name, "read_only") == 0)
		f->server.read_only = is_on(value);
	else if (strcmp(name, "server_id") == 0)
		f->server.server_id = strtoll(value, NULL, 10);
	else if (strcmp(name, "wsrep_on") == 0)
		f->server.cluster = is_on(value);
	else if (strcmp(name, "wsrep_ready") == 0)
		f->wsrep_ready = is_on(value);
	else if (strcmp(name, "wsrep_local_state") == 0)
		f->synced = strtoll(value, NULL, 10) == SYNCED;
	else if (strcmp(name, "wsrep_cluster_status") == 0)
		f->primary_part = strcmp(value, "Primary") == 0;
	else if (strcasecmp(name, "Slave_running") == 0)
		f->replica = is_on(value);
	return 0;
}

static int take_epoch(void *context, const struct db_row *row)
{
	return primary_take_epoch(context, row->field) ? 0 : -1;
}

static int count_table(void *context, const struct db_row *row)
{
	(void)row;
	++*(int *)context;
	return 0;
}

bool hosts_epoch(struct db *d, struct epoch *e)
{
	struct buf sql;
	bool done;

	*e = (struct epoch){.servers = 1};
	buf_init(&sql, 256);
	sql_literal(&sql, PRIMARY_EPOCH_SQL);
	done = db_read(d, &sql, take_epoch, e) >= 0;
	buf_free(&sql);
	return done;
}

/* A database of an earlier schema version, or an empty one, has no epochs. */
static bool read_epoch(struct db *d, struct buf *sql, struct epoch *e)
{
	int tables = 0;

	*e = (struct epoch){.servers = 1};
	buf_reset(sql);
	sql_literal(sql, "SHOW TABLES LIKE 'epochs'");
	if (db_read(d, sql, count_table, &tables) < 0)
		return false;
	if (tables == 0)
		return true;
	return hosts_epoch(d, e);
}

/* A node that is not in the primary part of its cluster shows its variables, and no rows. */
static bool read_server(struct db *d, struct primary_server *s, bool *replica)
{
	struct facts f = {.server = {.heard = true, .epoch = {.servers = 1}}};
	struct buf sql;
	bool done;

	buf_init(&sql, 1024);
	sql_literal(&sql, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'server_id', 'wsrep_on')");
	done = db_read(d, &sql, take_fact, &f) >= 0;
	buf_reset(&sql);
	sql_literal(&sql, "SHOW GLOBAL STATUS WHERE Variable_name IN"
	                  " ('wsrep_ready', 'wsrep_local_state', 'wsrep_cluster_status', 'Slave_running')");
	done = done && db_read(d, &sql, take_fact, &f) >= 0;
	f.server.ready = f.wsrep_ready && f.synced && f.primary_part;
	if (done && (!f.server.cluster || f.server.ready))
		done = read_epoch(d, &sql, &f.server.epoch);
	buf_free(&sql);
	*s = f.server;
	*replica = f.replica;
	return done;
}

/* The connection of a look; NULL when memory is short. */
static struct db *look_connection(const struct db_options *options, const struct primary_host *host)
{
	struct db_options one = *options;

	if (!by_socket(options)) {
		one.host = host->name;
		one.port = host->port;
	}
	one.manual_commit = false;
	one.statement_ms = 0;
	one.one_host = true;
	one.fenced = false;
	if (one.timeout_ms > LOOK_TIMEOUT_MS)
		one.timeout_ms = LOOK_TIMEOUT_MS;
	return db_new(&one);
}

static void look_at(const struct db_options *options, const struct primary_host *host, struct place *p)
{
	struct primary_server server;
	bool replica;

	if (p->db == NULL)
		p->db = look_connection(options, host);
	if (p->db != NULL && read_server(p->db, &server, &replica)) {
		p->last = server;
		p->replica = replica;
		p->misses = 0;
	} else if (++p->misses > MISSES_MAX) {
		p->last.heard = false;
	}
}

void hosts_look(const struct db_options *options, struct hosts_seen *seen)
{
	memset(seen, 0, sizeof(*seen));
	seen->count = parse_hosts(options, seen->hosts);
	if (seen->count <= 0) {
		seen->count = 0; /* db_options_wrong says why */
		return;
	}
	lock_looks();
	looks.looked = true;
	for (int i = 0; i < seen->count; i++) {
		look_at(options, &seen->hosts[i], &looks.places[i]);
		seen->servers[i] = looks.places[i].last;
		seen->replica[i] = looks.places[i].replica;
	}
	if (seen->count > 1)
		primary_choose(seen->servers, seen->count, options->untaken, seen->verdicts);
	else
		seen->verdicts[0] = seen->servers[0].heard ? primary_check(&seen->servers[0]) : PRIMARY_SILENT;
	lock_give(&looks.lock);
}

bool hosts_primary(const struct db_options *options, struct primary_host *host)
{
	struct primary_host hosts[PRIMARY_HOSTS_MAX];
	enum primary_verdict why;
	const int count = parse_hosts(options, hosts), chosen = count > 1 ? primary_chosen(&why) : 0;

	if (count < 1 || chosen < 0)
		return false;
	CHECK(chosen < count);
	*host = hosts[chosen];
	return true;
}

void hosts_find(const struct db_options *options)
{
	struct hosts_seen seen;
	bool looked;

	lock_looks();
	looked = looks.looked;
	lock_give(&looks.lock);
	if (!looked && hosts_listed(options))
		hosts_look(options, &seen);
}

void hosts_close(void)
{
	lock_looks();
	for (int i = 0; i < PRIMARY_HOSTS_MAX; i++) {
		db_free(looks.places[i].db);
		looks.places[i] = (struct place){0};
	}
	looks.looked = false;
	lock_give(&looks.lock);
}
