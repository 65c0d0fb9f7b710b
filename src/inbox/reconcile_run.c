#include "base/clock.h"
#include "inbox/reconcile.h"

static void with_charge(struct stripe_call *call)
{
	stripe_put(call, "expand[0]", "data.latest_charge");
}

static void of_subscriptions(struct stripe_call *call)
{
	stripe_put(call, "types[0]", "customer.subscription.created");
	stripe_put(call, "types[1]", "customer.subscription.updated");
	stripe_put(call, "types[2]", "customer.subscription.deleted");
	stripe_put(call, "types[3]", "invoice.paid");
	stripe_put(call, "types[4]", "invoice_payment.paid");
}

/* Takes the event in as a webhook.  The newest event of a subscription sets its plan; an invoice gives a period.  An
 * event from before changes nothing. */
static void take_listed_event(struct reconcile *R, const struct json *event)
{
	const struct inbox in = reconcile_inbox(R);
	struct inbox_result r;
	struct buf body;

	if (R->dry_run)
		return;
	buf_init(&body, (size_t)1 << 20);
	json_dump(event, &body);
	if (buf_ok(&body)) {
		inbox_take(&in, R->arena, event, buf_text(&body), clock_monotonic_us() + RECONCILE_PATIENCE_US, &r);
		if (r.outcome == OUTCOME_OK && !r.replayed && r.state == EVENT_APPLIED) {
			R->subscriptions++;
			reconcile_tell(R, &r.account, 0, json_get_text(event, "id"),
			               "an event of a subscription was missing", "taken in");
		}
		if (r.outcome == OUTCOME_UNAVAILABLE)
			reconcile_unanswered(R);
	}
	buf_free(&body);
}

bool reconcile_run(struct reconcile *R)
{
	/* Events come first: they make known the owners of payments for subscriptions. */
	reconcile_api_each(R, "/v1/events", of_subscriptions, take_listed_event);
	reconcile_api_each(R, "/v1/payment_intents", with_charge, reconcile_orders_payment);
	reconcile_orders_paid(R);
	reconcile_statements(R);
	reconcile_api_each(R, "/v1/refunds", NULL, reconcile_orders_refund);
	reconcile_api_each(R, "/v1/disputes", NULL, reconcile_orders_dispute);
	reconcile_orders_open(R);
	reconcile_orders_compare(R);
	return !R->failed;
}
