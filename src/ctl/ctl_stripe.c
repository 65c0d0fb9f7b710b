#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "inbox/reconcile.h"

#define ARENA_BYTES ((size_t)2 * 1024 * 1024)
#define SINCE_DEFAULT_US (INT64_C(7) * 24 * 3600 * CLOCK_US_PER_SECOND)

static void list_finding(void *context, const struct reconcile_finding *f)
{
	struct listing *l = context;

	listing_row(l);
	listing_text(l, "account", "account", f->account);
	listing_text(l, "topup", "top-up", f->order);
	listing_text(l, "object", "at Stripe", f->object);
	listing_text(l, "finding", "finding", f->finding);
	listing_text(l, "done", "done", f->done);
}

static void list_sums(const struct reconcile *R, struct listing *l)
{
	listing_row(l);
	listing_time(l, "since", "since", R->since_us);
	listing_int(l, "payments", "payments", (int64_t)R->count);
	listing_int(l, "foreign", "payments of others", R->foreign);
	listing_int(l, "credited", "credited now", R->credited);
	listing_int(l, "takenBack", "refunds and disputes booked now", R->taken_back);
	listing_int(l, "subscriptions", "subscription events taken in now", R->subscriptions);
	listing_int(l, "expired", "orders given up now", R->expired);
	listing_int(l, "stripeMinor", "Stripe's sum, in minor units", R->stripe_minor);
	listing_int(l, "ledgerMinor", "the ledger's sum", R->ledger_minor);
	listing_int(l, "differenceMinor", "difference", R->stripe_minor - R->ledger_minor);
	listing_int(l, "differences", "findings that remain", R->differences);
}

static int print_reconciled(const struct ctl *c, const struct reconcile *R, const struct listing *findings)
{
	struct listing *sums = listing_new("sums");
	struct json_writer w;
	struct buf out;
	int result = CTL_OK;

	list_sums(R, sums);
	if (c->json) {
		buf_init(&out, (size_t)64 << 20);
		json_writer_init(&w, &out);
		json_open_record(&w, NULL);
		listing_json(findings, &w);
		listing_json_single(sums, &w);
		json_close_record(&w);
		result = ctl_print(&out);
		buf_free(&out);
	} else {
		if (listing_rows(findings) > 0)
			listing_print_table(findings);
		listing_print_single(sums, false);
	}
	listing_free(sums);
	return result;
}

static int parse_since(struct ctl *c, struct reconcile *R, const char *text)
{
	if (ctl_now(c, &R->now_us) != CTL_OK)
		return CTL_FAILED;
	R->since_us = R->now_us - SINCE_DEFAULT_US;
	if (text != NULL && clock_parse(text, strlen(text), &R->since_us) != 0)
		return ctl_wrong("--since needs a time (2026-11-21, or RFC 3339), not \"%s\"", text);
	return R->since_us >= 0 ? CTL_OK : ctl_wrong("--since is before 1970");
}

static int explain_failure(const struct reconcile *R)
{
	return R->unavailable ? ctl_refuse(OUTCOME_UNAVAILABLE, "%s", R->error) : ctl_fail("%s", R->error);
}

int ctl_stripe_reconcile(struct ctl *c)
{
	const char *since = NULL;
	struct reconcile R = {
		.plans = c->config->plan_prices,
		.tell = list_finding,
		.stripe = {.api_base = c->config->stripe_api_base,
	                   .secret_key = c->config->stripe_secret_key,
	                   .timeout_ms = c->config->stripe_timeout_ms},
	};
	const struct ctl_option options[] = {
		{.name = "--since", .value = &since}, {.name = "--dry-run", .flag = &R.dry_run}, {0}};
	struct listing *findings;
	int result;

	if (ctl_arguments(c, options, NULL, 0, 0) < 0)
		return CTL_FAILED;
	if (R.stripe.secret_key[0] == '\0')
		return ctl_fail("stripe_secret_key is not set: there is nothing to compare with");
	if (parse_since(c, &R, since) != CTL_OK)
		return CTL_FAILED;
	R.arena = arena_new(ARENA_BYTES);
	if (R.arena == NULL)
		return ctl_fail("out of memory");
	R.db = ctl_db(c);
	R.ledger = ctl_ledger(c);
	R.readers = c->pool;
	R.context = findings = listing_new("findings");
	result = reconcile_run(&R) ? CTL_OK : explain_failure(&R);
	if (print_reconciled(c, &R, findings) != CTL_OK)
		result = CTL_FAILED;
	if (result == CTL_OK && R.differences > 0)
		result = CTL_NO;
	listing_free(findings);
	arena_free(R.arena);
	free(R.payments);
	return result;
}
