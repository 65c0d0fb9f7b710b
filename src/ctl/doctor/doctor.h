/*
 * doctor: checks of an installation.  Each check has a name and ends in one state, with a finding and,
 * unless all is well, an advice.  doctor_files.c, doctor_servers.c, doctor_database.c, doctor_money.c,
 * doctor_http.c, doctor_stripe.c and doctor_people.c hold the checks.  ctl_doctor.c runs them; doctor.c prints the
 * findings.  One thread.
 */
#ifndef OCTROI_CTL_DOCTOR_DOCTOR_H
#define OCTROI_CTL_DOCTOR_DOCTOR_H

#include "ctl/ctl.h"
#include "ctl/listing.h"

enum doctor_state { DOCTOR_OK, DOCTOR_SKIPPED, DOCTOR_WARNING, DOCTOR_PROBLEM, DOCTOR_STATE_COUNT };

struct doctor {
	struct ctl *ctl;
	const char *url, *internal_url, *key; /* NULL when not given */
	struct listing *list;
	bool tables; /* the tables can be read and have this schema version */
	int count[DOCTOR_STATE_COUNT];
};

/* Ends a check.  advice is "" where there is nothing to do.  No text may show a secret. */
void doctor_say(struct doctor *D, const char *check, enum doctor_state state, const char *advice, const char *format,
                ...) __attribute__((format(printf, 5, 6)));

/* Prints the end of the output: with --json all checks and the sums, else the sums only. */
void doctor_print(const struct doctor *D);

/* Checks the configuration, sockets and secrets. */
void doctor_files(struct doctor *D);
/* Checks the database: settings, rights, clock, tables, prices. */
void doctor_database(struct doctor *D);
/* Checks the servers of db_host: which one is the primary, what the others are, whether replicas acknowledge. */
void doctor_servers(struct doctor *D);
/* Checks the charges and messages that wait, and the platform's keys as last probed.  doctor_database calls it if
 * there are tables. */
void doctor_money(struct doctor *D);
/* Checks the web server in front of octroi, as a client; skipped without --url and --internal-url. */
void doctor_http(struct doctor *D);
/* Checks that Stripe is reachable, its key, secret and clock; skipped without stripe_secret_key. */
void doctor_stripe(struct doctor *D);
/* Checks the issuer of tokens and its keys, Clerk's webhook and the sign-up bonus. */
void doctor_people(struct doctor *D);

#endif
