/*
 * mails: alerts on their way to an account's mail addresses (table mails).  At most one mail of an account and a kind
 * is begun in an hour: the alerts that come meanwhile are gathered in the next one.  A mail's alerts and addresses are
 * fixed when it is first claimed.  One connection, on its thread.
 */
#ifndef OCTROI_QUERIES_MAILS_H
#define OCTROI_QUERIES_MAILS_H

#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"
#include "queries/alerts.h"

#define MAILS_ADDRESSES_MAX 5
#define MAILS_ADDRESSES_BYTES 1300 /* of all of them, with blanks between */
#define MAILS_NAME_BYTES 1024
#define MAILS_LINES_MAX 20 /* alerts that a mail lists */
#define MAILS_ERROR_MAX 256
#define MAILS_MEMBER_BYTES 520

/* Adds the mail of an alert, unless one that is there will have it.  0, or -1: the database failed. */
int mails_hand_on(struct db *d, const struct account_key *account, int64_t seq, int64_t kind);

struct mail_claim {
	struct account_key account;
	char account_id[ID_ACCOUNT_MAX + 1]; /* the application's */
	int64_t kind, number, from_seq, upto_seq;
	int64_t attempts; /* including this one */
	int64_t until_us; /* by the database's clock */
	int64_t created_at_us, sent_mask, dead_mask, unit;
	char addresses[MAILS_ADDRESSES_BYTES]; /* blank-separated; a bit of the masks for each */
	char name[MAILS_NAME_BYTES];           /* the customer's */
	bool french;
	bool of_operator; /* its alerts are the operator's, and the kind is above OPERATOR_KIND_FIRST */
};
/* Claims the mail that has been due longest, for lease_us.  operators: the addresses of the operator's alerts.
 * 1: claimed, 0: nothing is due, -1: the database failed. */
int mails_claim(struct db *d, int64_t lease_us, const char *operators, struct mail_claim *claim);

struct mail_line {
	struct alerts_shown alert; /* its member is the text below; of the operator's: subject and detail */
	char member[MAILS_MEMBER_BYTES];
};
/* Reads the mail's alerts, the oldest first, and at most MAILS_LINES_MAX; *count: of all.  Returns how many were read,
 * or -1: the database failed. */
int mails_read(struct db *d, const struct mail_claim *claim, struct mail_line lines[MAILS_LINES_MAX], int64_t *count);

/* Notes that addresses have had the mail, or never will, while the claim lasts.  0 or -1. */
int mails_note(struct db *d, const struct mail_claim *claim);

struct mail_end {
	int64_t state;   /* enum delivery_state */
	int64_t wait_us; /* until the next attempt, of a pending mail */
	int64_t attempts;
	const char *error;
};
/* Writes the result and ends the claim.  1: written; 0: the mail is no longer under this claim; -1: the database
 * failed. */
int mails_end(struct db *d, const struct mail_claim *claim, const struct mail_end *end);

#endif
