#include <string.h>

#include "base/clock.h"
#include "clients/stripe.h"
#include "ctl/doctor/doctor.h"
#include "db/sql.h"
#include "ledger/sql_numbers.h"

#define PATIENCE_US (15 * CLOCK_US_PER_SECOND)
#define HTTPS "https://"
/* Stripe's Date header counts whole seconds; a webhook's signature is good for 300 s either way. */
#define SKEW_WARNING_US (30 * CLOCK_US_PER_SECOND)
#define SKEW_PROBLEM_US (240 * CLOCK_US_PER_SECOND)

static void check_pages(struct doctor *D)
{
	const struct config *config = D->ctl->config;

	if (config->topup_success_url[0] != '\0' || config->topup_url[0] != '\0' || config->public_url[0] != '\0')
		doctor_say(D, "stripe return page", DOCTOR_OK, "", "it is set");
	else
		doctor_say(D, "stripe return page", DOCTOR_PROBLEM, "set public_url, topup_url or topup_success_url",
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

static void check_stripe_clock(struct doctor *D, int64_t before_us, int64_t date_us)
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
	doctor_say(D, "stripe clock",
	           skew_us > SKEW_PROBLEM_US   ? DOCTOR_PROBLEM
	           : skew_us > SKEW_WARNING_US ? DOCTOR_WARNING
	                                       : DOCTOR_OK,
	           skew_us > SKEW_WARNING_US ? "synchronise this machine's clock: webhooks of another time are refused"
	                                     : "",
	           "%lld s from this machine's", (long long)(skew_us / CLOCK_US_PER_SECOND));
}

/* Reads one row of /v1/payment_intents, a list that octroictl stripe reconcile reads. */
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
		check_stripe_clock(D, before_us, call.date_us);
		break;
	case STRIPE_REFUSED:
		doctor_say(D, "stripe", DOCTOR_PROBLEM,
		           "correct stripe_secret_key; a restricted one needs the rights that README names",
		           "it answers %d: %s", call.status, call.error);
		check_stripe_clock(D, before_us, call.date_us);
		break;
	case STRIPE_LIMITED:
		doctor_say(D, "stripe", DOCTOR_WARNING, "try again later", "it limits the rate");
		break;
	case STRIPE_UNAVAILABLE:
		doctor_say(D, "stripe", DOCTOR_PROBLEM, "let this machine reach stripe_api_base", "%s: %s",
		           stripe.api_base, call.error);
		break;
	}
	stripe_call_free(&call);
}

/* ---- the webhook endpoint -------------------------------------------------------------------------- */

#define ROUTE "/api/webhooks/stripe"
#define MISSING_MAX 1024

/* The condition under which a type of events is needed: always, with plan_prices, or with any auto-recharge. */
enum need_of { NEED_ALWAYS, NEED_PLANS, NEED_RECHARGES, NEED_KINDS };

/* Types of events that the endpoint must send to octroi. */
static const struct {
	const char *type;
	enum need_of of;
} needed[] = {
	{"checkout.session.completed", NEED_ALWAYS},
	{"checkout.session.async_payment_succeeded", NEED_ALWAYS},
	{"charge.refunded", NEED_ALWAYS},
	{"charge.dispute.funds_withdrawn", NEED_ALWAYS},
	{"charge.dispute.funds_reinstated", NEED_ALWAYS},
	{"invoice.paid", NEED_ALWAYS},
	{"invoice_payment.paid", NEED_PLANS},
	{"customer.subscription.created", NEED_PLANS},
	{"customer.subscription.updated", NEED_PLANS},
	{"customer.subscription.deleted", NEED_PLANS},
	{"payment_method.attached", NEED_RECHARGES},
};

static int take_recharges(void *context, const struct db_row *row)
{
	*(bool *)context = db_int(row, 0) != 0;
	return CTL_OK;
}

/* False also if the tables cannot be read, which another check says. */
static bool has_recharges(struct doctor *D)
{
	bool any = false;
	struct buf sql;

	if (!D->tables)
		return false;
	buf_init(&sql, 256);
	sql_literal(&sql, "SELECT EXISTS (SELECT 1 FROM recharges WHERE state<>" SQL(RECHARGE_OFF) ")");
	if (ctl_rows(D->ctl, &sql, take_recharges, &any) != CTL_OK)
		any = false;
	buf_free(&sql);
	return any;
}

static bool is_ours(const struct json *endpoint)
{
	const char *url = json_get_text(endpoint, "url");
	const size_t length = strlen(url), route = strlen(ROUTE);

	return length > route && strcmp(url + length - route, ROUTE) == 0 &&
	       strcmp(json_get_text(endpoint, "status"), "enabled") == 0;
}

static bool hears(const struct json *endpoint, const char *type)
{
	const struct json *events = json_get(endpoint, "enabled_events");
	const size_t count = events != NULL && json_type(events) == JSON_LIST ? json_size(events) : 0;

	for (size_t i = 0; i < count; i++) {
		const struct json *event = json_at(events, i);
		const char *name = json_type(event) == JSON_TEXT ? json_text(event, NULL) : "";

		if (strcmp(name, "*") == 0 || strcmp(name, type) == 0)
			return true;
	}
	return false;
}

/* True if any endpoint of ours is told of events of the type.  *found counts our endpoints. */
static bool is_heard(const struct json *endpoints, const char *type, int *found)
{
	const size_t count = endpoints != NULL && json_type(endpoints) == JSON_LIST ? json_size(endpoints) : 0;
	bool heard = false;

	*found = 0;
	for (size_t i = 0; i < count; i++) {
		if (!is_ours(json_at(endpoints, i)))
			continue;
		++*found;
		heard = heard || hears(json_at(endpoints, i), type);
	}
	return heard;
}

static void compare_events(struct doctor *D, const struct json *endpoints)
{
	const bool needs[NEED_KINDS] = {[NEED_ALWAYS] = true,
	                                [NEED_PLANS] = D->ctl->config->plan_prices[0] != '\0',
	                                [NEED_RECHARGES] = has_recharges(D)};
	struct buf missing;
	int found = 0;

	buf_init(&missing, MISSING_MAX);
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (!needs[needed[i].of] || is_heard(endpoints, needed[i].type, &found))
			continue;
		buf_add_text(&missing, missing.length > 0 ? ", " : "");
		buf_add_text(&missing, needed[i].type);
	}
	if (found == 0)
		doctor_say(D, "stripe webhook", DOCTOR_WARNING, "make one, with the events that README names",
		           "Stripe has no enabled endpoint that ends in %s", ROUTE);
	else if (missing.length > 0)
		doctor_say(D, "stripe webhook", DOCTOR_PROBLEM, "enable these events on the endpoint at Stripe",
		           "it is not told of %s", buf_text(&missing));
	else
		doctor_say(D, "stripe webhook", DOCTOR_OK, "", "it is told of all that octroi needs");
	buf_free(&missing);
}

static void check_events(struct doctor *D)
{
	const struct stripe stripe = {
		.api_base = D->ctl->config->stripe_api_base,
		.secret_key = D->ctl->config->stripe_secret_key,
		.timeout_ms = D->ctl->config->stripe_timeout_ms,
	};
	struct stripe_call call;

	stripe_begin(&call, "/v1/webhook_endpoints", NULL, clock_monotonic_us() + PATIENCE_US);
	stripe_put_int(&call, "limit", 100);
	switch (stripe_send(&stripe, &call)) {
	case STRIPE_OK:
		compare_events(D, json_get(call.json, "data"));
		break;
	case STRIPE_REFUSED:
		doctor_say(D, "stripe webhook", DOCTOR_WARNING, "let the key read webhook endpoints",
		           "its events are not known: %s", call.error);
		break;
	case STRIPE_LIMITED:
	case STRIPE_UNAVAILABLE:
		doctor_say(D, "stripe webhook", DOCTOR_SKIPPED, "", "its events are not known: Stripe does not answer");
		break;
	}
	stripe_call_free(&call);
}

void doctor_stripe(struct doctor *D)
{
	if (D->ctl->config->stripe_secret_key[0] == '\0') {
		doctor_say(D, "stripe", DOCTOR_SKIPPED, "", "stripe_secret_key is empty: no top-ups");
		return;
	}
	/* A configuration without the webhook secret, or with a short one, is not loaded at all. */
	doctor_say(D, "stripe webhook secret", DOCTOR_OK, "", "it is set");
	check_pages(D);
	check_base(D);
	check_reachable(D);
	check_events(D);
}
