/*
 * octroi: the FastCGI responder.  Reads the configuration, builds the parts, runs them until a signal says to stop,
 * and takes them down.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "base/zone.h"
#include "config.h"
#include "db/hosts.h"
#include "db/pool.h"
#include "edge/edge.h"
#include "options.h"
#include "routes/auth/token.h"
#include "routes/router.h"
#include "sockets.h"
#include "worker/courier.h"
#include "worker/housekeeper.h"
#include "worker/threads.h"
#include "worker/worker.h"

#define THREADS_DEFAULT 64
#define DRAIN_MS 5000
#define STATEMENT_PERCENT 90 /* of db_timeout_ms: the database gives up a read before the connection's timeout */
#define TICK_US CLOCK_US_PER_SECOND
/* malloc would give each of hundreds of threads an arena of its own, which keeps the memory of its busiest moment. */
#define MALLOC_ARENAS 2

/* A process of mod_fcgid serves one request at a time and is killed 3 s after SIGTERM.  It is one of many, so it
 * should not keep a database connection that it does not use. */
#define STDIN_THREADS 1
#define STDIN_DRAIN_MS 2500
#define STDIN_DB_IDLE_MS 10000

struct program {
	struct config config;
	struct sockets sockets;
	const char *sandbox; /* for the log */
	struct db_options database;
	struct threads *lookout; /* looks for the primary each second; NULL without a list of hosts */
	struct pool *writers;    /* the ledger's alone: a change lasts by COMMIT only */
	struct pool *readers;    /* the routes'; equal to writers when there is only one connection */
	struct pool *key_reader; /* for API keys; equal to writers where readers is */
	struct ledger *ledger;
	struct router *router;
	struct edge *edge;
	struct stripe stripe;
	struct worker_options work;
	struct worker *worker;     /* NULL on fd 0, where the housekeeper does its work */
	char page[CONFIG_URL_MAX]; /* where customers top up */
	struct courier_options tell;
	struct courier *courier; /* the same */
	struct housekeeper *housekeeper;
	int64_t served; /* requests, when the housekeeper last looked */
};

static int complain_start(const char *what, const char *why)
{
	fprintf(stderr, "octroi: %s%s%s\n", what, why[0] != '\0' ? ": " : "", why);
	return -1;
}

/* ---- the parts ------------------------------------------------------------------------------------ */

static int look_out(struct threads *t, int thread, void *context)
{
	struct hosts_seen seen;

	(void)t;
	(void)thread;
	hosts_look(context, &seen);
	return 0;
}

/* Looks for the primary at once, and from then on each second. */
static int start_lookout(struct program *p)
{
	p->database = options_database(&p->config);
	p->database.fenced = true;
	if (!hosts_listed(&p->database))
		return 0;
	hosts_find(&p->database);
	p->lookout = threads_start(&(struct threads_options){
		.part = "lookout", .count = 1, .apart = 1, .step = look_out, .context = &p->database});
	return p->lookout != NULL ? 0 : -1;
}

/* False while a look still waits for a host at the deadline. */
static bool stop_lookout(struct program *p, int64_t deadline_us)
{
	if (!threads_stop(p->lookout, deadline_us))
		return false;
	p->lookout = NULL;
	return true;
}

static int make_pools(struct program *p)
{
	const struct config *c = &p->config;
	struct db_options options = p->database;
	bool one = p->sockets.from == SOCKETS_STDIN && c->db_connections == 0;

	options.manual_commit = !one;
	p->writers = pool_new(&options, one ? 1 : LEDGER_CONNECTIONS);
	if (p->writers == NULL)
		return -1;
	options.manual_commit = false;
	options.statement_ms = c->db_timeout_ms * STATEMENT_PERCENT / 100;
	p->readers = one ? p->writers : pool_new(&options, config_connections(c));
	p->key_reader = one ? p->writers : pool_new(&options, 1);
	return p->readers != NULL && p->key_reader != NULL ? 0 : -1;
}

static int thread_count(const struct program *p)
{
	if (p->config.threads > 0)
		return (int)p->config.threads;
	return p->sockets.from == SOCKETS_STDIN ? STDIN_THREADS : THREADS_DEFAULT;
}

static int make_ledger(struct program *p)
{
	struct ledger_options options = options_ledger(&p->config, p->writers);

	/* A single thread has no use for commit threads. */
	options.commit_threads = thread_count(p) > 1;
	p->ledger = ledger_new(&options);
	return p->ledger != NULL ? 0 : -1;
}

static int start_edge(struct program *p)
{
	const struct config *c = &p->config;
	const struct edge_options options = {
		.public_fd = p->sockets.public_fd,
		.internal_fd = p->sockets.internal_fd,
		.threads = thread_count(p),
		.connections_max = (int)c->connections_max,
		.request_timeout_ms = c->request_timeout_ms,
		.overrun_ms = c->db_timeout_ms + 1000, /* a statement that the database has begun ends in this */
		.idle_timeout_ms = c->idle_timeout_ms,
		.handler = router_handle,
		.context = p->router,
	};

	p->edge = edge_start(&options);
	if (p->edge == NULL)
		return -1;
	router_set_edge(p->router, p->edge);
	log_event(LOG_LEVEL_INFO, "started", LOG_TEXT("version", OCTROI_VERSION), LOG_TEXT("config", c->path),
	          LOG_TEXT("sockets", sockets_name(&p->sockets)), LOG_TEXT("listen", c->listen),
	          LOG_TEXT("listen_internal", c->listen_internal), LOG_NUMBER("threads", options.threads),
	          LOG_TEXT("sandbox", p->sandbox));
	return 0;
}

/* Sets up the work outside.  Its threads are started after the edge. */
static void set_work(struct program *p)
{
	const struct config *c = &p->config;

	p->stripe = (struct stripe){
		.api_base = c->stripe_api_base, .secret_key = c->stripe_secret_key, .timeout_ms = c->stripe_timeout_ms};
	p->work = (struct worker_options){
		.charge = {.ledger = p->ledger,
	                   .readers = p->readers,
	                   .stripe = c->stripe_secret_key[0] != '\0' ? &p->stripe : NULL,
	                   .product = c->topup_product},
		.pool = p->readers,
	};
	config_topup_url(c, p->page);
	p->tell = options_courier(c, p->readers, p->page);
}

static int make_parts(struct program *p)
{
	struct router_options options = {.config = &p->config};

	if (start_lookout(p) < 0 || make_pools(p) < 0 || make_ledger(p) < 0)
		return -1;
	options.ledger = p->ledger;
	options.readers = p->readers;
	options.key_reader = p->key_reader;
	options.workers = thread_count(p);
	options.reader_count = p->readers != p->writers ? config_connections(&p->config) : 1;
	options.slow_max = (int)p->config.slow_max;
	if (options.slow_max >= thread_count(p))
		options.slow_max = thread_count(p) - 1; /* some are left for the guard, where there are any */
	set_work(p);
	p->router = router_new(&options);
	return p->router != NULL ? 0 : -1;
}

static void free_parts(struct program *p)
{
	(void)stop_lookout(p, INT64_MAX);
	/* The ledger goes first: its commit threads write answers through the edge. */
	ledger_free(p->ledger);
	edge_free(p->edge);
	router_free(p->router);
	if (p->readers != p->writers)
		pool_free(p->readers);
	if (p->key_reader != p->writers)
		pool_free(p->key_reader);
	pool_free(p->writers);
	hosts_close();
}

/* ---- housekeeping --------------------------------------------------------------------------------- */

/* Under mod_fcgid a process that serves no requests leaves the database alone.  Others, or octroictl tick, do the
 * work that is due. */
static bool housekeeping_wanted(void *context)
{
	struct program *p = context;
	struct edge_counts counts;
	bool served_since;

	edge_count(p->edge, &counts);
	served_since = counts.served != p->served;
	p->served = counts.served;
	return p->sockets.from != SOCKETS_STDIN || served_since;
}

static void keep_house_here(void *context)
{
	const struct program *p = context;

	router_housekeep(p->router);
}

static struct housekeeper *start_housekeeper(struct program *p)
{
	const struct housekeeper_options options = {
		.config = &p->config,
		.terms = options_prices(&p->config),
		.readers = p->readers,
		.work = p->sockets.from == SOCKETS_STDIN ? &p->work : NULL,
		.tell = p->sockets.from == SOCKETS_STDIN ? &p->tell : NULL,
		.wanted = housekeeping_wanted,
		.more = keep_house_here,
		.context = p,
	};

	return housekeeper_start(&options);
}

/* Runs each second, on the main thread: nothing here may wait. */
static void tick(struct program *p)
{
	int64_t idle_ms = p->config.db_idle_ms;

	if (idle_ms == 0 && p->sockets.from == SOCKETS_STDIN)
		idle_ms = STDIN_DB_IDLE_MS;
	edge_reap(p->edge);
	pool_reap(p->writers, idle_ms);
	if (p->readers != p->writers) {
		pool_reap(p->readers, idle_ms);
		pool_reap(p->key_reader, idle_ms);
	}
	log_flush();
}

/* ---- signals -------------------------------------------------------------------------------------- */

/* Blocks the signals before the first thread, so that only the main thread takes them, when it waits for them. */
static void block_signals(sigset_t *set)
{
	static const int ours[] = {SIGTERM, SIGINT, SIGUSR1, SIGHUP};
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	CHECK(sigemptyset(set) == 0);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		CHECK(sigaddset(set, ours[i]) == 0);
	CHECK(pthread_sigmask(SIG_BLOCK, set, NULL) == 0);
	CHECK(sigaction(SIGPIPE, &ignore, NULL) == 0);
}

/* Serves until a signal says to stop: SIGTERM, SIGINT, or SIGUSR1, which mod_fcgid sends. */
static int serve_requests(struct program *p, const sigset_t *signals)
{
	int64_t next_us = clock_monotonic_us() + TICK_US;

	for (;;) {
		int64_t left_us = next_us - clock_monotonic_us();
		struct timespec left = {.tv_sec = left_us > 0 ? left_us / CLOCK_US_PER_SECOND : 0,
		                        .tv_nsec = left_us > 0 ? left_us % CLOCK_US_PER_SECOND * 1000 : 0};
		int number = sigtimedwait(signals, NULL, &left);

		if (number == SIGHUP && log_reopen() < 0)
			log_event(LOG_LEVEL_ERROR, "log_reopen_failed", LOG_TEXT("error", strerror(errno)));
		if (number > 0 && number != SIGHUP)
			return number;
		if (clock_monotonic_us() < next_us)
			continue;
		tick(p);
		next_us = clock_monotonic_us() + TICK_US;
	}
}

/* ---- life ----------------------------------------------------------------------------------------- */

/* True when every thread has ended, so that the parts may be freed. */
static bool stop(struct program *p, int number)
{
	int64_t drain_ms = p->sockets.from == SOCKETS_STDIN ? STDIN_DRAIN_MS : DRAIN_MS;
	int64_t deadline_us = clock_monotonic_us() + drain_ms * CLOCK_US_PER_MS;
	bool drained, stopped;

	sockets_notify("STOPPING=1");
	log_event(LOG_LEVEL_INFO, "stopping", LOG_NUMBER("signal", number));
	drained = edge_drain(p->edge, drain_ms);
	stopped = housekeeper_stop(p->housekeeper, deadline_us);
	stopped = worker_stop(p->worker, deadline_us) && stopped;
	stopped = courier_stop(p->courier, deadline_us) && stopped;
	stopped = stop_lookout(p, deadline_us) && stopped;
	router_set_edge(p->router, NULL);
	log_event(LOG_LEVEL_INFO, "stopped", LOG_TEXT("drained", drained ? "all" : "not all"));
	log_flush();
	return drained && stopped;
}

/* Called before the first thread, and after listening, the last thing that the sandbox forbids.  -1 when the
 * configuration demands a filter that cannot be had. */
static int confine(struct program *p)
{
	const char *why = sandbox_confine(p->config.sandbox, &p->sandbox);

	if (why == NULL || strcmp(p->config.sandbox, "on") != 0)
		return 0;
	return complain_start("no sandbox, which sandbox = on demands", why);
}

/* The program's exit status. */
static int run(struct program *p)
{
	sigset_t signals;
	int number;

	block_signals(&signals);
	if (make_parts(p) < 0 || start_edge(p) < 0)
		return EXIT_FAILURE;
	p->housekeeper = start_housekeeper(p);
	if (p->housekeeper == NULL) {
		if (!edge_drain(p->edge, DRAIN_MS))
			_exit(EXIT_FAILURE);
		return EXIT_FAILURE;
	}
	if (p->sockets.from != SOCKETS_STDIN) {
		p->worker = worker_start(&p->work);
		p->courier = courier_start(&p->tell);
	}
	sockets_notify("READY=1");
	log_flush();
	number = serve_requests(p, &signals);
	if (!stop(p, number))
		_exit(EXIT_SUCCESS); /* a thread still waits for the database, and uses the parts */
	return EXIT_SUCCESS;
}

static int run_configured(struct program *p)
{
	int status = EXIT_FAILURE;

	if (log_open(p->config.log, log_level_named(p->config.log_level)) < 0) {
		(void)complain_start(p->config.log, strerror(errno));
		return EXIT_FAILURE;
	}
	if (sockets_find(&p->sockets, &p->config) == 0 && confine(p) == 0) {
		status = run(p);
		free_parts(p);
	}
	log_flush();
	return status;
}

/* Loads the configuration, and complains of its mistakes. */
static int configure(struct program *p, const char *path)
{
	char error[CONF_ERROR_MAX];
	struct db_options options;
	const char *wrong;

	if (config_load(&p->config, path, error) < 0)
		return complain_start(error, "");
	if (zone_find(p->config.time_zone) == NULL)
		return complain_start("this machine does not know the time_zone", p->config.time_zone);
	options = options_database(&p->config);
	wrong = db_options_wrong(&options);
	return wrong == NULL ? 0 : complain_start(wrong, "");
}

int main(int argc, char **argv)
{
	struct program p = {0};
	struct arguments arguments;
	int status;

	(void)mallopt(M_ARENA_MAX, MALLOC_ARENAS);
	if (digest_watch_memory() < 0) { /* first: the others use OpenSSL and jansson */
		(void)complain_start("no memory for OpenSSL", "");
		return EXIT_FAILURE;
	}
	token_watch_memory();
	json_watch_memory(); /* last: cjose has set jansson's allocator as well */
	status = arguments_read(argc, argv, "octroi", "$OCTROI_CONF, then /etc/octroi/octroi.conf", &arguments);
	if (status >= 0)
		return status;
	status = EXIT_FAILURE;
	if (configure(&p, arguments.path) == 0) {
		if (arguments.test)
			status = printf("octroi: the configuration is good\n") > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		else
			status = run_configured(&p);
	}
	config_free(&p.config);
	return status;
}
