/*
 * reconcile: Stripe's payments, refunds and disputes set against the ledger's orders.  What Stripe knows
 * and the ledger does not (a lost webhook) is brought in by the same commands as a webhook would, so that
 * it takes effect once, whatever else arrives and however often this runs.  What then still differs is a
 * finding for a person.  reconcile_run.c runs it, reconcile_orders.c looks at orders one by one,
 * reconcile_statements.c at statements, reconcile_api.c reads Stripe's lists, reconcile.c is what these need.  Only
 * ctl_stripe.c and these include this.  One thread.
 */
#ifndef OCTROI_CTL_RECONCILE_H
#define OCTROI_CTL_RECONCILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "clients/stripe.h"
#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "inbox/inbox.h"
#include "queries/reader.h"

/* A succeeded payment of ours at Stripe, and what was taken back of it. */
struct reconcile_payment {
	char id[64];
	struct account_key account;
	enum payment_kind kind;
	int64_t topup_seq; /* of what it paid for */
	int64_t amount_minor, refunded_minor, disputed_minor;
	bool older; /* begun before since_us: its disputes may be too, and are not all known */
};

struct reconcile {
	struct ctl *ctl;
	struct stripe stripe;
	struct arena *arena;  /* emptied before each object */
	struct listing *list; /* what was missing, and what differs */
	bool dry_run, failed; /* failed: it could not be finished, explained on stderr */
	int64_t since_us, now_us;
	struct reconcile_payment *payments;
	size_t count, sorted, room; /* the first `sorted` ones are */
	int64_t stripe_minor,
		ledger_minor; /* received less refunded and disputed; the same of what was credited */
	int64_t told;         /* rows of list */
	int64_t foreign, credited, taken_back, expired, subscriptions, differences;
};

/* Everything since since_us, then orders that nobody paid; CTL_FAILED when it could not be finished. */
int reconcile_run(struct reconcile *R);

/* ---- among themselves ---- */

/* All rows of a list of Stripe's since since_us, the newest first; more: further parameters. */
void reconcile_api_each(struct reconcile *R, const char *path,
                        void (*more)(struct stripe_call *call),
                        void (*take)(struct reconcile *R, const struct json *row));
/* One object: OK, or REFUSED when there is none; anything else fails R.  Free the call. */
enum stripe_result reconcile_api_get(struct reconcile *R, struct stripe_call *call);

/* The order; false when there is none (*row.found) or R failed. */
bool reconcile_order(struct reconcile *R, const struct account_key *account, int64_t seq,
                     struct reader_topup *row);
/* A row of the list.  done: what was brought in; NULL: a difference that remains. */
void reconcile_tell(struct reconcile *R, const struct account_key *account, int64_t seq,
                    const char *object, const char *finding, const char *done);
/* The database did not answer in time: R failed. */
void reconcile_unanswered(struct reconcile *R);
/* Takes events in, or up again, as the webhook does. */
struct inbox reconcile_inbox(struct reconcile *R);
/* Submits; true when it was decided.  A parked one is told as a difference. */
bool reconcile_submit(struct reconcile *R, struct command *command, const char *object);

/* Refunds and disputes that waited until it was known whose this payment is. */
void reconcile_take_parked(struct reconcile *R, const char *payment_id);

/* Statements whose payment is not known: whether their invoices are paid, and by what. */
void reconcile_statements(struct reconcile *R);

/* Stripe's PaymentIntent, with its charge expanded. */
void reconcile_orders_payment(struct reconcile *R, const struct json *intent);
void reconcile_orders_refund(struct reconcile *R, const struct json *refund);
void reconcile_orders_dispute(struct reconcile *R, const struct json *dispute);
/* Orders that were never paid, and paid ones that Stripe's list did not show. */
void reconcile_orders_open(struct reconcile *R);
void reconcile_orders_paid(struct reconcile *R);
/* What the ledger says of each payment, once everything was brought in. */
void reconcile_orders_compare(struct reconcile *R);

#endif
