#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/probe_http.h"
#include "ctl/setup/setup.h"
#include "ctl/setup/setup_run.h"

#define PAUSE_NS 100000000
#define PAUSES_MAX 100

/* sd_booted(3): systemd is the first process where this directory is. */
static bool has_systemd(void)
{
	return access("/run/systemd/system", F_OK) == 0;
}

static int start_octroi(struct setup *S)
{
	const char *const installed[] = {"systemctl", "cat", "octroi.service", NULL};
	const char *const active[] = {"systemctl", "is-active", "--quiet", "octroi.service", NULL};
	const char *const enable[] = {"systemctl", "enable", "--now", "octroi.service", NULL};
	const char *const restart[] = {"systemctl", "restart", "octroi.service", NULL};

	if (!setup_run_quietly(installed)) {
		setup_say(S, SETUP_BY_HAND, "there is no octroi.service: start octroi -c %s", S->conf);
		return CTL_OK;
	}
	if (!setup_run_quietly(active))
		return setup_run(S, enable);
	if (S->conf_changed)
		return setup_run(S, restart);
	setup_say(S, SETUP_KEPT, "octroi.service, which runs");
	return CTL_OK;
}

/* Whether anything listens at the internal address.  A run before may have placed the files, and have stopped then. */
static bool is_served(const struct setup *S)
{
	char base[SETUP_PATH_MAX];
	const struct probe_http_request request = {.method = "GET", .base = base, .path = "/healthz"};
	struct probe_http_answer answer;

	(void)snprintf(base, sizeof(base), "http://%s", setup_internal_address(S));
	return probe_http(&request, &answer) == 0;
}

/* A reload ends before the web server listens: doctor, which comes next, is to find it. */
static void wait_until_served(const struct setup *S)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};

	for (int i = 0; i < PAUSES_MAX && !is_served(S); i++)
		(void)nanosleep(&pause, NULL);
}

/* Lets the web server read its files again, once they are without mistakes. */
static int reload_web(struct setup *S)
{
	const bool nginx = strcmp(S->web, "nginx") == 0;
	const char *const test[] = {nginx ? "nginx" : "apache2ctl", "-t", NULL};
	const char *const unit = nginx ? "nginx.service" : "apache2.service";
	const char *const reload[] = {"systemctl", S->web_restart ? "restart" : "reload-or-restart", unit, NULL};

	if (!S->web_changed && !S->web_restart && is_served(S))
		return CTL_OK;
	if (setup_run(S, test) != CTL_OK || setup_run(S, reload) != CTL_OK)
		return CTL_FAILED;
	if (!S->dry_run)
		wait_until_served(S);
	return CTL_OK;
}

int setup_service(struct setup *S)
{
	const bool by_hand = S->no_start || !has_systemd();

	if (by_hand) {
		setup_say(S, SETUP_BY_HAND, "start octroi: octroi -c %s", S->conf);
		if (S->web != NULL && (S->web_changed || S->web_restart))
			setup_say(S, SETUP_BY_HAND, "let %s read its configuration again", S->web);
		return CTL_OK;
	}
	if (start_octroi(S) != CTL_OK || (S->web != NULL && S->answers.web_dir == NULL && reload_web(S) != CTL_OK))
		return CTL_FAILED;
	S->served = S->web != NULL && S->answers.web_dir == NULL && !S->dry_run;
	return CTL_OK;
}
