#include "routes/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/money.h"

#define LENGTH(list) (sizeof(list) / sizeof((list)[0]))

static const struct {
	const char *method, *pattern;
} routes[METRICS_ROUTES] = {
#define ROUTE(method, pattern, caller, listener, handler, cost, rows) {#method, pattern},
#include "routes/routes.def"
#undef ROUTE
	{"", ""},
};

/* 0 stands for all others. */
static const int statuses[] = {200, 204, 400, 401, 402, 403, 404, 405, 409, 413, 415, 422, 429, 503, 0};

/* Routes that do the same kind of work share a histogram; the last is for all others. */
static const struct {
	const char *name, *prefix;
} classes[] = {
	{"guard", "/api/guard/"},
	{"credits", "/api/credits"},
	{"pricing", "/api/pricing"},
	{"accounts", "/api/accounts/"},
	{"other", ""},
};

static const struct {
	int64_t us;
	const char *seconds;
} buckets[] = {
	{500, "0.0005"},  {1000, "0.001"},  {2500, "0.0025"}, {5000, "0.005"},  {10000, "0.01"},
	{25000, "0.025"}, {50000, "0.05"},  {100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"},
	{1000000, "1"},   {2500000, "2.5"}, {5000000, "5"},   {10000000, "10"},
};

struct histogram {
	int64_t bucket[LENGTH(buckets) + 1]; /* the last: longer than all */
	int64_t sum_us;
};

/* Every number is atomic. */
struct metrics {
	int64_t requests[METRICS_ROUTES][LENGTH(statuses)];
	int64_t outcomes[OUTCOME_COUNT];
	struct histogram durations[LENGTH(classes)];
};

struct metrics *metrics_new(void)
{
	return memory_part("metrics", sizeof(struct metrics));
}

void metrics_free(struct metrics *m)
{
	free(m);
}

static void add_metric(int64_t *counter, int64_t amount)
{
	__atomic_fetch_add(counter, amount, __ATOMIC_RELAXED);
}

static int64_t get_figure(const int64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static size_t status_place(int status)
{
	size_t place = 0;

	while (statuses[place] != status && statuses[place] != 0)
		place++;
	return place;
}

static size_t class_place(const char *pattern)
{
	size_t place = 0;

	while (strncmp(pattern, classes[place].prefix, strlen(classes[place].prefix)) != 0)
		place++;
	return place;
}

static size_t bucket_place(int64_t duration_us)
{
	size_t place = 0;

	while (place < LENGTH(buckets) && duration_us > buckets[place].us)
		place++;
	return place;
}

void metrics_note(struct metrics *m, enum metrics_route route, int status, enum outcome outcome, int64_t duration_us)
{
	struct histogram *h = &m->durations[class_place(routes[route].pattern)];

	add_metric(&m->requests[route][status_place(status)], 1);
	add_metric(&m->outcomes[outcome], 1);
	add_metric(&h->bucket[bucket_place(duration_us)], 1);
	add_metric(&h->sum_us, duration_us);
}

void metrics_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_value(struct buf *out, const char *name, const char *type, const char *help, int64_t value)
{
	metrics_head(out, name, type, help);
	buf_printf(out, "%s %lld\n", name, (long long)value);
}

static void write_requests(const struct metrics *m, struct buf *out)
{
	metrics_head(out, "octroi_requests_total", "counter", "Requests answered.");
	for (int route = 0; route < METRICS_ROUTES; route++)
		for (size_t s = 0; s < LENGTH(statuses); s++) {
			int64_t count = get_figure(&m->requests[route][s]);

			if (count == 0)
				continue;
			buf_printf(out,
			           "octroi_requests_total{method=\"%s\",route=\"%s\",status=\"%d\"}"
			           " %lld\n",
			           routes[route].method, routes[route].pattern, statuses[s], (long long)count);
		}
}

static void write_outcomes(const struct metrics *m, struct buf *out)
{
	metrics_head(out, "octroi_outcomes_total", "counter", "Requests by how they ended.");
	for (int o = 0; o < OUTCOME_COUNT; o++)
		buf_printf(out, "octroi_outcomes_total{outcome=\"%s\"} %lld\n", outcome_name((enum outcome)o),
		           (long long)get_figure(&m->outcomes[o]));
}

static void write_duration(const struct histogram *h, const char *class, struct buf *out)
{
	char sum[MONEY_TEXT_MAX];
	int64_t count = 0;

	for (size_t b = 0; b <= LENGTH(buckets); b++) {
		count += get_figure(&h->bucket[b]);
		buf_printf(out, "octroi_request_duration_seconds_bucket{class=\"%s\",le=\"%s\"} %lld\n", class,
		           b < LENGTH(buckets) ? buckets[b].seconds : "+Inf", (long long)count);
	}
	decimal_format(get_figure(&h->sum_us), 6, 0, sum);
	buf_printf(out, "octroi_request_duration_seconds_sum{class=\"%s\"} %s\n", class, sum);
	buf_printf(out, "octroi_request_duration_seconds_count{class=\"%s\"} %lld\n", class, (long long)count);
}

void metrics_write(const struct metrics *m, struct buf *out)
{
	write_requests(m, out);
	write_outcomes(m, out);
	metrics_head(out, "octroi_request_duration_seconds", "histogram", "From a request's first byte to its answer.");
	for (size_t c = 0; c < LENGTH(classes); c++)
		write_duration(&m->durations[c], classes[c].name, out);
}
