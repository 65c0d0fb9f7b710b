/*
 * octroi_meter: the program octroi-meter.  One event thread serves all streams; the spool has a thread that waits for
 * the disk.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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
#include "meter/meter_metrics.h"
#include "meter/relay.h"
#include "sockets.h"

#define TICK_US CLOCK_US_PER_SECOND
#define DRAIN_US (30 * CLOCK_US_PER_SECOND)
#define SETTLE_US (5 * CLOCK_US_PER_SECOND)

static volatile sig_atomic_t wants_stop, wants_reopen;

struct meter {
	struct meter_config config;
	struct loop *loop;
	struct relays relays;
	struct channels *channels;
	int fd;
	sigset_t open; /* signals are let in while the loop waits */
	int64_t next_us;
};

static int complain_meter(const char *what, const char *why)
{
	(void)fprintf(stderr, "octroi-meter: %s%s%s\n", what, why[0] != '\0' ? ": " : "", why);
	return -1;
}

/* ---- signals --------------------------------------------------------------------------------- */

static void note_signal(int number)
{
	if (number == SIGHUP)
		wants_reopen = 1;
	else
		wants_stop = 1;
}

/* Blocks the signals, so that they come only while the loop waits. */
static void hold_signals(struct meter *m)
{
	static const int ours[] = {SIGTERM, SIGINT, SIGHUP};
	struct sigaction note = {.sa_handler = note_signal}, ignore = {.sa_handler = SIG_IGN};
	sigset_t set;

	CHECK(sigemptyset(&set) == 0);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		CHECK(sigaddset(&set, ours[i]) == 0);
		CHECK(sigaction(ours[i], &note, NULL) == 0);
	}
	CHECK(sigaction(SIGPIPE, &ignore, NULL) == 0);
	CHECK(pthread_sigmask(SIG_BLOCK, &set, &m->open) == 0);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		CHECK(sigdelset(&m->open, ours[i]) == 0);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void tick_meter(struct meter *m)
{
	relay_tick(&m->relays);
	channels_tick(m->channels);
	spool_tick(m->relays.spool);
	if (wants_reopen && log_reopen() < 0)
		log_event(LOG_LEVEL_ERROR, "log_reopen_failed", LOG_TEXT("error", strerror(errno)));
	wants_reopen = 0;
	log_flush();
}

static void turn(struct meter *m)
{
	const int64_t due_us = transfers_tick(m->relays.transfers);

	loop_wait(m->loop, due_us < m->next_us ? due_us : m->next_us, &m->open);
	if (clock_monotonic_us() < m->next_us)
		return;
	tick_meter(m);
	m->next_us = clock_monotonic_us() + TICK_US;
}

/* Lets the streams that have begun end, cuts the others, and waits a little for octroi to take their settlements. */
static void drain_meter(struct meter *m)
{
	int64_t until_us = clock_monotonic_us() + DRAIN_US;

	sockets_notify("STOPPING=1");
	log_event(LOG_LEVEL_INFO, "stopping", LOG_NUMBER("streams", m->relays.counts.streams));
	m->relays.stopping = true;
	channels_drain(m->channels);
	while (m->relays.first != NULL && clock_monotonic_us() < until_us)
		turn(m);
	relay_cut_all(&m->relays);
	until_us = clock_monotonic_us() + SETTLE_US;
	while (spool_depth(m->relays.spool) > 0 && clock_monotonic_us() < until_us)
		turn(m);
	log_event(LOG_LEVEL_INFO, "stopped", LOG_NUMBER("spool", spool_depth(m->relays.spool)));
}

/* ---- parts ----------------------------------------------------------------------------------- */

static int make_meter(struct meter *m)
{
	const struct meter_config *c = &m->config;
	const struct channel_options options = {
		.listen_fd = m->fd,
		.channels_max = (int)(2 * c->streams_max + 100), /* idle ones of the web server come on top */
		.body_max = (size_t)c->body_max,
		.memory_max = (size_t)c->memory_max,
		.begin = relay_begin,
		.gone = relay_gone,
		.room = relay_room,
		.context = &m->relays,
	};
	struct relays *r = &m->relays;
	const struct spool_events events = {.kept = relay_kept, .booked = relay_booked, .context = r};

	m->loop = loop_new();
	r->config = c;
	meter_config_providers(c, r->providers);
	r->metrics = meter_metrics;
	r->transfers = m->loop != NULL ? transfers_new(m->loop, c->ca_file) : NULL;
	r->asker = r->transfers != NULL ? asker_new(r->transfers, c->octroi_url, c->octroi_key) : NULL;
	if (r->asker == NULL || spool_start(r->spool, m->loop, r->asker, &events) < 0)
		return -1;
	m->channels = channels_new(m->loop, &options);
	return m->channels != NULL ? 0 : -1;
}

static void free_meter(struct meter *m)
{
	channels_free(m->channels);
	spool_close(m->relays.spool);
	transfers_free(m->relays.transfers);
	asker_free(m->relays.asker);
	leeway_free(m->relays.leeway);
	loop_free(m->loop);
}

static int serve_meter(struct meter *m, const char *sandbox)
{
	hold_signals(m);
	if (make_meter(m) < 0)
		return EXIT_FAILURE;
	log_event(LOG_LEVEL_INFO, "started", LOG_TEXT("version", OCTROI_VERSION), LOG_TEXT("config", m->config.path),
	          LOG_TEXT("listen", m->config.listen), LOG_TEXT("sandbox", sandbox));
	log_flush();
	sockets_notify("READY=1");
	m->next_us = clock_monotonic_us() + TICK_US;
	while (!wants_stop)
		turn(m);
	drain_meter(m);
	return EXIT_SUCCESS;
}

static void find_booking_of(void *context, const char *account, int64_t micros)
{
	struct meter *m = context;

	leeway_found(m->relays.leeway, account, micros);
}

static int open_leeway(struct meter *m)
{
	if (!m->config.grace)
		return 0;
	m->relays.leeway = leeway_open(m->config.spool);
	if (m->relays.leeway == NULL)
		return -1;
	spool_bookings(m->relays.spool, find_booking_of, m);
	return 0;
}

/* Opens files and sockets, which the sandbox forbids afterwards. */
static int run_meter(struct meter *m)
{
	const char *sandbox = "off", *why;
	int flags, status = EXIT_FAILURE;

	if (log_open(m->config.log, log_level_named(m->config.log_level)) < 0) {
		(void)complain_meter(m->config.log, strerror(errno));
		return EXIT_FAILURE;
	}
	m->relays.spool = spool_open(m->config.spool);
	m->fd = m->relays.spool != NULL && open_leeway(m) == 0 ? sockets_find_one(m->config.listen) : -1;
	flags = m->fd >= 0 ? fcntl(m->fd, F_GETFL) : -1;
	if (flags >= 0 && fcntl(m->fd, F_SETFL, flags | O_NONBLOCK) == 0) {
		why = sandbox_confine(m->config.sandbox, &sandbox);
		if (why != NULL && strcmp(m->config.sandbox, "on") == 0)
			(void)complain_meter("no sandbox, which sandbox = on demands", why);
		else
			status = serve_meter(m, sandbox);
	}
	free_meter(m);
	log_flush();
	return status;
}

int main(int argc, char **argv)
{
	static struct meter m;
	struct arguments arguments;
	char error[CONF_ERROR_MAX];
	int status;

	if (digest_watch_memory() < 0) {
		(void)complain_meter("no memory for OpenSSL", "");
		return EXIT_FAILURE;
	}
	json_watch_memory();
	status = arguments_read(argc, argv, "octroi-meter", "$OCTROI_METER_CONF, then /etc/octroi/octroi-meter.conf",
	                        &arguments);
	if (status >= 0)
		return status;
	status = EXIT_FAILURE;
	if (meter_config_load(&m.config, arguments.path, error) < 0)
		(void)complain_meter(error, "");
	else if (arguments.test)
		status = printf("octroi-meter: the configuration is good\n") > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	else
		status = run_meter(&m);
	meter_config_free(&m.config);
	return status;
}
