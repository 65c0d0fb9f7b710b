#include <stdio.h>

#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "options.h"
#include "worker/courier.h"
#include "worker/prober.h"
#include "worker/pruner.h"
#include "worker/watch.h"
#include "worker/worker.h"

#define SWEEP_MAX 256
/* Limits of one run, in rows of the outbox and in time; the next run does the remainder. */
#define WORK_MAX 1000
#define WORK_US (INT64_C(600) * 1000000)

static int64_t deadline(void)
{
	return clock_monotonic_us() + CTL_LEDGER_TIMEOUT_US;
}

/* Works on the due rows of the outbox; returns their number, or -1. */
static int work_once(struct ctl *c)
{
	const struct stripe stripe = {.api_base = c->config->stripe_api_base,
	                              .secret_key = c->config->stripe_secret_key,
	                              .timeout_ms = c->config->stripe_timeout_ms};
	const struct worker_options options = {
		.charge = {.ledger = ctl_ledger(c),
	                   .readers = c->pool,
	                   .stripe = stripe.secret_key[0] != '\0' ? &stripe : NULL,
	                   .product = c->config->topup_product},
		.pool = c->pool,
	};
	int64_t looks_us = 0;

	if (worker_review(&options) < 0 || worker_recharges(&options, &looks_us) < 0)
		return -1;
	return worker_run(&options, WORK_MAX, clock_monotonic_us() + WORK_US);
}

static int tell_once(struct ctl *c)
{
	char page[CONFIG_URL_MAX];
	struct courier_options options;

	config_topup_url(c->config, page);
	options = options_courier(c->config, c->pool, page);
	return courier_run(&options, WORK_MAX, clock_monotonic_us() + WORK_US);
}

/* Deletes what is too old; returns the number of rows, or -1. */
static int prune_all(struct ctl *c)
{
	struct pruner pruner = {0};
	int sum = 0, one;

	do {
		one = pruner_due(c->config, c->pool, &pruner);
		sum += one > 0 ? one : 0;
	} while (one >= 0 && pruner.looks_us != 0 && clock_monotonic_us() >= pruner.looks_us);
	return one < 0 ? -1 : sum;
}

int ctl_tick(struct ctl *c)
{
	int64_t touched = 0, pruned = 0, looks_us = 0, watches_us = 0;
	struct sweep_place place = {0};
	struct listing *l;
	int count, worked, told, old;

	if (ctl_arguments(c, NULL, NULL, 0, 0) < 0)
		return CTL_FAILED;
	do {
		count = ledger_sweep(ctl_ledger(c), &place, SWEEP_MAX, deadline());
		touched += count > 0 ? count : 0;
	} while (count > 0 || (count == 0 && place.begun));
	if (count < 0)
		return ctl_fail("the accounts that are due could not all be touched (%lld were)", (long long)touched);
	do {
		count = ledger_prune(ctl_ledger(c), deadline());
		pruned += count > 0 ? count : 0;
	} while (count > 0);
	if (count < 0)
		return ctl_fail("the markers of old batches could not all be removed (%lld were)", (long long)pruned);
	worked = work_once(c);
	if (worked < 0)
		return ctl_fail("what is due outside could not be read");
	if (watch_due(c->config, c->pool, &watches_us) < 0)
		return ctl_fail("the hours that are over could not be looked at");
	told = tell_once(c);
	if (told < 0)
		return ctl_fail("the alerts that are to be told could not be read");
	old = prune_all(c);
	if (old < 0)
		return ctl_fail("the alerts that are too old could not be deleted");
	l = listing_new("tick");
	listing_row(l);
	listing_int(l, "accounts", "due accounts touched", touched);
	listing_int(l, "batches", "old batch markers removed", pruned);
	listing_int(l, "outbox", "rows of the outbox worked on", worked);
	listing_int(l, "told", "alerts handed on, and posted", told);
	listing_int(l, "pruned", "old rows of alerts deleted", old);
	listing_int(l, "probes", "providers probed", prober_due(c->config, c->pool, &looks_us));
	listing_print_single(l, c->json);
	listing_free(l);
	return CTL_OK;
}
