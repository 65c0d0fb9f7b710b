/*
 * leeway: the graces that octroi gave to this meter, one for each account, and the costs of earlier requests.
 * While octroi does not answer, they say whether a request may go out.  A grace is a limit for the sum of all uses:
 * those that octroi has booked, and the bookings in the spool.  Only the place is in a file, <spool>.grace.  All else
 * is in memory, so that a new process has no grace before octroi's next answer.  One thread.
 * docs/decisions/0033-the-meter-keeps-graces.md has the reasons.
 */
#ifndef OCTROI_METER_LEEWAY_H
#define OCTROI_METER_LEEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/id.h"
#include "base/json.h"

#define LEEWAY_GRACE_MAX 512

struct leeway;

/* Opens the file beside the spool, and makes it where it is missing or broken: that is a new place.  NULL, logged. */
struct leeway *leeway_open(const char *spool);
void leeway_free(struct leeway *a);

/* A request, as far as its grace and its cost depend on it. */
struct leeway_ask {
	unsigned char payer[DIGEST_BYTES]; /* of the key, or of the account and the member */
	const char *account, *member;      /* NULL: of a key, whose account octroi names */
	unsigned char kind[DIGEST_BYTES];  /* of all that its price depends on, but input and output */
	int64_t input, output;             /* output -1: none is asked for */
	int64_t asked_us, changes;         /* made by leeway_place */
};

/* Begins to ask octroi; the member grace of the request, as JSON. */
const char *leeway_place(struct leeway *a, struct leeway_ask *ask);
/* Takes in octroi's answer 200. */
void leeway_note(struct leeway *a, const struct leeway_ask *ask, const struct json *answer);
/* octroi refuses the payer: neither it nor its account has a grace before the next success. */
void leeway_forget(struct leeway *a, const unsigned char payer[DIGEST_BYTES]);

struct leeway_use {
	char account[ID_ACCOUNT_MAX + 1], member[ID_ACCOUNT_MAX + 1]; /* member "": none */
	int64_t micros, output;                                       /* output: that is paid for */
	char grace[LEEWAY_GRACE_MAX];                                 /* of the booking, as JSON */
};

/* Counts a use of the request, and fills in its booking.  False: no grace covers it, and nothing is counted. */
bool leeway_use(struct leeway *a, const struct leeway_ask *ask, struct leeway_use *use);

/* Counts a booking in the spool of before. */
void leeway_found(struct leeway *a, const char *account, int64_t amount);
/* A use that was counted has an end: octroi has booked it, or else never will. */
void leeway_end(struct leeway *a, const char *account, int64_t amount, bool booked);

#endif
