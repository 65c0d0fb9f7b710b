/*
 * hosts: looks at the hosts that db_host lists, and lets primary.c choose the one that is written to.  octroi looks
 * each second; octroictl looks before it connects.  Any thread; one look at a time.
 */
#ifndef OCTROI_DB_HOSTS_H
#define OCTROI_DB_HOSTS_H

#include "db/db.h"
#include "db/primary.h"

struct hosts_seen {
	int count;
	struct primary_host hosts[PRIMARY_HOSTS_MAX];
	struct primary_server servers[PRIMARY_HOSTS_MAX];
	enum primary_verdict verdicts[PRIMARY_HOSTS_MAX];
	bool replica[PRIMARY_HOSTS_MAX]; /* it follows another server */
};

/* True if the options list several hosts. */
bool hosts_listed(const struct db_options *options);
/* Looks at each host; one that was heard a moment ago may miss one look. */
void hosts_look(const struct db_options *options, struct hosts_seen *seen);
/* Looks, if there is a list and this process has not looked yet. */
void hosts_find(const struct db_options *options);
/* Reads the newest epoch over the connection; none is epoch 0.  False: the database failed. */
bool hosts_epoch(struct db *d, struct epoch *e);
/* The host that was chosen, or the only one; false: none of a list is the primary. */
bool hosts_primary(const struct db_options *options, struct primary_host *host);
/* Closes the connections of the looks. */
void hosts_close(void);

#endif
