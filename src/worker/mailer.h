/*
 * mailer: sends one mail of an account's alerts to its addresses.  Each address is noted once it has the mail, so that
 * a repeat goes to the others only.  After a crash in between it is sent again under the same Message-ID, which
 * mailboxes take for the same mail.  Waits for the mail server.
 */
#ifndef OCTROI_WORKER_MAILER_H
#define OCTROI_WORKER_MAILER_H

#include "clients/smtp.h"
#include "db/pool.h"
#include "queries/mails.h"

struct mailer_options {
	struct pool *pool;
	struct smtp_server server;
	const char *currency;
	const char *page;      /* where a customer tops up; "": not known */
	const char *operators; /* addresses of the operator's alerts, blank-separated; "": they are not mailed */
};

struct mailer_counts {
	int64_t sent, refused, failed;
};

/* Sends the claimed mail, and says how it ends.  False: the mail server takes no mail now.  error: of SMTP_ERROR_MAX
 * bytes, which end points to. */
bool mailer_send(const struct mailer_options *o, struct mail_claim *claim, struct mail_end *end, char *error,
                 struct mailer_counts *counts);

/* Sends a mail that says that mail works, now. */
void mailer_test(const struct mailer_options *o, const char *address, bool french, struct smtp_result *result);

#endif
