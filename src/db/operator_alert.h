/*
 * operator_alert: something that the operator is told, once (table operator_alerts).  It is written in the transaction
 * that causes it, where there is one.  A kind, a subject and an arming number make it unique.  A condition that lasts,
 * such as a share above its bound, is told once until it has ended.  One connection, on its thread.
 */
#ifndef OCTROI_DB_OPERATOR_ALERT_H
#define OCTROI_DB_OPERATOR_ALERT_H

#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"

enum operator_alert_kind {
#define OPERATOR_ALERT(NAME, name, subject, sentence) OPERATOR_##NAME,
#include "db/operator_alerts.def"
#undef OPERATOR_ALERT
	OPERATOR_ALERTS
};

/* Among the kinds of an account's alerts, in mails.kind and as bits of endpoints.kinds, those of the operator are from
 * this number on. */
#define OPERATOR_KIND_FIRST 32
/* Their account_id in deliveries and mails, in SQL. */
#define OPERATOR_ACCOUNT "0x00000000000000000000000000000000"

struct operator_alert {
	enum operator_alert_kind kind;
	const char *subject; /* a provider, a unit, the number of an endpoint or a version, an account; "": none */
	const char *detail;  /* a sentence without a secret; cut to 255 characters */
	int64_t value, bound;
	int64_t arming; /* 0: the next number of the kind and the subject */
	bool lasts;     /* until operator_alert_end */
};
/* Adds the statement that writes it, unless it is there, or one of its kind and subject lasts. */
void operator_alert_sql(struct buf *sql, const struct operator_alert *a);
/* Writes it so.  1: written, 0: not, -1: the database failed. */
int operator_alert_add(struct db *d, const struct operator_alert *a);
/* The condition has ended, if it lasted: the next one is told.  0 or -1. */
int operator_alert_end(struct db *d, enum operator_alert_kind kind, const char *subject);

const char *operator_alert_name(int64_t kind);
/* Of the mail. */
const char *operator_alert_subject(int64_t kind);
const char *operator_alert_sentence(int64_t kind);

#endif
