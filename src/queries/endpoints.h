/*
 * endpoints: where alerts are posted, and the deliveries to them (tables endpoints, deliveries).  A process claims a
 * delivery, posts it, and writes the result.  A delivery whose claim has run out may be claimed again.  One connection,
 * on its thread.
 */
#ifndef OCTROI_QUERIES_ENDPOINTS_H
#define OCTROI_QUERIES_ENDPOINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"
#include "queries/alerts.h"

#define ENDPOINTS_URL_MAX 1024
#define ENDPOINTS_MEMBER_MAX 520
#define ENDPOINTS_SECRET_BYTES 32
#define ENDPOINTS_ERROR_MAX 256
#define ENDPOINTS_BUSY_MAX 16

/* Hands alerts on that nobody was told of yet: a delivery for each endpoint that is on and wants the kind, once each,
 * and with mail true to the mails.  endpoints_hand_on_operators: those of the operator.  Returns the number of
 * alerts, or -1: the database failed. */
int endpoints_hand_on(struct db *d, bool mail);
int endpoints_hand_on_operators(struct db *d, bool mail);

/* Endpoints whose deliveries are not claimed now. */
struct endpoints_busy {
	int64_t ids[ENDPOINTS_BUSY_MAX];
	int count;
	bool healthy_only; /* nor those whose last attempt failed */
};

struct endpoint_claim {
	int64_t id, endpoint_id;
	int64_t attempts; /* including this one */
	int64_t until_us; /* by the database's clock */
	int64_t failures; /* of the endpoint, in a row */
	struct account_key account;
	char account_id[ID_ACCOUNT_MAX + 1]; /* the application's */
	struct alerts_shown alert;           /* its member is the text below; of the operator's, seq, kind and time */
	char member[ENDPOINTS_MEMBER_MAX];   /* of the operator's, the subject */
	char detail[ENDPOINTS_MEMBER_MAX];   /* of the operator's, as are value and bound */
	int64_t value, bound;
	char url[ENDPOINTS_URL_MAX];
	bool inside;
	unsigned char secrets[2][ENDPOINTS_SECRET_BYTES];
	int secret_count;
};
/* Claims a delivery that is due, for lease_us: of the endpoint that was served longest ago, the one due longest.
 * 1: claimed, 0: nothing is due, -1: the database failed. */
int endpoints_claim(struct db *d, const struct endpoints_busy *busy, int64_t lease_us, struct endpoint_claim *claim);

struct endpoint_end {
	int64_t state;   /* enum delivery_state */
	int64_t wait_us; /* until the next attempt, of a pending delivery */
	int64_t rest_us; /* nothing else is posted to the endpoint meanwhile */
	int64_t took_us;
	int status;        /* 0: no answer came */
	const char *error; /* "": delivered */
	const char *off;   /* the reason for which the endpoint is switched off; NULL: it stays on */
};
/* Writes the result and ends the claim.  1: written; 0: the delivery is no longer under this claim; -1: the database
 * failed. */
int endpoints_end(struct db *d, const struct endpoint_claim *claim, const struct endpoint_end *end);

#endif
