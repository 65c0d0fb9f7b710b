/*
 * webhooks: Stripe's events.  The signature is verified over the raw body before anything reads it.  200 is
 * answered once everything that the event causes is committed; after a failure in between, Stripe delivers
 * the event again.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/signature.h"
#include "inbox/inbox.h"
#include "routes/api/call.h"
#include "routes/api/render.h"
#include "routes/routes.h"

#define SIGNATURE_FIELD "Stripe-Signature"

static void refuse_webhook(struct call *c, const char *field, const char *message)
{
	const struct refusal r = {.outcome = OUTCOME_INVALID_REQUEST, .field = field, .message = message};

	render_refusal(c, &r);
}

/* False, rendered, when Stripe did not sign the body. */
static bool is_stripe_signed(struct call *c)
{
	const char *secrets = c->config->stripe_webhook_secret;
	const char *header = request_parameter(c->request, "HTTP_STRIPE_SIGNATURE");
	enum signature_verdict verdict;

	if (secrets[0] == '\0') {
		log_event(LOG_LEVEL_WARNING, "webhook_without_secret", LOG_TEXT("key", "stripe_webhook_secret"));
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return false;
	}
	verdict = signature_stripe(secrets, header, c->request->body, c->request->body_length,
	                           clock_wall_us() / CLOCK_US_PER_SECOND);
	if (verdict == SIGNATURE_GOOD)
		return true;
	log_event(LOG_LEVEL_WARNING, "webhook_refused", LOG_TEXT("provider", "stripe"),
	          LOG_TEXT("verdict", signature_verdict_name(verdict)));
	refuse_webhook(c, SIGNATURE_FIELD, NULL);
	return false;
}

void webhooks_stripe(struct call *c)
{
	const struct inbox in = {
		.ledger = c->ledger,
		.readers = c->readers,
		.plans = c->config->plan_prices,
		.livemode = inbox_livemode(c->config->stripe_secret_key),
	};
	char error[JSON_ERROR_MAX];
	struct inbox_result r;

	if (!is_stripe_signed(c))
		return;
	c->body = json_parse(c->request->body, c->request->body_length, false, error);
	if (c->body == NULL || json_type(c->body) != JSON_RECORD) {
		refuse_webhook(c, "body", c->body == NULL ? error : NULL);
		return;
	}
	inbox_take(&in, c->request->arena, c->body, c->request->body, c->request->deadline_us, &r);
	if (r.outcome == OUTCOME_OK)
		render_received(c);
	else if (r.outcome == OUTCOME_INVALID_REQUEST)
		refuse_webhook(c, r.field, NULL);
	else
		render_outcome(c, r.outcome);
}
