#include <stdio.h>

#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "worker/prober.h"

#define SWEEP_MAX 256

static int64_t deadline(void)
{
	return clock_monotonic_us() + CTL_LEDGER_TIMEOUT_US;
}

int ctl_tick(struct ctl *c)
{
	int64_t touched = 0, pruned = 0, looks_us = 0;
	struct listing *l;
	int count;

	if (ctl_arguments(c, NULL, NULL, 0, 0) < 0)
		return CTL_FAILED;
	do {
		count = ledger_sweep(ctl_ledger(c), SWEEP_MAX, deadline());
		touched += count > 0 ? count : 0;
	} while (count > 0);
	if (count < 0)
		return ctl_fail("the accounts that are due could not all be touched (%lld were)",
		                (long long)touched);
	do {
		count = ledger_prune(ctl_ledger(c), deadline());
		pruned += count > 0 ? count : 0;
	} while (count > 0);
	if (count < 0)
		return ctl_fail("the markers of old batches could not all be removed (%lld were)",
		                (long long)pruned);
	l = listing_new("tick");
	listing_row(l);
	listing_int(l, "accounts", "due accounts touched", touched);
	listing_int(l, "batches", "old batch markers removed", pruned);
	listing_int(l, "probes", "providers probed", prober_due(c->config, c->pool, &looks_us));
	listing_print_single(l, c->json);
	listing_free(l);
	return CTL_OK;
}
