#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/doctor/doctor.h"
#include "ctl/probe_http.h"

#define HEADER_MAX 512
#define SKEW_WARNING_US (3 * CLOCK_US_PER_SECOND) /* the Date header counts whole seconds */
#define SKEW_PROBLEM_US (10 * CLOCK_US_PER_SECOND)

/* A request without an account in the query changes nothing.  Its status tells whether octroi accepted a
 * caller: 401 no, 400 or 403 yes. */
#define WHO_PATH "/api/credits"
#define STATUS_NOBODY 401

static int get_page(const char *base, const char *path, const char *header, struct probe_http_answer *answer)
{
	const struct probe_http_request request = {.method = "GET", .base = base, .path = path, .headers = {header}};

	return probe_http(&request, answer);
}

/* ---- is it there ----------------------------------------------------------------------------- */

static void check_clock(struct doctor *D, int64_t before_us, const struct probe_http_answer *answer)
{
	const int64_t now_us = clock_wall_us();
	int64_t skew_us = 0;

	if (answer->date_us == 0) {
		doctor_say(D, "web server clock", DOCTOR_SKIPPED, "", "it sends no Date header");
		return;
	}
	if (answer->date_us + CLOCK_US_PER_SECOND < before_us)
		skew_us = before_us - answer->date_us - CLOCK_US_PER_SECOND;
	if (answer->date_us > now_us)
		skew_us = answer->date_us - now_us;
	doctor_say(D, "web server clock",
	           skew_us > SKEW_PROBLEM_US   ? DOCTOR_PROBLEM
	           : skew_us > SKEW_WARNING_US ? DOCTOR_WARNING
	                                       : DOCTOR_OK,
	           skew_us > SKEW_WARNING_US ? "synchronise the clocks: tokens and webhook signatures depend on them"
	                                     : "",
	           "%lld s from this machine's", (long long)(skew_us / CLOCK_US_PER_SECOND));
}

/* False if there is no answer at base.  ours: octroi's own, so that it may be told the key. */
static bool check_healthz(struct doctor *D, const char *check, const char *base, bool with_clock, bool *ours)
{
	const int64_t before_us = clock_wall_us();
	struct probe_http_answer answer;

	*ours = false;
	if (get_page(base, "/healthz", NULL, &answer) != 0) {
		doctor_say(D, check, DOCTOR_PROBLEM, "start the web server, or correct the URL", "%s: %s", base,
		           answer.error);
		return false;
	}
	if (answer.status == 200 && answer.by_octroi)
		doctor_say(D, check, DOCTOR_OK, "", "%s/healthz answers 200", base);
	else if (!answer.by_octroi && answer.status < 500)
		doctor_say(D, check, DOCTOR_PROBLEM,
		           "give the URL of the site that includes octroi's locations, with the name that it has there "
		           "(server_name, ServerName)",
		           "%s/healthz answers %d, and not by octroi: it is another site's", base, answer.status);
	else
		doctor_say(D, check, DOCTOR_PROBLEM,
		           answer.status == 502 || answer.status == 503
		                   ? "start octroi; let the web server's user into the socket's group"
		                   : "include octroi's locations in the web server's configuration",
		           "%s/healthz answers %d", base, answer.status);
	if (with_clock)
		check_clock(D, before_us, &answer);
	*ours = answer.by_octroi;
	return answer.by_octroi || answer.status >= 500;
}

static void check_readyz(struct doctor *D, const char *base)
{
	struct probe_http_answer answer;

	if (get_page(base, "/readyz", NULL, &answer) != 0)
		doctor_say(D, "readiness", DOCTOR_PROBLEM, "start the web server", "%s", answer.error);
	else if (answer.status == 200)
		doctor_say(D, "readiness", DOCTOR_OK, "", "%s/readyz answers 200", base);
	else
		doctor_say(D, "readiness", DOCTOR_PROBLEM, "see octroi's log and the checks of the database above",
		           "%s/readyz answers %d", base, answer.status);
}

/* ---- headers that arrive --------------------------------------------------------------------- */

/* The status of WHO_PATH with this header, or -1 if there was no answer. */
static int who(const char *base, const char *name, const char *value)
{
	struct probe_http_answer answer;
	char header[HEADER_MAX];

	if (snprintf(header, sizeof(header), "%s: %s", name, value) >= (int)sizeof(header))
		return -1;
	return get_page(base, WHO_PATH, header, &answer) == 0 ? answer.status : -1;
}

static void check_authorization(struct doctor *D, const char *check, const char *base)
{
	char bearer[HEADER_MAX];
	int by_authorization, by_key;

	if (D->key == NULL) {
		doctor_say(D, check, DOCTOR_SKIPPED, "give an API key in OCTROI_DOCTOR_KEY or with --key",
		           "needs a key in force, of any scope");
		return;
	}
	if (snprintf(bearer, sizeof(bearer), "Bearer %s", D->key) >= (int)sizeof(bearer)) {
		doctor_say(D, check, DOCTOR_SKIPPED, "", "this is no API key");
		return;
	}
	by_authorization = who(base, "Authorization", bearer);
	by_key = who(base, "X-Octroi-Key", D->key);
	if (by_authorization < 0 || by_key < 0 || by_authorization >= 500 || by_key >= 500)
		doctor_say(D, check, DOCTOR_PROBLEM, "see octroi's log", "%s answers %d and %d", WHO_PATH,
		           by_authorization, by_key);
	else if (by_authorization == STATUS_NOBODY && by_key == STATUS_NOBODY)
		doctor_say(D, check, DOCTOR_WARNING, "give a key in force (octroictl key list)",
		           "the key is not accepted at all, so this cannot be told");
	else if (by_authorization == STATUS_NOBODY)
		doctor_say(D, check, DOCTOR_PROBLEM, "CGIPassAuth On (Apache), or let callers send X-Octroi-Key",
		           "the web server keeps the Authorization header to itself");
	else if (by_key == STATUS_NOBODY)
		doctor_say(D, check, DOCTOR_WARNING, "do not strip X-Octroi-Key",
		           "Authorization arrives, X-Octroi-Key does not");
	else
		doctor_say(D, check, DOCTOR_OK, "", "Authorization and X-Octroi-Key arrive");
}

/* To octroi, X_Octroi_Key looks like X-Octroi-Key, and Octroi_Account like a forged OCTROI_ACCOUNT. */
static void check_underscores(struct doctor *D, const char *check, const char *base)
{
	const int nobody = who(base, "X-Octroi-Doctor", "1");
	const int forged = who(base, "Octroi_Account", "octroi-doctor");
	const int keyed = D->key != NULL ? who(base, "X_Octroi_Key", D->key) : nobody;

	if (nobody != STATUS_NOBODY)
		doctor_say(D, check, DOCTOR_SKIPPED, "",
		           "%s answers %d without a key (the web server names the account?): this "
		           "cannot be told",
		           WHO_PATH, nobody);
	else if (forged != nobody || keyed != nobody)
		doctor_say(D, check, DOCTOR_PROBLEM, "underscores_in_headers off (nginx)",
		           "headers with underscores arrive, as if they had hyphens");
	else
		doctor_say(D, check, DOCTOR_OK, "", "they do not arrive");
}

static void check_guard(struct doctor *D)
{
	const struct probe_http_request request = {.method = "POST",
	                                           .base = D->url,
	                                           .path = "/api/guard/authorize",
	                                           .headers = {"Content-Type: application/json", "Content-Length: 0"}};
	struct probe_http_answer answer;

	if (probe_http(&request, &answer) != 0)
		doctor_say(D, "guard not public", DOCTOR_PROBLEM, "start the web server", "%s", answer.error);
	else if (answer.status != 401 && answer.status != 400 && answer.status != 415)
		doctor_say(D, "guard not public", DOCTOR_OK, "", "%s/api/guard/authorize answers %d", D->url,
		           answer.status);
	else if (D->ctl->config->listen_internal[0] == '\0')
		doctor_say(D, "guard not public", DOCTOR_SKIPPED,
		           "where more than one socket is possible, set listen_internal and serve the "
		           "guard from there",
		           "listen_internal is not set: the guard is open to everybody who has a key");
	else
		doctor_say(D, "guard not public", DOCTOR_WARNING,
		           "serve /api/guard, /api/accounts and /metrics by the internal web "
		           "server only",
		           "%s/api/guard/authorize is served to everybody who has a key", D->url);
}

static void check_headers(struct doctor *D, const char *authorization, const char *underscores, const char *base)
{
	check_authorization(D, authorization, base);
	check_underscores(D, underscores, base);
}

void doctor_http(struct doctor *D)
{
	bool ours;

	if (D->url == NULL)
		doctor_say(D, "web server", DOCTOR_SKIPPED, "give --url", "no --url");
	else if (check_healthz(D, "web server", D->url, true, &ours)) {
		if (ours)
			check_headers(D, "authorization header", "underscores in headers", D->url);
		check_guard(D);
	}
	if (D->internal_url == NULL)
		doctor_say(D, "internal web server", DOCTOR_SKIPPED, "give --internal-url", "no --internal-url");
	else if (check_healthz(D, "internal web server", D->internal_url, D->url == NULL, &ours)) {
		check_readyz(D, D->internal_url);
		if (ours)
			check_headers(D, "internal authorization header", "internal underscores in headers",
			              D->internal_url);
	}
}
