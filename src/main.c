/*
 * octroi: the FastCGI responder.  Reads the configuration, builds the parts, runs them until a signal
 * says to stop, and takes them down in the opposite order.
 *
 * How it was started says where it listens: with sockets passed by systemd (LISTEN_FDS), with one as
 * standard input (mod_fcgid, spawn-fcgi), else where the configuration names.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "base/zone.h"
#include "config.h"
#include "db/pool.h"
#include "edge/edge.h"
#include "options.h"
#include "prices/pricestore.h"
#include "routes/auth/token.h"
#include "routes/router.h"
#include "worker/prober.h"
#include "worker/worker.h"

#define THREADS_DEFAULT 64
#define DRAIN_MS 5000
#define STATEMENT_PERCENT 90 /* of db_timeout_ms: the database gives a read up before its connection is */
#define TICK_US CLOCK_US_PER_SECOND
#define HOUSEKEEPER_STACK_BYTES ((size_t)256 * 1024)
/* malloc would give each of hundreds of threads an arena of its own; each keeps what its busiest moment took. */
#define MALLOC_ARENAS 2
#define PASSED_FD_FIRST 3

/* As a process of mod_fcgid: one request at a time, killed 3 s after SIGTERM, and one of many, so
 * that it should not keep a database connection that it does not use. */
#define STDIN_THREADS 1
#define STDIN_DRAIN_MS 2500
#define STDIN_DB_IDLE_MS 10000

enum start { START_CONFIGURED, START_PASSED, START_STDIN };

struct program {
	struct config config;
	enum start start;
	int public_fd, internal_fd; /* -1: none */
	const char *sandbox;        /* for the log */
	struct pool *writers;       /* the ledger's, and nobody else's: what it does lasts by COMMIT only */
	struct pool *readers;       /* the routes'; the same one when there is only one connection */
	struct pool *key_reader;    /* of API keys; likewise */
	struct ledger *ledger;
	struct router *router;
	struct edge *edge;
	struct stripe stripe;
	struct worker_options work;
	struct worker *worker;      /* NULL on fd 0, where the housekeeper does its work */
	/* The housekeeper's thread: what it does may wait for the database. */
	pthread_t housekeeper;
	struct lock lock;
	struct signal_cond changed;
	bool stop;    /* under the lock */
	bool stopped; /* under the lock */
};

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "octroi: %s%s%s\n", what, why[0] != '\0' ? ": " : "", why);
	return -1;
}

/* ---- where to listen ------------------------------------------------------------------------------ */

static bool is_listening(int fd)
{
	int on = 0;
	socklen_t length = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &length) == 0 && on != 0;
}

static long number_of(const char *text)
{
	char *end;
	long number;

	if (text == NULL)
		return 0;
	errno = 0;
	number = strtol(text, &end, 10);
	return errno == 0 && *end == '\0' ? number : 0;
}

/* Whether the at-th name of LISTEN_FDNAMES ("public:internal") says that the socket is the internal
 * one; without names that is the second. */
static bool passed_internal(const char *names, int at)
{
	if (names == NULL || strstr(names, "internal") == NULL)
		return at == 1;
	for (int i = 0; i < at; i++)
		names += strcspn(names, ":") + (names[strcspn(names, ":")] == ':' ? 1 : 0);
	return memmem(names, strcspn(names, ":"), "internal", strlen("internal")) != NULL;
}

/* sd_listen_fds(3) by hand.  How many sockets were passed, or -1. */
static int take_passed(struct program *p)
{
	const char *names = getenv("LISTEN_FDNAMES");
	long count = number_of(getenv("LISTEN_FDS"));

	if (count <= 0 || number_of(getenv("LISTEN_PID")) != (long)getpid())
		return 0;
	if (count > 2)
		return complain("more than two sockets were passed", "");
	for (int i = 0; i < count; i++) {
		int fd = PASSED_FD_FIRST + i;

		if (!is_listening(fd) || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			return complain("a descriptor that was passed is no listening socket", "");
		*(passed_internal(names, i) ? &p->internal_fd : &p->public_fd) = fd;
	}
	return (int)count;
}

/* The router serves internal routes on the public socket too unless the key says that there is
 * another one; a socket that systemd passed says so as well. */
static int name_internal(struct config *c)
{
	if (c->listen_internal[0] != '\0')
		return 0;
	free(c->listen_internal);
	c->listen_internal = strdup("fd");
	return c->listen_internal != NULL ? 0 : -1;
}

static int listen_where(const char *address, int *fd)
{
	if (*fd >= 0 || address[0] == '\0')
		return 0;
	*fd = edge_listen(address);
	return *fd >= 0 ? 0 : -1;
}

static int find_sockets(struct program *p)
{
	int passed = take_passed(p);

	if (passed < 0)
		return -1;
	if (passed == 0 && is_listening(STDIN_FILENO)) {
		p->start = START_STDIN;
		p->public_fd = STDIN_FILENO;
		return 0;
	}
	p->start = passed > 0 ? START_PASSED : START_CONFIGURED;
	if (p->internal_fd >= 0 && name_internal(&p->config) < 0)
		return complain("no memory", "");
	if (listen_where(p->config.listen, &p->public_fd) < 0 ||
	    listen_where(p->config.listen_internal, &p->internal_fd) < 0)
		return -1;
	if (p->public_fd < 0 && p->internal_fd < 0)
		return complain("nowhere to listen", "set listen in octroi.conf, or pass a socket as fd 3 or fd 0");
	return 0;
}

/* Tells systemd (Type=notify), if it asked to be told. */
static void notify(const char *state)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path != NULL ? strlen(path) : 0;
	int fd;

	if (length < 2 || length >= sizeof(name.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(name.sun_path, path, length);
	if (path[0] == '@')
		name.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&name,
	           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		log_event(LOG_LEVEL_WARNING, "notify_failed", LOG_TEXT("error", strerror(errno)));
	close(fd);
}

/* ---- the parts ------------------------------------------------------------------------------------ */

static enum log_level level_of(const char *name)
{
	if (strcmp(name, "error") == 0)
		return LOG_LEVEL_ERROR;
	if (strcmp(name, "warning") == 0)
		return LOG_LEVEL_WARNING;
	return strcmp(name, "debug") == 0 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
}

static struct db_options database_options(const struct config *c)
{
	return (struct db_options){
		.socket = c->db_socket,
		.host = c->db_host,
		.user = c->db_user,
		.password = c->db_password,
		.name = c->db_name,
		.tls_ca = c->db_tls_ca,
		.port = (unsigned)c->db_port,
		.timeout_ms = c->db_timeout_ms,
	};
}

static int make_pools(struct program *p)
{
	const struct config *c = &p->config;
	struct db_options options = database_options(c);
	bool one = p->start == START_STDIN && c->db_connections == 0;

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
	return p->start == START_STDIN ? STDIN_THREADS : THREADS_DEFAULT;
}

static int make_ledger(struct program *p)
{
	struct ledger_options options = options_ledger(&p->config, p->writers);

	/* With a single thread nobody could use them. */
	options.lanes = thread_count(p) > 1;
	p->ledger = ledger_new(&options);
	return p->ledger != NULL ? 0 : -1;
}

static int start_edge(struct program *p)
{
	const struct config *c = &p->config;
	const struct edge_options options = {
		.public_fd = p->public_fd,
		.internal_fd = p->internal_fd,
		.threads = thread_count(p),
		.connections_max = (int)c->connections_max,
		.request_timeout_ms = c->request_timeout_ms,
		.overrun_ms = c->db_timeout_ms + 1000, /* what the database was just asked ends in this */
		.idle_timeout_ms = c->idle_timeout_ms,
		.handler = router_handle,
		.context = p->router,
	};

	p->edge = edge_start(&options);
	if (p->edge == NULL)
		return -1;
	router_set_edge(p->router, p->edge);
	log_event(LOG_LEVEL_INFO, "started", LOG_TEXT("version", OCTROI_VERSION), LOG_TEXT("config", c->path),
	          LOG_TEXT("sockets", p->start == START_STDIN    ? "standard input"
	                              : p->start == START_PASSED ? "passed"
	                                                         : "configured"),
	          LOG_TEXT("listen", c->listen), LOG_TEXT("listen_internal", c->listen_internal),
	          LOG_NUMBER("threads", options.threads),
	          LOG_TEXT("sandbox", p->sandbox));
	return 0;
}

/* What is to be done outside; its threads are started with the edge. */
static void set_work(struct program *p)
{
	const struct config *c = &p->config;

	p->stripe = (struct stripe){.api_base = c->stripe_api_base,
	                            .secret_key = c->stripe_secret_key,
	                            .timeout_ms = c->stripe_timeout_ms};
	p->work = (struct worker_options){
		.charge = {.ledger = p->ledger,
	                   .readers = p->readers,
	                   .stripe = c->stripe_secret_key[0] != '\0' ? &p->stripe : NULL,
	                   .product = c->topup_product},
		.pool = p->readers,
	};
}

static int make_parts(struct program *p)
{
	struct router_options options = {.config = &p->config};

	if (make_pools(p) < 0 || make_ledger(p) < 0)
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
	/* Its lanes write answers through the edge. */
	ledger_free(p->ledger);
	edge_free(p->edge);
	router_free(p->router);
	if (p->readers != p->writers)
		pool_free(p->readers);
	if (p->key_reader != p->writers)
		pool_free(p->key_reader);
	pool_free(p->writers);
}

/* ---- housekeeping --------------------------------------------------------------------------------- */

/* Under mod_fcgid a process that serves nobody leaves the database alone; others, or octroictl tick,
 * do what is due. */
static bool housekeeping_wanted(struct program *p, int64_t *served)
{
	struct edge_counts counts;
	bool served_since;

	edge_count(p->edge, &counts);
	served_since = counts.served != *served;
	*served = counts.served;
	return p->start != START_STDIN || served_since;
}

/* Gives the prices in the database the configuration's margin, exchange rate and value of a credit,
 * where they have others.  False: to be tried again. */
static bool store_terms(struct program *p)
{
	const struct price_terms terms = options_prices(&p->config);
	struct db *d = pool_take(p->readers, clock_monotonic_us() + TICK_US);
	struct pricestore_report report;
	enum pricestore_result result;

	if (d == NULL)
		return false;
	result = pricestore_reprice(d, &terms, &report);
	pool_give(p->readers, d);
	if (result == PRICESTORE_STORED)
		log_event(LOG_LEVEL_INFO, "price_terms_changed", LOG_NUMBER("version", report.version),
		          LOG_NUMBER("prices", report.stored));
	return result != PRICESTORE_FAULT;
}

static void *housekeeper_main(void *argument)
{
	struct program *p = argument;
	bool terms_stored = false;
	int64_t served = 0, looks_us = 0;

	lock_take(&p->lock);
	while (!p->stop) {
		int64_t next_us = clock_monotonic_us() + TICK_US;

		lock_give(&p->lock);
		if (!terms_stored)
			terms_stored = store_terms(p);
		if (housekeeping_wanted(p, &served)) {
			router_housekeep(p->router);
			(void)prober_due(&p->config, p->readers, &looks_us);
			if (p->start == START_STDIN && worker_review(&p->work) == 0)
				(void)worker_run(&p->work, 1, INT64_MAX);
		}
		lock_take(&p->lock);
		while (!p->stop && cond_wait_until(&p->changed, &p->lock, next_us))
			;
	}
	p->stopped = true;
	cond_broadcast(&p->changed);
	lock_give(&p->lock);
	return NULL;
}

static int housekeeper_start(struct program *p)
{
	pthread_attr_t attributes;
	int error;

	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_setstacksize(&attributes, HOUSEKEEPER_STACK_BYTES) == 0);
	error = pthread_create(&p->housekeeper, &attributes, housekeeper_main, p);
	CHECK(pthread_attr_destroy(&attributes) == 0);
	if (error == 0)
		return 0;
	log_event(LOG_LEVEL_ERROR, "housekeeper_failed", LOG_TEXT("error", strerror(error)));
	return -1;
}

/* False when it is still waiting for the database at the deadline. */
static bool housekeeper_stop(struct program *p, int64_t deadline_us)
{
	bool stopped;

	lock_take(&p->lock);
	p->stop = true;
	cond_broadcast(&p->changed);
	while (!p->stopped && cond_wait_until(&p->changed, &p->lock, deadline_us))
		;
	stopped = p->stopped;
	lock_give(&p->lock);
	if (stopped)
		CHECK(pthread_join(p->housekeeper, NULL) == 0);
	return stopped;
}

/* Each second, on the main thread: nothing that waits. */
static void tick(struct program *p)
{
	int64_t idle_ms = p->config.db_idle_ms;

	if (idle_ms == 0 && p->start == START_STDIN)
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

/* Blocked before the first thread, so that only the main thread takes them, when it waits for them. */
static void signals_block(sigset_t *set)
{
	static const int ours[] = {SIGTERM, SIGINT, SIGUSR1, SIGHUP};
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	CHECK(sigemptyset(set) == 0);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		CHECK(sigaddset(set, ours[i]) == 0);
	CHECK(pthread_sigmask(SIG_BLOCK, set, NULL) == 0);
	CHECK(sigaction(SIGPIPE, &ignore, NULL) == 0);
}

/* Until a signal says to stop: SIGTERM, SIGINT, or SIGUSR1, which is how mod_fcgid asks. */
static int serve(struct program *p, const sigset_t *signals)
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

/* True when every thread has ended, so that what they used may be freed. */
static bool stop(struct program *p, int number)
{
	int64_t drain_ms = p->start == START_STDIN ? STDIN_DRAIN_MS : DRAIN_MS;
	int64_t deadline_us = clock_monotonic_us() + drain_ms * CLOCK_US_PER_MS;
	bool drained, stopped;

	notify("STOPPING=1");
	log_event(LOG_LEVEL_INFO, "stopping", LOG_NUMBER("signal", number));
	drained = edge_drain(p->edge, drain_ms);
	stopped = housekeeper_stop(p, deadline_us);
	stopped = worker_stop(p->worker, deadline_us) && stopped;
	router_set_edge(p->router, NULL);
	log_event(LOG_LEVEL_INFO, "stopped", LOG_TEXT("drained", drained ? "all" : "not all"));
	log_flush();
	return drained && stopped;
}

/* Before the first thread, and after the last thing that the sandbox forbids: listening.  -1 when the
 * configuration demands a filter that cannot be had. */
static int confine(struct program *p)
{
	const bool demanded = strcmp(p->config.sandbox, "on") == 0;
	const char *why;

	p->sandbox = p->config.sandbox;
	if (strcmp(p->config.sandbox, "off") == 0)
		return 0;
	p->sandbox = "seccomp";
	if (sandbox_keep_private() == 0 && sandbox_enter() == 0)
		return 0;
	p->sandbox = "none";
	why = sandbox_built() ? strerror(errno) : "built without libseccomp";
	log_event(demanded ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "sandbox_failed", LOG_TEXT("error", why));
	return demanded ? complain("no sandbox, which sandbox = on demands", why) : 0;
}

/* The program's exit status. */
static int run(struct program *p)
{
	sigset_t signals;
	int number;

	signals_block(&signals);
	if (make_parts(p) < 0 || start_edge(p) < 0)
		return EXIT_FAILURE;
	if (housekeeper_start(p) < 0) {
		if (!edge_drain(p->edge, DRAIN_MS))
			_exit(EXIT_FAILURE);
		return EXIT_FAILURE;
	}
	if (p->start != START_STDIN)
		p->worker = worker_start(&p->work);
	notify("READY=1");
	log_flush();
	number = serve(p, &signals);
	if (!stop(p, number))
		_exit(EXIT_SUCCESS); /* a thread still waits for the database, and uses what we would free */
	return EXIT_SUCCESS;
}

static int usage(FILE *out)
{
	fprintf(out, "usage: octroi [-c FILE] [-t | -V | -h]\n"
	             "  -c FILE  configuration (default $OCTROI_CONF, then /etc/octroi/octroi.conf)\n"
	             "  -t       check the configuration and exit\n"
	             "  -V       print the version and exit\n"
	             "  -h       print this and exit\n");
	return out == stdout ? EXIT_SUCCESS : 2;
}

static int run_configured(struct program *p)
{
	int status = EXIT_FAILURE;

	if (log_open(p->config.log, level_of(p->config.log_level)) < 0) {
		(void)complain(p->config.log, strerror(errno));
		return EXIT_FAILURE;
	}
	lock_init(&p->lock);
	cond_init(&p->changed);
	if (find_sockets(p) == 0 && confine(p) == 0) {
		status = run(p);
		free_parts(p);
	}
	log_flush();
	cond_destroy(&p->changed);
	lock_destroy(&p->lock);
	return status;
}

/* Loads the configuration, and says what is wrong with it. */
static int configure(struct program *p, const char *path)
{
	char error[CONFIG_ERROR_MAX];
	struct db_options options;
	const char *wrong;

	if (config_load(&p->config, path, error) < 0)
		return complain(error, "");
	if (zone_find(p->config.time_zone) == NULL)
		return complain("this machine does not know the time_zone", p->config.time_zone);
	options = database_options(&p->config);
	wrong = db_options_wrong(&options);
	return wrong == NULL ? 0 : complain(wrong, "");
}

int main(int argc, char **argv)
{
	struct program p = {.public_fd = -1, .internal_fd = -1};
	const char *path = NULL;
	bool test = false;
	int status = EXIT_FAILURE;
	int option;

	(void)mallopt(M_ARENA_MAX, MALLOC_ARENAS);
	if (digest_watch_memory() < 0) { /* first: the others use OpenSSL and jansson */
		(void)complain("no memory for OpenSSL", "");
		return EXIT_FAILURE;
	}
	token_watch_memory();
	json_watch_memory(); /* last: cjose has set jansson's allocator as well */
	for (option = getopt(argc, argv, "c:tVh"); option != -1; option = getopt(argc, argv, "c:tVh")) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 't':
			test = true;
			break;
		case 'V':
			printf("octroi %s\n", OCTROI_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			return usage(stdout);
		default:
			return usage(stderr);
		}
	}
	if (optind < argc)
		return usage(stderr);
	if (configure(&p, path) == 0) {
		if (test)
			status = printf("octroi: the configuration is good\n") > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		else
			status = run_configured(&p);
	}
	config_free(&p.config);
	return status;
}
