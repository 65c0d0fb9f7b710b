#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/doctor/doctor.h"
#include "db/hosts.h"
#include "db/sql.h"

#define NAME_MAX_BYTES (PRIMARY_HOST_BYTES_MAX + 16)
#define PATIENT_MS INT64_C(86400000) /* a day: as good as for ever */
#define CLUSTER_SIZE_MIN 3

/* ---- the hosts --------------------------------------------------------------------------------------- */

static void name_host(const struct primary_host *host, char name[NAME_MAX_BYTES])
{
	if (host->port == 0)
		(void)snprintf(name, NAME_MAX_BYTES, "%s", host->name);
	else
		(void)snprintf(name, NAME_MAX_BYTES, "%s:%u", host->name, host->port);
}

static const char *advise(enum primary_verdict verdict)
{
	switch (verdict) {
	case PRIMARY_UNTAKEN:
	case PRIMARY_UNNAMED:
	case PRIMARY_RIVAL:
		return "octroictl database takeover --actor NAME";
	case PRIMARY_UNHEARD:
		return "start the other servers, or octroictl database takeover --actor NAME --off HOST";
	case PRIMARY_TWICE:
		return "SET GLOBAL read_only = 1 on all but the primary, then octroictl database takeover --actor NAME";
	case PRIMARY_READ_ONLY:
		return "SET GLOBAL read_only = 0 on the server that is to be the primary, then octroictl database "
		       "takeover --actor NAME";
	default:
		return "octroictl database list";
	}
}

static void say_no_primary(struct doctor *D, const struct hosts_seen *seen)
{
	const enum primary_verdict why = primary_worst(seen->verdicts, seen->count);

	doctor_say(D, "primary", DOCTOR_PROBLEM, advise(why), "octroi writes nowhere: %s", primary_sentence(why));
}

static void check_primary_host(struct doctor *D, const struct hosts_seen *seen, int primary)
{
	const struct primary_server *s = &seen->servers[primary];
	char name[NAME_MAX_BYTES];

	name_host(&seen->hosts[primary], name);
	if (seen->count > 1 && s->epoch.number == 0 && !s->cluster)
		doctor_say(D, "primary", DOCTOR_PROBLEM, advise(PRIMARY_UNTAKEN), "%s: %s", name,
		           primary_sentence(PRIMARY_UNTAKEN));
	else
		doctor_say(D, "primary", DOCTOR_OK, "", "%s, server %lld, epoch %lld", name, (long long)s->server_id,
		           (long long)s->epoch.number);
}

/* Says what is wrong with a server beside the primary. */
static void check_other(struct doctor *D, const struct hosts_seen *seen, int i)
{
	const struct primary_server *s = &seen->servers[i];
	char check[NAME_MAX_BYTES + 8], name[NAME_MAX_BYTES];

	name_host(&seen->hosts[i], name);
	(void)snprintf(check, sizeof(check), "server %s", name);
	if (!s->heard)
		doctor_say(D, check, DOCTOR_WARNING, "start it, or mend the network", "it does not answer");
	else if (s->cluster && !s->ready)
		doctor_say(D, check, DOCTOR_WARNING, "see its log and SHOW STATUS LIKE 'wsrep%'", "%s",
		           primary_sentence(PRIMARY_NOT_READY));
	else if (s->cluster)
		doctor_say(D, check, DOCTOR_OK, "", "synced");
	else if (!s->read_only)
		doctor_say(D, check, DOCTOR_PROBLEM,
		           "there: SET GLOBAL read_only = 1, and read_only = 1 in its configuration",
		           "it may be written to, beside the primary");
	else if (!seen->replica[i])
		doctor_say(D, check, DOCTOR_WARNING, "there: CHANGE MASTER TO the primary, START SLAVE",
		           "it follows no server");
	else
		doctor_say(D, check, DOCTOR_OK, "", "a replica, read only, epoch %lld", (long long)s->epoch.number);
}

static void check_ids(struct doctor *D, const struct hosts_seen *seen)
{
	for (int i = 0; i < seen->count; i++)
		for (int j = 0; j < i; j++)
			if (seen->servers[i].heard && seen->servers[j].heard && !seen->servers[i].cluster &&
			    seen->servers[i].server_id == seen->servers[j].server_id)
				doctor_say(D, "server ids", DOCTOR_PROBLEM,
				           "give each server a server-id of its own, or name it once in db_host",
				           "hosts %d and %d of db_host have server_id %lld", j + 1, i + 1,
				           (long long)seen->servers[i].server_id);
}

/* ---- acknowledgements of replicas --------------------------------------------------------------------- */

struct replication {
	bool known, enabled, after_sync;
	int64_t timeout_ms, clients, cluster_size;
};

static int take_replication(void *context, const struct db_row *row)
{
	struct replication *r = context;
	const char *name = row->field[0], *value = row->field[1] != NULL ? row->field[1] : "";

	if (strcmp(name, "rpl_semi_sync_master_enabled") == 0) {
		r->known = true;
		r->enabled = strcmp(value, "ON") == 0;
	} else if (strcmp(name, "rpl_semi_sync_master_wait_point") == 0) {
		r->after_sync = strcmp(value, "AFTER_SYNC") == 0;
	} else if (strcmp(name, "rpl_semi_sync_master_timeout") == 0) {
		r->timeout_ms = strtoll(value, NULL, 10);
	} else if (strcasecmp(name, "Rpl_semi_sync_master_clients") == 0) {
		r->clients = strtoll(value, NULL, 10);
	} else if (strcmp(name, "wsrep_cluster_size") == 0) {
		r->cluster_size = strtoll(value, NULL, 10);
	}
	return 0;
}

static bool read_replication(struct doctor *D, struct replication *r)
{
	struct buf sql;
	bool done;

	*r = (struct replication){0};
	buf_init(&sql, 1024);
	sql_literal(&sql, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('rpl_semi_sync_master_enabled',"
	                  " 'rpl_semi_sync_master_wait_point', 'rpl_semi_sync_master_timeout')");
	done = db_read(ctl_db(D->ctl), &sql, take_replication, r) >= 0;
	buf_reset(&sql);
	sql_literal(&sql, "SHOW GLOBAL STATUS WHERE Variable_name IN ('Rpl_semi_sync_master_clients',"
	                  " 'wsrep_cluster_size')");
	done = done && db_read(ctl_db(D->ctl), &sql, take_replication, r) >= 0;
	buf_free(&sql);
	return done;
}

static void check_acknowledgement(struct doctor *D, const struct epoch *e, const struct replication *r)
{
	const char *check = "semi-synchronous replication";

	if (!r->known)
		doctor_say(D, check, DOCTOR_SKIPPED, "", "this database has no such setting");
	else if (!r->enabled)
		doctor_say(D, check, e->servers > 1 ? DOCTOR_PROBLEM : DOCTOR_WARNING,
		           e->servers > 1 ? "on the primary: SET GLOBAL rpl_semi_sync_master_enabled = 1"
		                          : "once a replica follows: SET GLOBAL rpl_semi_sync_master_enabled = 1, and "
		                            "octroictl database takeover --actor NAME",
		           "off: answers are lost with this server");
	else if (!r->after_sync)
		doctor_say(D, check, DOCTOR_PROBLEM, "set rpl_semi_sync_master_wait_point = AFTER_SYNC on every server",
		           "AFTER_COMMIT: others see what is lost with this server");
	else if (r->clients == 0)
		doctor_say(D, check, DOCTOR_PROBLEM, "start a replica with rpl_semi_sync_slave_enabled = 1",
		           "no replica acknowledges: every COMMIT waits");
	else if (r->timeout_ms < PATIENT_MS)
		doctor_say(D, check, DOCTOR_WARNING, "set rpl_semi_sync_master_timeout = 1000000000 on every server",
		           "after %lld ms without a replica, COMMITs are acknowledged by this server alone",
		           (long long)r->timeout_ms);
	else
		doctor_say(D, check, DOCTOR_OK, "", "%lld replica%s", (long long)r->clients,
		           r->clients == 1 ? "" : "s");
}

static void check_cluster_size(struct doctor *D, const struct replication *r)
{
	if (r->cluster_size < CLUSTER_SIZE_MIN)
		doctor_say(D, "cluster size", DOCTOR_WARNING, "let 3 nodes, or 5, be in the cluster",
		           "%lld: the loss of one node stops the others", (long long)r->cluster_size);
	else
		doctor_say(D, "cluster size", DOCTOR_OK, "", "%lld", (long long)r->cluster_size);
}

void doctor_servers(struct doctor *D)
{
	const struct db_options login = ctl_login(D->ctl);
	struct replication r;
	struct hosts_seen seen;
	int primary = 0;

	hosts_look(&login, &seen);
	while (primary < seen.count && seen.verdicts[primary] != PRIMARY_PRIMARY)
		primary++;
	if (seen.count == 1 && !seen.servers[0].heard)
		return; /* doctor_database says why */
	if (primary == seen.count)
		say_no_primary(D, &seen);
	else
		check_primary_host(D, &seen, primary);
	for (int i = 0; i < seen.count; i++)
		if (i != primary && seen.count > 1)
			check_other(D, &seen, i);
	check_ids(D, &seen);
	if (primary == seen.count || !read_replication(D, &r))
		return;
	if (seen.servers[primary].cluster)
		check_cluster_size(D, &r);
	else if (seen.count > 1 || seen.servers[primary].epoch.servers > 1)
		check_acknowledgement(D, &seen.servers[primary].epoch, &r);
}
