#include "worker/prober.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "queries/probes.h"

/* Longer than a probe takes: after that, another process may probe in place of one that died in its probe. */
#define LEASE_US (PROBER_PATIENCE_US + 20 * CLOCK_US_PER_SECOND)
#define POOL_PATIENCE_US (5 * CLOCK_US_PER_SECOND)
#define LOOK_EVERY_US (5 * CLOCK_US_PER_SECOND)
#define US_PER_MINUTE (60 * CLOCK_US_PER_SECOND)

bool prober_target(const struct config *c, enum probe_provider provider, struct probe_target *target)
{
	const bool openai = provider == PROBE_OPENAI;

	*target = (struct probe_target){
		.provider = provider,
		.api_base = openai ? c->openai_api_base : c->anthropic_api_base,
		.key = openai ? c->openai_api_key : c->anthropic_api_key,
		.model = openai ? c->probe_openai_model : c->probe_anthropic_model,
	};
	return target->key[0] != '\0';
}

static int claim_probe(struct pool *pool, const char *provider, int64_t every_us, struct probes_row *row)
{
	struct db *d = pool_take(pool, clock_monotonic_us() + POOL_PATIENCE_US);
	int result;

	if (d == NULL)
		return -1;
	result = probes_claim(d, provider, every_us, LEASE_US, row);
	pool_give(pool, d);
	return result;
}

static int note_probe(struct pool *pool, const char *provider, const struct probes_row *row, const char *from,
                      bool tell)
{
	struct db *d = pool_take(pool, clock_monotonic_us() + POOL_PATIENCE_US);
	int result;

	if (d == NULL)
		return -1;
	result = probes_note(d, provider, row, from, tell);
	pool_give(pool, d);
	return result;
}

static void tell_state(const char *provider, const char *from, const struct probe_result *result)
{
	const struct probe_text *text = probe_text(result->state);

	log_event(text->up ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "provider_state_changed",
	          LOG_TEXT("provider", provider),
	          LOG_TEXT("from", from[0] != '\0' ? from : probe_text(PROBE_UNCHECKED)->name),
	          LOG_TEXT("to", text->name), LOG_TEXT("detail", result->detail),
	          LOG_NUMBER("status", result->http_status));
}

enum prober_end prober_check(struct pool *pool, const struct probe_target *target, int64_t every_us,
                             struct probe_result *result)
{
	const char *provider = probe_provider_name(target->provider);
	struct probes_row row;
	char from[PROBES_STATE_MAX];
	int done = claim_probe(pool, provider, every_us, &row);
	bool moved;

	if (done <= 0)
		return done == 0 ? PROBER_NOT_DUE : PROBER_FAILED;
	probe_run(target, clock_monotonic_us() + PROBER_PATIENCE_US, result);
	(void)snprintf(from, sizeof(from), "%s", row.state);
	(void)snprintf(row.state, sizeof(row.state), "%s", probe_text(result->state)->name);
	(void)snprintf(row.detail, sizeof(row.detail), "%s", result->detail);
	row.http_status = result->http_status;
	row.latency_ms = result->latency_ms;
	moved = strcmp(from, row.state) != 0;
	/* The first state is news if it is bad. */
	done = note_probe(pool, provider, &row, moved ? from : NULL, from[0] != '\0' || !probe_text(result->state)->up);
	if (done > 0 && moved)
		tell_state(provider, from, result);
	return done > 0 ? PROBER_NOTED : done == 0 ? PROBER_NOT_DUE : PROBER_FAILED;
}

int prober_due(const struct config *c, struct pool *pool, int64_t *looks_us)
{
	const int64_t now_us = clock_monotonic_us();
	struct probe_target target;
	struct probe_result result;
	int probed = 0;

	if (c->probe_minutes == 0 || now_us < *looks_us)
		return 0;
	*looks_us = now_us + LOOK_EVERY_US;
	for (int provider = 0; provider < PROBE_PROVIDERS; provider++)
		if (prober_target(c, (enum probe_provider)provider, &target) &&
		    prober_check(pool, &target, c->probe_minutes * US_PER_MINUTE, &result) == PROBER_NOTED)
			probed++;
	return probed;
}
