/*
 * primary: the server that may be written to.  Each batch asks whether its own server is the one (ledger/prefetch.c).
 * Where db_host lists several hosts, hosts.c looks at them, and every connection goes to the one that is chosen here
 * (db.c).  docs/decisions/0031-epochs-fence-old-primaries.md has the rules.
 *
 * Any thread; one lock.  The state belongs to the process, as its configuration does.
 */
#ifndef OCTROI_DB_PRIMARY_H
#define OCTROI_DB_PRIMARY_H

#include <stdbool.h>
#include <stdint.h>

#define PRIMARY_HOSTS_MAX 8
#define PRIMARY_HOST_BYTES_MAX 256

enum primary_verdict {
#define VERDICT(name, word, sentence) PRIMARY_##name,
#include "db/primary_verdicts.def"
#undef VERDICT
	PRIMARY_VERDICT_COUNT
};

/* The newest row of epochs.  Number 0, which names no server: none was taken over. */
struct epoch {
	int64_t number;
	int64_t server_id; /* of the server that may be written to; 0: any one */
	int64_t servers;   /* of the ledger; more than half of them must have been heard */
};

/* The question for it; without a row the database has no epochs. */
#define PRIMARY_EPOCH_SQL "SELECT number, server_id, servers FROM epochs ORDER BY number DESC LIMIT 1"
/* Takes the row that answers, as text.  False: octroi writes no such row.  Pure. */
bool primary_take_epoch(struct epoch *e, const char *const *field);

/* The facts about a server, as it was last seen. */
struct primary_server {
	bool heard; /* false: it did not answer, and nothing else is known */
	bool read_only;
	bool cluster; /* a node of Galera, where several may be written to */
	bool ready;   /* of such a node: synced, in a part that has the majority */
	int64_t server_id;
	struct epoch epoch;
};

struct primary_host {
	char name[PRIMARY_HOST_BYTES_MAX];
	unsigned port;
};

/* Takes "a, b:3307" apart; a host without a port gets the given one.  Returns the number of hosts, or -1: too many, or
 * a part that is none.  An address of IPv6 with a port is in brackets.  Pure. */
int primary_parse(const char *list, unsigned port, struct primary_host hosts[PRIMARY_HOSTS_MAX]);

/* Judges the servers of a look at all hosts of the list, in their order.  Notes what was heard, chooses the first that
 * may be written to, or none, and writes a verdict for each.
 * untaken: also one that was never taken over; and no line in the log. */
void primary_choose(const struct primary_server *servers, int count, bool untaken, enum primary_verdict *verdicts);
/* Judges the server that a batch is about to change, and notes what was heard. */
enum primary_verdict primary_check(const struct primary_server *server);

/* The verdict that says most: that of a server which could be written to, but for the epoch. */
enum primary_verdict primary_worst(const enum primary_verdict *verdicts, int count);

/* The place of the chosen host in the list; -1: none, and *why is the worst verdict. */
int primary_chosen(enum primary_verdict *why);
/* Counts the changes of the choice, and the new epochs.  A connection from before the last one may lead to the wrong
 * server. */
int64_t primary_moves(void);
/* The newest epoch that this process has seen. */
struct epoch primary_epoch(void);

const char *primary_word(enum primary_verdict verdict);
const char *primary_sentence(enum primary_verdict verdict);

/* Forgets everything; for tests. */
void primary_forget(void);

#endif
