#include "inbox/stripe_event.h"

#include <string.h>

#include "inbox/stripe_invoice.h"
#include "inbox/stripe_value.h"

#define TYPE_MAX_BYTES 128
#define STATUS_MAX_BYTES 32
#define NO_AMOUNT (-1)

/* ---- what an event says ------------------------------------------------------------------------ */

static bool is_type(const char *text, const char *other)
{
	return strcmp(text, other) == 0;
}

static void ignore(struct stripe_event *e, const char *why)
{
	e->command.kind = COMMAND_EVENT;
	e->command.event_only.state = EVENT_IGNORED;
	e->command.event_only.note = why;
}

static void read_metadata(struct stripe_event *e, const struct json *object)
{
	const struct json *metadata = json_get(object, "metadata");

	e->order = text_at(metadata, "topup_id");
	e->user = text_at(metadata, "user_id");
}

static void read_session(struct stripe_event *e, const char *type, const struct json *o)
{
	struct command *c = &e->command;
	const char *status = text_at(o, "payment_status");

	if (!is_type(text_at(o, "mode"), "payment")) {
		ignore(e, "a session that is no payment");
		return;
	}
	if (is_type(status, "no_payment_required")) {
		ignore(e, "a session without a payment");
		return;
	}
	read_metadata(e, o);
	e->reference = text_at(o, "client_reference_id");
	c->kind = COMMAND_PAYMENT;
	c->payment_id = id_at(o, "payment_intent");
	c->payment.session_id = text_at(o, "id");
	c->payment.customer_id = id_at(o, "customer");
	c->payment.amount_minor = json_get_int(o, "amount_total", NO_AMOUNT);
	c->payment.currency = currency_at(o);
	if (is_type(type, "checkout.session.completed") || is_type(type, "checkout.session.async_payment_succeeded"))
		c->payment.state = is_type(status, "paid") ? TOPUP_PAID : TOPUP_PENDING;
	else if (is_type(type, "checkout.session.async_payment_failed"))
		c->payment.state = TOPUP_FAILED;
	else if (is_type(type, "checkout.session.expired"))
		c->payment.state = TOPUP_EXPIRED;
	else
		ignore(e, "a type that octroi has no use for");
}

static void read_payment_intent(struct stripe_event *e, const char *type, const struct json *o)
{
	struct command *c = &e->command;

	read_metadata(e, o);
	c->kind = COMMAND_PAYMENT;
	c->payment_id = text_at(o, "id");
	c->payment.session_id = "";
	c->payment.customer_id = id_at(o, "customer");
	c->payment.amount_minor = json_get_int(o, "amount_received", NO_AMOUNT);
	c->payment.currency = currency_at(o);
	if (is_type(type, "payment_intent.succeeded") && is_type(text_at(o, "status"), "succeeded"))
		c->payment.state = TOPUP_PAID;
	else if (is_type(type, "payment_intent.processing"))
		c->payment.state = TOPUP_PENDING;
	else
		ignore(e, "an attempt, which may be repeated"); /* payment_failed: the session says when it ends */
}

/* Reads the amount that a charge has refunded in all; partial refunds come so too. */
static void read_charge(struct stripe_event *e, const struct json *o)
{
	struct command *c = &e->command;

	read_metadata(e, o);
	c->kind = COMMAND_REFUND;
	c->payment_id = id_at(o, "payment_intent");
	c->refund.status = REFUND_SUCCEEDED;
	c->refund.amount_minor = json_get_int(o, "amount_refunded", NO_AMOUNT);
	c->refund.currency = currency_at(o);
}

static void read_refund(struct stripe_event *e, const char *type, const struct json *o)
{
	struct command *c = &e->command;
	const char *status = text_at(o, "status");

	c->kind = COMMAND_REFUND;
	c->object_id = text_at(o, "id");
	c->payment_id = id_at(o, "payment_intent");
	c->refund.amount_minor = json_get_int(o, "amount", NO_AMOUNT);
	c->refund.currency = currency_at(o);
	if (is_type(type, "refund.failed") || is_type(status, "failed") || is_type(status, "canceled"))
		c->refund.status = REFUND_FAILED;
	else if (is_type(status, "succeeded"))
		c->refund.status = REFUND_SUCCEEDED;
	else
		c->refund.status = REFUND_PENDING; /* the money is on its way: failed would bring it back */
}

static void read_dispute(struct stripe_event *e, const char *type, const struct json *o)
{
	struct command *c = &e->command;
	const bool closed = is_type(type, "charge.dispute.closed");
	const char *status = text_at(o, "status");

	c->kind = COMMAND_DISPUTE;
	c->object_id = text_at(o, "id");
	c->payment_id = id_at(o, "payment_intent");
	c->dispute.amount_minor = json_get_int(o, "amount", NO_AMOUNT);
	c->dispute.currency = currency_at(o);
	c->dispute.withdrawn = is_type(type, "charge.dispute.funds_withdrawn") || (closed && is_type(status, "lost"));
	c->dispute.reinstated = is_type(type, "charge.dispute.funds_reinstated") || (closed && is_type(status, "won"));
}

/* ---- subscriptions ----------------------------------------------------------------------------- */

/* In the order in which a subscription can pass through them; it ranks events of one second. */
static const struct {
	const char *name;
	bool live;
} statuses[] = {
	{"incomplete", false},
	{"trialing", true},
	{"active", true},
	{"past_due", true},
	{"unpaid", false},
	{"paused", false},
	{"incomplete_expired", false},
	{"canceled", false},
};
#define STATUSES ((int)(sizeof(statuses) / sizeof(statuses[0])))

/* True if the subscription ends with its period.  The end is known before it comes, and the event of the end may
 * come late. */
static bool ends_with_period(const struct json *o, int64_t period_end_us)
{
	const struct json *flag = json_get(o, "cancel_at_period_end");
	const int64_t cancel_us = seconds_at(o, "cancel_at");

	if (flag != NULL && json_type(flag) == JSON_BOOL && json_bool(flag))
		return true;
	return cancel_us != 0 && cancel_us <= period_end_us;
}

/* The period is the subscription's, or since basil its items'. */
static void read_items(struct command *c, const struct json *o)
{
	const struct json *items = json_get(json_get(o, "items"), "data");
	const struct json *first =
		items != NULL && json_type(items) == JSON_LIST && json_size(items) > 0 ? json_at(items, 0) : NULL;

	c->subscription.price_id = id_at(first, "price");
	c->subscription.period_end_at_us = seconds_at(first, "current_period_end");
	if (c->subscription.period_end_at_us == 0)
		c->subscription.period_end_at_us = seconds_at(o, "current_period_end");
	c->subscription.period_start_at_us = seconds_at(first, "current_period_start");
	if (c->subscription.period_start_at_us == 0)
		c->subscription.period_start_at_us = seconds_at(o, "current_period_start");
	c->subscription.ends = ends_with_period(o, c->subscription.period_end_at_us);
}

/* True if the items have changed: the event holds the former values of changed members. */
static bool has_changed_items(const struct json *event)
{
	const struct json *previous = json_get(json_get(event, "data"), "previous_attributes");

	return json_get(previous, "items") != NULL || json_get(previous, "plan") != NULL;
}

static void read_subscription(struct stripe_event *e, const char *type, const struct json *o)
{
	struct command *c = &e->command;
	const bool created = is_type(type, "customer.subscription.created");
	const bool deleted = is_type(type, "customer.subscription.deleted");
	int at = 0;

	read_metadata(e, o);
	e->order = "";
	e->customer = id_at(o, "customer");
	c->kind = COMMAND_SUBSCRIPTION;
	c->object_id = text_at(o, "id");
	c->subscription.customer_id = e->customer;
	c->subscription.status = text_within(json_get(o, "status"), STATUS_MAX_BYTES);
	c->subscription.plan = "";
	while (at < STATUSES && !is_type(statuses[at].name, c->subscription.status))
		at++;
	c->subscription.live = !deleted && at < STATUSES && statuses[at].live;
	c->subscription.rank = at + (deleted ? 200 : created ? 0 : 100);
	c->subscription.anchor_at_us = seconds_at(o, "billing_cycle_anchor");
	c->subscription.trial_end_us = seconds_at(o, "trial_end");
	read_items(c, o);
}

/* Reads an invoice.  One that octroi made of a statement names the statement and its account. */
static void read_invoice(struct stripe_event *e, const char *type, const struct json *o)
{
	const struct json *metadata = json_get(o, "metadata");
	struct command *c = &e->command;

	e->order = text_at(metadata, "statement");
	e->user = text_at(metadata, "account");
	if (e->order[0] != '\0' && is_type(type, "invoice.paid")) {
		c->kind = COMMAND_STATEMENT_PAID;
		c->payment_id = stripe_invoice_intent(o);
		c->statement_paid.invoice_id = text_at(o, "id");
		c->statement_paid.amount_minor = json_get_int(o, "total", NO_AMOUNT);
		c->statement_paid.currency = currency_at(o);
	} else if (e->order[0] != '\0' && is_type(type, "invoice.payment_failed")) {
		/* The first news of the failure; octroi's own attempts are noted where they are made. */
		c->kind = COMMAND_STATEMENT_NOTE;
		c->statement_note.failure = "payment_failed";
	} else if (e->order[0] == '\0' &&
	           (is_type(type, "invoice.paid") || is_type(type, "invoice.payment_succeeded"))) {
		stripe_invoice_read(e, o);
	} else {
		ignore(e, e->order[0] != '\0' ? "nothing that moves a statement"
		                              : "an invoice that is not paid, or not yet");
	}
}

/* A saved card of a customer that auto-recharge may wait for. */
static void read_card(struct stripe_event *e, const struct json *o)
{
	e->customer = id_at(o, "customer");
	e->command.kind = COMMAND_RECHARGE_LOOK;
	e->command.recharge_look.card_changed = true;
}

/* ---- the event --------------------------------------------------------------------------------- */

static bool starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void read_object(struct stripe_event *e, const char *type, const struct json *o)
{
	if (starts(type, "checkout.session."))
		read_session(e, type, o);
	else if (starts(type, "payment_intent."))
		read_payment_intent(e, type, o);
	else if (is_type(type, "charge.refunded"))
		read_charge(e, o);
	else if (starts(type, "refund.") || is_type(type, "charge.refund.updated"))
		read_refund(e, type, o);
	else if (starts(type, "charge.dispute."))
		read_dispute(e, type, o);
	else if (is_type(type, "customer.subscription.created") || is_type(type, "customer.subscription.updated") ||
	         is_type(type, "customer.subscription.deleted") || is_type(type, "customer.subscription.paused") ||
	         is_type(type, "customer.subscription.resumed"))
		read_subscription(e, type, o);
	else if (is_type(type, "payment_method.attached"))
		read_card(e, o);
	else if (is_type(type, "invoice_payment.paid"))
		stripe_invoice_read_payment(e, o);
	else if (starts(type, "invoice."))
		read_invoice(e, type, o);
	else if (starts(type, "invoice_payment."))
		ignore(e, "nothing that names a payment");
	else
		ignore(e, "a type that octroi has no use for");
}

/* Copies the event's mode into the command: every object has to be of that mode. */
static void set_livemode(struct stripe_event *e)
{
	struct command *c = &e->command;

	if (c->kind == COMMAND_PAYMENT)
		c->payment.livemode = e->livemode;
	else if (c->kind == COMMAND_REFUND)
		c->refund.livemode = e->livemode;
	else if (c->kind == COMMAND_DISPUTE)
		c->dispute.livemode = e->livemode;
	else if (c->kind == COMMAND_STATEMENT_PAID)
		c->statement_paid.livemode = e->livemode;
	else if (c->kind == COMMAND_STATEMENT_NOTE)
		c->statement_note.livemode = e->livemode;
	else if (c->kind == COMMAND_PERIOD)
		c->period.livemode = e->livemode;
}

/* Name of a member that the ledger needs and the event lacks, or NULL.  An event that lacks one is not to be
 * repeated. */
static const char *lacking(const struct stripe_event *e)
{
	const struct command *c = &e->command;
	const bool named = c->object_id != NULL && c->object_id[0] != '\0';

	if ((c->kind == COMMAND_DISPUTE || c->kind == COMMAND_SUBSCRIPTION) && !named)
		return "data.object.id";
	if (c->kind == COMMAND_REFUND && c->object_id != NULL && !named)
		return "data.object.id";
	return NULL;
}

int stripe_event_read(const struct json *event, const char *body, struct stripe_event *e, const char **field)
{
	const struct json *object = json_get(json_get(event, "data"), "object");
	const struct json *livemode = json_get(event, "livemode");
	struct command_event *from = &e->command.event;

	memset(e, 0, sizeof(*e));
	e->order = e->reference = e->user = e->customer = "";
	from->provider = PROVIDER_STRIPE;
	from->id = text_at(event, "id");
	from->type = text_within(json_get(event, "type"), TYPE_MAX_BYTES);
	from->body = body;
	from->created_at_us = seconds_at(event, "created");
	e->connected = text_at(event, "account");
	*field = NULL;
	if (!is_type(text_at(event, "object"), "event"))
		*field = "object";
	else if (from->id[0] == '\0')
		*field = "id";
	else if (from->type[0] == '\0')
		*field = "type";
	else if (from->created_at_us == 0)
		*field = "created";
	else if (livemode == NULL || json_type(livemode) != JSON_BOOL)
		*field = "livemode";
	else if (object == NULL || json_type(object) != JSON_RECORD)
		*field = "data.object";
	if (*field != NULL)
		return -1;
	e->livemode = json_bool(livemode);
	read_object(e, from->type, object);
	if (e->command.kind == COMMAND_SUBSCRIPTION)
		e->command.subscription.changed = has_changed_items(event);
	set_livemode(e);
	*field = lacking(e);
	return *field == NULL ? 0 : -1;
}
