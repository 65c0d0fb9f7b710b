#include <string.h>

#include "base/clock.h"
#include "ctl/doctor.h"
#include "outbox/stripe.h"

#define PATIENCE_US (15 * CLOCK_US_PER_SECOND)
#define HTTPS "https://"
/* Stripe's Date header counts whole seconds; a webhook's signature is good for 300 s either way. */
#define SKEW_WARNING_US (30 * CLOCK_US_PER_SECOND)
#define SKEW_PROBLEM_US (240 * CLOCK_US_PER_SECOND)

static void check_pages(struct doctor *D)
{
	const struct config *config = D->ctl->config;

	if (config->topup_success_url[0] != '\0' || config->topup_url[0] != '\0' ||
	    config->public_url[0] != '\0')
		doctor_say(D, "stripe return page", DOCTOR_OK, "", "it is set");
	else
		doctor_say(D, "stripe return page", DOCTOR_PROBLEM,
		           "set public_url, topup_url or topup_success_url",
		           "customers could not come back from the payment page: no top-ups");
}

static void check_base(struct doctor *D)
{
	const char *base = D->ctl->config->stripe_api_base;

	if (strncmp(base, HTTPS, strlen(HTTPS)) != 0)
		doctor_say(D, "stripe address", DOCTOR_WARNING,
		           "set stripe_api_base to https://api.stripe.com, unless this is a test",
		           "%s is not https: the secret key travels in clear", base);
}

static void check_clock(struct doctor *D, int64_t before_us, int64_t date_us)
{
	const int64_t now_us = clock_wall_us();
	int64_t skew_us = 0;

	if (date_us == 0) {
		doctor_say(D, "stripe clock", DOCTOR_SKIPPED, "", "Stripe sent no Date header");
		return;
	}
	if (date_us + CLOCK_US_PER_SECOND < before_us)
		skew_us = before_us - date_us - CLOCK_US_PER_SECOND;
	if (date_us > now_us)
		skew_us = date_us - now_us;
	doctor_say(
		D, "stripe clock",
		skew_us > SKEW_PROBLEM_US   ? DOCTOR_PROBLEM
		: skew_us > SKEW_WARNING_US ? DOCTOR_WARNING
					    : DOCTOR_OK,
		skew_us > SKEW_WARNING_US
			? "synchronise this machine's clock: webhooks of another time are refused"
			: "",
		"%lld s from this machine's", (long long)(skew_us / CLOCK_US_PER_SECOND));
}

/* What octroictl stripe reconcile reads first. */
static void check_reachable(struct doctor *D)
{
	const struct stripe stripe = {
		.api_base = D->ctl->config->stripe_api_base,
		.secret_key = D->ctl->config->stripe_secret_key,
		.timeout_ms = D->ctl->config->stripe_timeout_ms,
	};
	const int64_t before_us = clock_wall_us();
	struct stripe_call call;

	stripe_begin(&call, "/v1/payment_intents", NULL, clock_monotonic_us() + PATIENCE_US);
	stripe_put_int(&call, "limit", 1);
	switch (stripe_send(&stripe, &call)) {
	case STRIPE_OK:
		doctor_say(D, "stripe", DOCTOR_OK, "", "it answers, and accepts the %s key",
		           stripe_is_live(&stripe) ? "live" : "test");
		check_clock(D, before_us, call.date_us);
		break;
	case STRIPE_REFUSED:
		doctor_say(
			D, "stripe", DOCTOR_PROBLEM,
			"correct stripe_secret_key; a restricted one needs the rights that README names",
			"it answers %d: %s", call.status, call.error);
		check_clock(D, before_us, call.date_us);
		break;
	case STRIPE_LIMITED:
		doctor_say(D, "stripe", DOCTOR_WARNING, "try again later", "it limits the rate");
		break;
	case STRIPE_UNAVAILABLE:
		doctor_say(D, "stripe", DOCTOR_PROBLEM, "let this machine reach stripe_api_base",
		           "%s: %s", stripe.api_base, call.error);
		break;
	}
	stripe_call_free(&call);
}

void doctor_stripe(struct doctor *D)
{
	if (D->ctl->config->stripe_secret_key[0] == '\0') {
		doctor_say(D, "stripe", DOCTOR_SKIPPED, "",
		           "stripe_secret_key is empty: no top-ups");
		return;
	}
	/* A configuration without it, or with a short one, is not loaded at all. */
	doctor_say(D, "stripe webhook secret", DOCTOR_OK, "", "it is set");
	check_pages(D);
	check_base(D);
	check_reachable(D);
}
