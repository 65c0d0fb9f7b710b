#include <string.h>

#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "worker/prober.h"

#define MODEL_MAX 100

static void print_probe(struct ctl *c, const struct probe_target *target, const struct probe_result *result)
{
	const struct probe_text *text = probe_text(result->state);
	struct listing *l = listing_new("probe");

	listing_row(l);
	listing_text(l, "provider", "provider", probe_provider_name(target->provider));
	listing_text(l, "model", "model", target->model);
	listing_text(l, "state", "state", text->name);
	listing_text(l, "code", "code", result->detail);
	listing_int(l, "httpStatus", "HTTP status", result->http_status);
	listing_int(l, "latencyMs", "milliseconds", result->latency_ms);
	listing_text(l, "message", "message", text->message);
	listing_text(l, "nextAction", "what to do", text->action);
	listing_print_single(l, c->json);
	listing_free(l);
}

/* Probes and stores the result.  Claims the provider first, so that no other process probes it now. */
static int check_and_store(struct ctl *c, const struct probe_target *target, struct probe_result *result)
{
	(void)ctl_ledger(c); /* makes the pool */
	switch (prober_check(c->pool, target, 0, result)) {
	case PROBER_NOTED:
		return CTL_OK;
	case PROBER_NOT_DUE:
		return ctl_fail("%s is being probed by another process; try again in half a minute",
		                probe_provider_name(target->provider));
	case PROBER_FAILED:
		break;
	}
	return ctl_fail("the database failed: nothing was stored");
}

int ctl_probe(struct ctl *c)
{
	const char *name = NULL, *model = NULL;
	bool store = false;
	const struct ctl_option options[] = {
		{.name = "--model", .value = &model},
		{.name = "--store", .flag = &store},
		{0},
	};
	enum probe_provider provider;
	struct probe_target target;
	struct probe_result result;

	if (ctl_arguments(c, options, &name, 1, 1) < 0)
		return CTL_FAILED;
	provider = probe_provider_find(name);
	if (provider == PROBE_PROVIDERS)
		return ctl_fail("the provider must be openai or anthropic, not '%s'", name);
	if (!prober_target(c->config, provider, &target))
		return ctl_fail("%s_api_key is empty: there is no key to probe", name);
	if (model != NULL && strlen(model) > MODEL_MAX)
		return ctl_fail("the name of the model is too long");
	if (model != NULL)
		target.model = model;
	if (!store)
		probe_run(&target, clock_monotonic_us() + PROBER_PATIENCE_US, &result);
	else if (check_and_store(c, &target, &result) != CTL_OK)
		return CTL_FAILED;
	print_probe(c, &target, &result);
	return probe_text(result.state)->up ? CTL_OK : CTL_NO;
}
