/*
 * courier: tells alerts outside.  It hands each alert on to the endpoints that want it and to the mails, posts the
 * deliveries that are due, and sends the mails.  Mails have threads of their own, and rest while their server is away.
 * An endpoint has at most a share of the threads, and all endpoints that fail together another one: so a dead
 * endpoint holds up no other.
 */
#ifndef OCTROI_WORKER_COURIER_H
#define OCTROI_WORKER_COURIER_H

#include <stdbool.h>
#include <stdint.h>

#include "db/pool.h"
#include "worker/mailer.h"

struct courier;

struct courier_options {
	struct pool *pool;
	const char *ca_file;        /* certificates that are trusted instead of the system's; "": the system's */
	struct mailer_options mail; /* without a server's address no mail is sent */
};

/* Does what is due, at most max pieces of work, until the monotonic deadline.  Returns how many, or -1: the database
 * failed. */
int courier_run(const struct courier_options *o, int max, int64_t deadline_us);

/* Starts threads that do it until courier_stop; NULL when none can be started. */
struct courier *courier_start(const struct courier_options *o);
/* False when a thread still waits for another server at the deadline: the objects that it uses must then stay.
 * Harmless with NULL. */
bool courier_stop(struct courier *c, int64_t deadline_us);

/* Counts since the start of the process. */
struct courier_counts {
	int64_t posted, failed, given_up, switched_off;
	int64_t mails_sent, mails_refused, mails_failed;
};
void courier_count(struct courier_counts *counts);

#endif
