/*
 * doctor: checks of an installation.  Each check has a name and ends in one state, with what was
 * found and, unless all is well, what to do about it.  doctor_files.c, doctor_database.c,
 * doctor_money.c, doctor_http.c, doctor_stripe.c and doctor_people.c hold the checks; ctl_doctor.c
 * runs them, doctor.c says what they found.  One thread.
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
	bool tables; /* of this schema version, and they can be read */
	int count[DOCTOR_STATE_COUNT];
};

/* The end of a check.  advice is "" where there is nothing to do; never shows a secret. */
void doctor_say(struct doctor *D, const char *check, enum doctor_state state, const char *advice,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

/* What doctor_say has not printed yet: all of it with --json, else the sums. */
void doctor_print(const struct doctor *D);

/* Configuration, sockets, secrets. */
void doctor_files(struct doctor *D);
/* The database: settings, rights, clock, tables, prices. */
void doctor_database(struct doctor *D);
/* What is there to be charged, and the platform's keys as last probed; called by doctor_database where there are
 * tables. */
void doctor_money(struct doctor *D);
/* The web server in front, as a client sees it; skipped without --url and --internal-url. */
void doctor_http(struct doctor *D);
/* Stripe: reachable, its key, secret and clock; skipped without stripe_secret_key. */
void doctor_stripe(struct doctor *D);
/* The issuer of tokens and its keys, Clerk's webhook, the sign-up bonus. */
void doctor_people(struct doctor *D);

#endif
