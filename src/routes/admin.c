/*
 * admin: the state of the platform itself, for an operator's pages.
 */
#include "base/check.h"
#include "clients/probe.h"
#include "queries/probes.h"
#include "routes/api/call.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"
#include "routes/routes.h"

/* ---- GET /api/admin/providers ---------------------------------------------------------------- */

static bool is_configured(const struct call *c, enum probe_provider provider)
{
	switch (provider) {
	case PROBE_OPENAI:
		return c->config->openai_api_key[0] != '\0';
	case PROBE_ANTHROPIC:
		return c->config->anthropic_api_key[0] != '\0';
	case PROBE_PROVIDERS:
		break;
	}
	UNREACHABLE("no such provider");
}

static void put_provider(struct json_writer *w, const struct call *c, enum probe_provider provider,
                         const struct probes_row *row)
{
	const enum probe_state state = probe_state_find(row->state);
	const struct probe_text *text = probe_text(state);

	json_open_record(w, NULL);
	json_put_text(w, "provider", probe_provider_name(provider));
	json_put_text(w, "state", text->name);
	json_put_text(w, "message", c->french ? text->message_french : text->message);
	json_put_text(w, "nextAction", c->french ? text->action_french : text->action);
	if (row->detail[0] != '\0')
		json_put_text(w, "code", row->detail);
	else
		json_put_null(w, "code");
	json_put_int(w, "httpStatus", row->http_status);
	json_put_int(w, "latencyMs", row->latency_ms);
	json_put_time(w, "checkedAt", row->checked_at_us);
	json_put_time(w, "changedAt", row->changed_at_us);
	json_put_bool(w, "configured", is_configured(c, provider));
	json_close_record(w);
}

void admin_providers(struct call *c)
{
	struct probes_row rows[PROBE_PROVIDERS];
	struct db *d = call_reader(c);
	struct json_writer w;
	int result = 0;

	if (d == NULL)
		return;
	for (int p = 0; p < PROBE_PROVIDERS && result == 0; p++)
		result = probes_read(d, probe_provider_name((enum probe_provider)p), &rows[p]);
	pool_give(c->readers, d);
	if (result < 0) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	render_open(c, &w);
	json_open_list(&w, "items");
	for (int p = 0; p < PROBE_PROVIDERS; p++)
		put_provider(&w, c, (enum probe_provider)p, &rows[p]);
	json_close_list(&w);
	render_close(&w);
}
