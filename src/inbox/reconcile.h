/*
 * reconcile: compares Stripe's payments, refunds and disputes with the ledger's orders.  A fact that Stripe has and
 * the ledger lacks (a lost webhook) is submitted by the commands that a webhook uses.  Thus the fact takes effect once,
 * whatever else arrives and however often this runs.  Each difference that remains is a finding for a person.
 *
 * reconcile_run.c holds the order of the steps.  reconcile_orders.c looks at orders one by one, reconcile_statements.c
 * at statements.  reconcile_api.c reads Stripe's lists.  reconcile.c holds the functions that these share.  One thread.
 */
#ifndef OCTROI_INBOX_RECONCILE_H
#define OCTROI_INBOX_RECONCILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "clients/stripe.h"
#include "db/db.h"
#include "inbox/inbox.h"
#include "queries/reader.h"

#define RECONCILE_PATIENCE_US (INT64_C(60) * 1000000) /* for one command, and for one answer of Stripe's */
#define RECONCILE_ERROR_MAX 512

/* A fact that was missing, or a difference.  "" where there is none. */
struct reconcile_finding {
	const char *account, *order; /* the application's id, the order's public one */
	const char *object;          /* Stripe's id */
	const char *finding;
	const char *done; /* the change that was made; "": the difference remains */
};

/* A succeeded payment of ours at Stripe, and the amounts refunded and disputed. */
struct reconcile_payment {
	char id[64];
	struct account_key account;
	enum payment_kind kind;
	int64_t topup_seq; /* number of the order, statement or period, as kind says */
	int64_t amount_minor, refunded_minor, disputed_minor;
	bool older; /* begun before since_us: its disputes may be older too, and not all are known */
};

struct reconcile {
	struct db *db;
	struct ledger *ledger;
	struct pool *readers;
	const char *plans; /* the setting plan_prices */
	struct stripe stripe;
	struct arena *arena; /* emptied before each object */
	void (*tell)(void *context, const struct reconcile_finding *finding);
	void *context;
	bool dry_run;
	bool failed;      /* the run could not be finished */
	bool unavailable; /* of a failed run: because the database failed */
	char error[RECONCILE_ERROR_MAX];
	int64_t since_us, now_us;
	struct reconcile_payment *payments;
	size_t count, sorted, room;         /* the first `sorted` payments are sorted by id */
	int64_t stripe_minor, ledger_minor; /* received, and credited, each less refunded and disputed */
	int64_t foreign, credited, taken_back, expired, subscriptions, differences;
};

/* Looks at everything since since_us, then at orders that were never paid.  False when R failed. */
bool reconcile_run(struct reconcile *R);

/* ---- among themselves ---- */

/* Calls take for each row of a list of Stripe's since since_us, the newest first.  more: adds parameters, or NULL. */
void reconcile_api_each(struct reconcile *R, const char *path, void (*more)(struct stripe_call *call),
                        void (*take)(struct reconcile *R, const struct json *row));
/* Gets one object: STRIPE_OK, or STRIPE_REFUSED if there is none; any other end fails R.  The caller frees call. */
enum stripe_result reconcile_api_get(struct reconcile *R, struct stripe_call *call);

/* Reads the order; false if there is none (row->found is false) or R failed. */
bool reconcile_order(struct reconcile *R, const struct account_key *account, int64_t seq, struct reader_topup *row);
/* Reads rows as db_read does; false if that fails, and R with it. */
bool reconcile_read(struct reconcile *R, const struct buf *sql, db_taker *take, void *context);
/* Marks R as failed.  The first error is kept. */
void reconcile_fail(struct reconcile *R, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Tells a finding.  done: the change that was made; NULL: a difference that remains. */
void reconcile_tell(struct reconcile *R, const struct account_key *account, int64_t seq, const char *object,
                    const char *finding, const char *done);
/* Marks R as failed: the database did not answer in time. */
void reconcile_unanswered(struct reconcile *R);
/* Returns an inbox, which takes events in, or up again, as the webhook does. */
struct inbox reconcile_inbox(struct reconcile *R);
/* Submits the command; true if it was decided.  A refused or parked command is listed as a difference. */
bool reconcile_submit(struct reconcile *R, struct command *command, const char *object);

/* Takes up refunds and disputes that waited until the owner of this payment was known. */
void reconcile_take_parked(struct reconcile *R, const char *payment_id);

/* Looks at statements whose payment is not known: whether their invoices are paid, and by which payment. */
void reconcile_statements(struct reconcile *R);

/* Looks at one of Stripe's PaymentIntents, refunds or disputes.  The PaymentIntent has latest_charge expanded. */
void reconcile_orders_payment(struct reconcile *R, const struct json *intent);
void reconcile_orders_refund(struct reconcile *R, const struct json *refund);
void reconcile_orders_dispute(struct reconcile *R, const struct json *dispute);
/* Looks at orders that were never paid, and at paid orders that Stripe's list did not show. */
void reconcile_orders_open(struct reconcile *R);
void reconcile_orders_paid(struct reconcile *R);
/* Compares each payment with the ledger, after all missing facts were submitted. */
void reconcile_orders_compare(struct reconcile *R);

#endif
