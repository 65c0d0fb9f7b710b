#include "meter/meter_metrics.h"

static void put_metric(struct buf *out, const char *name, const char *type, const char *help, int64_t value)
{
	buf_printf(out, "# HELP octroi_meter_%s %s\n# TYPE octroi_meter_%s %s\noctroi_meter_%s %lld\n", name, help,
	           name, type, name, (long long)value);
}

/* One line for each value of the label. */
static void put_labels(struct buf *out, const char *name, const char *help, const char *label,
                       const char *const *values, const int64_t *counts, int count)
{
	buf_printf(out, "# HELP octroi_meter_%s %s\n# TYPE octroi_meter_%s counter\n", name, help, name);
	for (int i = 0; i < count; i++)
		if (values[i] != NULL)
			buf_printf(out, "octroi_meter_%s{%s=\"%s\"} %lld\n", name, label, values[i],
			           (long long)counts[i]);
}

void meter_metrics(struct relays *all, struct buf *out)
{
	static const char *const statuses[] = {"none", NULL, "2xx", NULL, "4xx", "5xx"};
	static const char *const outcomes[] = {"complete", "partial", "failed"};
	static const char *const policies[] = {"close", "drain"};
	const struct relay_counts *c = &all->counts;
	const int64_t aborted[] = {c->closed, c->drained};

	put_metric(out, "streams", "gauge", "Requests that have begun and not ended.", c->streams);
	put_metric(out, "draining", "gauge", "Answers that are read without a client.", c->draining);
	put_labels(out, "requests_total", "Requests that have ended.", "status", statuses, c->answered, 6);
	put_labels(out, "settled_total", "Settlements.", "outcome", outcomes, c->settled, 3);
	put_metric(out, "estimated_total", "counter", "Settlements without a usage of the provider.", c->estimated);
	put_labels(out, "aborted_total", "Answers whose client went.", "policy", policies, aborted, 2);
	put_metric(out, "drained_bytes_total", "counter", "Bytes that were read without a client.", c->drained_bytes);
	put_metric(out, "spool_depth", "gauge", "Settlements and bookings without octroi's answer.",
	           spool_depth(all->spool));
	put_metric(out, "grace_uses_total", "counter", "Requests that went out by a grace.", c->graces);
	put_metric(out, "grace_unbooked_micros", "gauge", "Sum of the uses of graces without octroi's answer.",
	           spool_unbooked_micros(all->spool));
	put_metric(out, "grace_refused_total", "counter", "Uses of graces that octroi did not book.",
	           c->graces_refused);
	put_metric(out, "grace_refused_micros_total", "counter", "Sum of these uses, which are lost.", c->lost_micros);
	put_metric(out, "octroi_errors_total", "counter", "Requests that octroi did not answer, or with 5xx.",
	           asker_errors(all->asker));
	put_metric(out, "provider_errors_total", "counter", "Answers of providers that were none, or broke off.",
	           c->provider_errors);
}
