/*
 * ops: for the operator of octroi: is it alive, is it ready, and its figures.
 */
#include "base/clock.h"
#include "base/digest.h"
#include "clients/probe.h"
#include "db/schema.h"
#include "edge/edge.h"
#include "queries/graces.h"
#include "queries/probes.h"
#include "routes/api/call.h"
#include "routes/api/etag.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"
#include "routes/metrics.h"
#include "routes/openapi.h"
#include "routes/overviews.h"
#include "routes/routes.h"
#include "worker/courier.h"
#include "worker/worker.h"

#include <string.h>

#define LENGTH(list) (sizeof(list) / sizeof((list)[0]))

void ops_openapi(struct call *c)
{
	unsigned char digest[DIGEST_BYTES];

	digest_sha256(openapi_json, strlen(openapi_json), digest);
	if (!etag_known(c, digest))
		buf_add_text(&c->response->body, openapi_json);
}

void ops_healthz(struct call *c)
{
	struct json_writer w;

	render_open(c, &w);
	json_put_text(&w, "status", "ok");
	render_close(&w);
}

void ops_readyz(struct call *c)
{
	struct json_writer w;
	struct db *d = call_reader(c);
	int version;

	if (d == NULL)
		return;
	version = schema_version(d);
	pool_give(c->readers, d);
	if (version != SCHEMA_VERSION) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	render_open(c, &w);
	json_put_text(&w, "status", "ready");
	json_put_int(&w, "schemaVersion", version);
	render_close(&w);
}

/* ---- GET /metrics ---------------------------------------------------------------------------- */

static void write_batches(const struct ledger_counts *counts, struct buf *out)
{
	int64_t sum = 0;

	metrics_head(out, "octroi_batch_commands", "histogram", "Commands combined into one transaction.");
	for (size_t i = 0; i < LENGTH(counts->batch_size); i++) {
		sum += counts->batch_size[i];
		if (i + 1 < LENGTH(counts->batch_size))
			buf_printf(out, "octroi_batch_commands_bucket{le=\"%d\"} %lld\n", 1 << i, (long long)sum);
	}
	buf_printf(out, "octroi_batch_commands_bucket{le=\"+Inf\"} %lld\n", (long long)sum);
	buf_printf(out, "octroi_batch_commands_sum %lld\n", (long long)counts->commands);
	buf_printf(out, "octroi_batch_commands_count %lld\n", (long long)sum);
}

static void write_work(struct buf *out)
{
	struct worker_counts counts;

	worker_count(&counts);
	metrics_head(out, "octroi_charges_total", "counter", "Statements charged by this process, by how that ended.");
	buf_printf(out, "octroi_charges_total{end=\"paid\"} %lld\n", (long long)counts.paid);
	buf_printf(out, "octroi_charges_total{end=\"declined\"} %lld\n", (long long)counts.declined);
	buf_printf(out, "octroi_charges_total{end=\"later\"} %lld\n", (long long)counts.later);
	metrics_value(out, "octroi_outbox_parked_total", "counter", "Rows of the outbox that were given up.",
	              counts.parked);
	metrics_value(out, "octroi_soft_limits_total", "counter", "Accounts that fell below their soft limit.",
	              counts.soft_limits);
	metrics_value(out, "octroi_recharges_total", "counter", "Charges of auto-recharge that this process booked.",
	              counts.recharges);
}

static void write_messages(struct buf *out)
{
	struct courier_counts counts;

	courier_count(&counts);
	metrics_head(out, "octroi_deliveries_total", "counter", "Alerts posted to endpoints, by how that ended.");
	buf_printf(out, "octroi_deliveries_total{end=\"taken\"} %lld\n", (long long)counts.posted);
	buf_printf(out, "octroi_deliveries_total{end=\"failed\"} %lld\n", (long long)counts.failed);
	metrics_value(out, "octroi_deliveries_given_up_total", "counter",
	              "Alerts that an endpoint did not take in a week.", counts.given_up);
	metrics_head(out, "octroi_mails_total", "counter", "Mails of alerts, by how that ended, for each address.");
	buf_printf(out, "octroi_mails_total{end=\"sent\"} %lld\n", (long long)counts.mails_sent);
	buf_printf(out, "octroi_mails_total{end=\"refused\"} %lld\n", (long long)counts.mails_refused);
	metrics_value(out, "octroi_mails_given_up_total", "counter", "Mails that no server took in three days.",
	              counts.mails_failed);
	metrics_value(out, "octroi_endpoints_disabled_total", "counter", "Endpoints that were switched off.",
	              counts.switched_off);
}

static void write_ledger(struct ledger *l, struct buf *out)
{
	struct ledger_counts counts;

	ledger_count(l, &counts);
	write_batches(&counts, out);
	metrics_value(out, "octroi_queue_commands", "gauge", "Commands waiting for a batch.", counts.queued);
	metrics_value(out, "octroi_batch_retries_total", "counter", "Batches run again after a conflict.",
	              counts.retries);
	metrics_value(out, "octroi_batch_splits_total", "counter", "Batches split after a failure.", counts.splits);
	metrics_value(out, "octroi_unknown_commits_total", "counter", "Commits whose answer was lost.",
	              counts.unknown_commits);
	metrics_value(out, "octroi_incomplete_usages_total", "counter",
	              "Settlements that are flagged usageIncomplete: a price or a count is missing.",
	              counts.incomplete);
	metrics_value(out, "octroi_grace_uses_total", "counter", "Uses of a grace that were booked.",
	              counts.grace_uses);
	metrics_value(out, "octroi_grace_used_micros_total", "counter", "What the places had counted for these.",
	              counts.grace_micros);
	metrics_value(out, "octroi_queue_refusals_total", "counter", "Commands refused because the queue was full.",
	              counts.refused_full);
	if (counts.open_holds >= 0)
		metrics_value(out, "octroi_open_holds", "gauge",
		              "Holds that have not ended, by the last look at all accounts.", counts.open_holds);
	write_work(out);
	write_messages(out);
	metrics_head(out, "octroi_ledger_outcomes_total", "counter", "Commands by how they ended.");
	for (int o = 0; o < OUTCOME_COUNT; o++)
		if (counts.outcome[o] > 0)
			buf_printf(out, "octroi_ledger_outcomes_total{outcome=\"%s\"} %lld\n",
			           outcome_name((enum outcome)o), (long long)counts.outcome[o]);
}

/* Writes the results of the probes.  A provider that was never probed has no lines. */
static void write_providers(struct db *d, struct buf *out)
{
	struct probes_row rows[PROBE_PROVIDERS];

	for (int p = 0; p < PROBE_PROVIDERS; p++)
		if (probes_read(d, probe_provider_name((enum probe_provider)p), &rows[p]) < 0)
			return;
	metrics_head(out, "octroi_provider_up", "gauge",
	             "Whether the platform's key at the provider served the last probe.");
	for (int p = 0; p < PROBE_PROVIDERS; p++)
		if (rows[p].checked_at_us > 0)
			buf_printf(out, "octroi_provider_up{provider=\"%s\"} %d\n",
			           probe_provider_name((enum probe_provider)p),
			           probe_text(probe_state_find(rows[p].state))->up ? 1 : 0);
	metrics_head(out, "octroi_provider_state", "gauge", "Constant 1; what the last probe found is the label.");
	for (int p = 0; p < PROBE_PROVIDERS; p++)
		if (rows[p].checked_at_us > 0)
			buf_printf(out, "octroi_provider_state{provider=\"%s\",state=\"%s\"} 1\n",
			           probe_provider_name((enum probe_provider)p),
			           probe_text(probe_state_find(rows[p].state))->name);
	metrics_head(out, "octroi_provider_checked_timestamp_seconds", "gauge", "Time of the last probe.");
	for (int p = 0; p < PROBE_PROVIDERS; p++)
		if (rows[p].checked_at_us > 0)
			buf_printf(out, "octroi_provider_checked_timestamp_seconds{provider=\"%s\"} %lld\n",
			           probe_provider_name((enum probe_provider)p),
			           (long long)(rows[p].checked_at_us / CLOCK_US_PER_SECOND));
}

/* Writes what places may still book: the most that can be lost by now. */
static void write_graces(struct db *d, struct buf *out)
{
	struct graces_sums sums;

	if (graces_sum(d, &sums) < 0)
		return;
	metrics_head(out, "octroi_grace_accounts", "gauge", "Accounts of which a place may book uses of a grace.");
	buf_printf(out, "octroi_grace_accounts{unit=\"money\"} %lld\n", (long long)sums.money.accounts);
	buf_printf(out, "octroi_grace_accounts{unit=\"credit\"} %lld\n", (long long)sums.credit.accounts);
	metrics_head(out, "octroi_grace_out_micros", "gauge", "What these uses may come to.");
	buf_printf(out, "octroi_grace_out_micros{unit=\"money\"} %lld\n", (long long)sums.money.out_micros);
	buf_printf(out, "octroi_grace_out_micros{unit=\"credit\"} %lld\n", (long long)sums.credit.out_micros);
}

static void write_database(struct call *c, struct buf *out)
{
	struct db *d = pool_take(c->readers, c->request->deadline_us);
	struct db_counts counts;
	int up = 0;

	if (d != NULL) {
		up = schema_version(d) >= 0 ? 1 : 0;
		if (up == 1) {
			write_providers(d, out);
			write_graces(d, out);
		}
		pool_give(c->readers, d);
	}
	db_count(&counts);
	metrics_value(out, "octroi_database_up", "gauge", "Whether the database answers.", up);
	metrics_value(out, "octroi_database_queries_total", "counter", "Statements sent.", counts.queries);
	metrics_value(out, "octroi_database_connects_total", "counter", "Connections opened.", counts.connects);
	metrics_value(out, "octroi_database_retries_total", "counter", "Deadlocks and lock timeouts.", counts.retries);
	metrics_value(out, "octroi_database_lost_total", "counter", "Connections lost or refused.", counts.lost);
	metrics_value(out, "octroi_database_errors_total", "counter", "Statements that failed otherwise.",
	              counts.faults);
}

static void write_overviews(struct overviews *o, struct buf *out)
{
	metrics_value(out, "octroi_credits_waiting", "gauge", "Calls of GET /api/credits that wait for the database.",
	              overviews_waiting(o));
}

static void write_edge(struct edge *e, struct buf *out)
{
	struct edge_counts counts;

	if (e == NULL)
		return;
	edge_count(e, &counts);
	metrics_value(out, "octroi_edge_connections", "gauge", "FastCGI connections open.", counts.connections);
	metrics_value(out, "octroi_edge_accepted_total", "counter", "FastCGI connections accepted.", counts.accepted);
	metrics_value(out, "octroi_edge_served_total", "counter", "FastCGI requests answered.", counts.served);
	metrics_value(out, "octroi_edge_refused_total", "counter", "FastCGI connections refused or cut as malformed.",
	              counts.refused);
	metrics_value(out, "octroi_edge_timed_out_total", "counter", "FastCGI connections cut for being slow.",
	              counts.timed_out);
}

void ops_metrics(struct call *c)
{
	struct buf *out = &c->response->body;

	c->response->content_type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_head(out, "octroi_build_info", "gauge", "Constant 1; the version is the label.");
	buf_add_text(out, "octroi_build_info{version=\"" OCTROI_VERSION "\"} 1\n");
	metrics_write(c->metrics, out);
	write_ledger(c->ledger, out);
	write_database(c, out);
	write_overviews(c->overviews, out);
	write_edge(c->edge, out);
}
