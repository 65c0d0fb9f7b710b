#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "db/hosts.h"
#include "db/sql.h"

#define ACTOR_MAX 64
#define LOOK_EVERY_MS 100
#define CLUSTER_SERVERS 1 /* a cluster counts its nodes itself */

/* ---- database list ------------------------------------------------------------------------------------ */

static void put_host(struct listing *l, const struct hosts_seen *seen, int i)
{
	const struct primary_server *s = &seen->servers[i];

	listing_row(l);
	listing_text(l, "host", "host", seen->hosts[i].name);
	listing_int(l, "port", "port", seen->hosts[i].port);
	listing_text(l, "state", "state", primary_word(seen->verdicts[i]));
	listing_int(l, "serverId", "server", s->heard ? s->server_id : 0);
	listing_flag(l, "readOnly", "read only", s->heard && s->read_only);
	listing_flag(l, "replica", "replica", s->heard && seen->replica[i]);
	listing_flag(l, "cluster", "cluster", s->heard && s->cluster);
	listing_int(l, "epoch", "epoch", s->heard ? s->epoch.number : 0);
	listing_int(l, "epochServerId", "of server", s->heard ? s->epoch.server_id : 0);
	listing_int(l, "servers", "servers", s->heard ? s->epoch.servers : 0);
}

int ctl_database_list(struct ctl *c)
{
	const struct db_options login = ctl_login(c);
	struct hosts_seen seen;
	struct listing *l;

	if (ctl_arguments(c, NULL, NULL, 0, 0) < 0)
		return CTL_FAILED;
	hosts_look(&login, &seen);
	l = listing_new("hosts");
	for (int i = 0; i < seen.count; i++)
		put_host(l, &seen, i);
	listing_print(l, c);
	listing_free(l);
	return CTL_OK;
}

/* ---- database takeover ------------------------------------------------------------------------------- */

/* The place of a host that is written as in db_host; -1: it is none of them. */
static int place_in_list(const struct ctl *c, const struct hosts_seen *seen, const char *text)
{
	struct primary_host one[PRIMARY_HOSTS_MAX];

	if (primary_parse(text, (unsigned)c->config->db_port, one) != 1)
		return -1;
	for (int i = 0; i < seen->count; i++)
		if (strcmp(seen->hosts[i].name, one[0].name) == 0 && seen->hosts[i].port == one[0].port)
			return i;
	return -1;
}

static int say_silent(const struct primary_host *host)
{
	return ctl_wrong("%s:%u does not answer: if it is off, or cut off from every octroi, say --off %s:%u",
	                 host->name, host->port, host->name, host->port);
}

/* Every server is seen, but for those that are off by the word of the operator.  One that is cut off may be written to
 * by an octroi that reaches it. */
static int check_silent(const struct ctl *c, const struct hosts_seen *seen, const struct ctl_list *off)
{
	bool named[PRIMARY_HOSTS_MAX] = {false};

	for (int i = 0; i < off->count; i++) {
		const int at = place_in_list(c, seen, off->item[i]);

		if (at < 0)
			return ctl_wrong("--off %s: db_host has no such host", off->item[i]);
		if (seen->servers[at].heard)
			return ctl_wrong("%s answers: it is not off", off->item[i]);
		named[at] = true;
	}
	for (int i = 0; i < seen->count; i++)
		if (!seen->servers[i].heard && !named[i])
			return say_silent(&seen->hosts[i]);
	return CTL_OK;
}

/* Finds the one server that is not read only; CTL_OK, or explained. */
static int find_promoted(const struct hosts_seen *seen, int *found)
{
	*found = -1;
	for (int i = 0; i < seen->count; i++) {
		const struct primary_server *s = &seen->servers[i];

		if (!s->heard || s->read_only || (s->cluster && !s->ready))
			continue;
		if (*found >= 0 && !(s->cluster && seen->servers[*found].cluster))
			return ctl_wrong("%s and %s may both be written to: SET GLOBAL read_only = 1 on one of them",
			                 seen->hosts[*found].name, seen->hosts[i].name);
		*found = *found < 0 ? i : *found;
	}
	if (*found < 0)
		return ctl_wrong("every server is read only or silent: promote one first (SET GLOBAL read_only = 0)");
	if (seen->replica[*found])
		return ctl_wrong("%s still follows another server: once it has applied all that it received, STOP "
		                 "SLAVE; RESET SLAVE ALL",
		                 seen->hosts[*found].name);
	return CTL_OK;
}

/* Counts the servers that answer.  Two names may be of one server. */
static int count_servers(const struct hosts_seen *seen)
{
	int count = 0;

	for (int i = 0; i < seen->count; i++) {
		bool known = !seen->servers[i].heard;

		for (int j = 0; j < i; j++)
			known = known ||
			        (seen->servers[j].heard && seen->servers[j].server_id == seen->servers[i].server_id);
		count += known ? 0 : 1;
	}
	return count;
}

static int insert_epoch(struct ctl *c, const struct primary_host *host, const struct epoch *e, const char *actor)
{
	struct db_options login = ctl_login(c);
	struct buf sql;
	struct db *d;
	int result;

	if (host->port != 0) {
		login.host = host->name;
		login.port = host->port;
	}
	d = ctl_must(db_new(&login));
	buf_init(&sql, 1024);
	sql_literal(&sql, "INSERT INTO epochs (number, server_id, servers, taken_at_us, actor) VALUES (");
	sql_int(&sql, e->number);
	buf_add_char(&sql, ',');
	sql_int(&sql, e->server_id);
	buf_add_char(&sql, ',');
	sql_int(&sql, e->servers);
	sql_literal(&sql, ", " SQL_NOW_US ", ");
	sql_text(&sql, actor);
	buf_add_char(&sql, ')');
	result = db_change(d, &sql) == 1 ? CTL_OK : ctl_fail("%s: %s", host->name, db_error(d));
	buf_free(&sql);
	db_free(d);
	return result;
}

/* Waits until more than half of the servers have the epoch.  An octroi that starts hears more than half of them, and so
 * at least one that has it. */
static int await_majority(struct ctl *c, const struct epoch *e, struct hosts_seen *seen)
{
	const struct db_options login = ctl_login(c);
	const int64_t until_us = clock_monotonic_us() + c->config->db_timeout_ms * CLOCK_US_PER_MS;
	const struct timespec rest = clock_timespec(LOOK_EVERY_MS * CLOCK_US_PER_MS);
	int have;

	for (;;) {
		have = 0;
		hosts_look(&login, seen);
		for (int i = 0; i < seen->count; i++)
			have += seen->servers[i].heard && seen->servers[i].epoch.number >= e->number ? 1 : 0;
		if (2 * have > e->servers)
			return CTL_OK;
		if (clock_monotonic_us() >= until_us)
			break;
		(void)nanosleep(&rest, NULL);
	}
	return ctl_refuse(OUTCOME_UNAVAILABLE,
	                  "epoch %lld is written, but only %d of %lld servers have it: let the others follow the new "
	                  "primary, or take over again with --off",
	                  (long long)e->number, have, (long long)e->servers);
}

static int take_over(struct ctl *c, const struct ctl_list *off, const char *actor)
{
	const struct db_options login = ctl_login(c);
	struct epoch e = {.servers = CLUSTER_SERVERS};
	struct hosts_seen seen;
	int at;

	hosts_look(&login, &seen);
	if (check_silent(c, &seen, off) != CTL_OK || find_promoted(&seen, &at) != CTL_OK)
		return CTL_FAILED;
	e.number = primary_epoch().number + 1;
	if (!seen.servers[at].cluster) {
		e.server_id = seen.servers[at].server_id;
		e.servers = count_servers(&seen);
	}
	if (insert_epoch(c, &seen.hosts[at], &e, actor) != CTL_OK || await_majority(c, &e, &seen) != CTL_OK)
		return CTL_FAILED;
	if (!c->json)
		(void)printf("epoch %lld: octroi writes to %s (server %lld); %lld server%s\n", (long long)e.number,
		             seen.hosts[at].name, (long long)seen.servers[at].server_id, (long long)e.servers,
		             e.servers == 1 ? "" : "s");
	return CTL_OK;
}

int ctl_database_takeover(struct ctl *c)
{
	const char *actor = NULL;
	struct ctl_list off = {.count = 0};
	const struct ctl_option options[] = {
		{.name = "--actor", .value = &actor}, {.name = "--off", .list = &off}, {0}};

	if (ctl_arguments(c, options, NULL, 0, 0) < 0)
		return CTL_FAILED;
	if (actor == NULL || actor[0] == '\0' || strlen(actor) > ACTOR_MAX)
		return ctl_wrong("--actor has to name the one who takes over, in at most %d bytes", ACTOR_MAX);
	return take_over(c, &off, actor);
}
