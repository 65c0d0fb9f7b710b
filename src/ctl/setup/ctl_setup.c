#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "ctl/setup/setup.h"
#include "ctl/setup/setup_file.h"

#define CONF_PATH "/etc/octroi/octroi.conf"
#define ANSWER_MAX 256
#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-"
#define TRIAL_MODEL "gpt-4o-mini"

/* ---- asking ------------------------------------------------------------------------------------ */

/* Asks for what was not said.  An empty line takes the fallback. */
static void ask(const char *question, const char *fallback, const char **answer, char space[ANSWER_MAX])
{
	if (*answer != NULL || *question == '\0')
		return;
	(void)printf("%s [%s]: ", question, fallback);
	(void)fflush(stdout);
	if (fgets(space, ANSWER_MAX, stdin) == NULL)
		return;
	space[strcspn(space, "\r\n")] = '\0';
	if (*space != '\0')
		*answer = space;
}

struct said {
#define ANSWER(member, option, fallback, question) char member[ANSWER_MAX];
#include "ctl/setup/answers.def"
#undef ANSWER
};

static int ask_all(struct setup *S, struct said *said, bool yes)
{
	if (yes || S->dry_run)
		return CTL_OK;
	if (!isatty(STDIN_FILENO))
		return ctl_wrong("setup: nobody can be asked here: --yes takes the usual answers, --dry-run shows what "
		                 "would be done");
#define ANSWER(member, option, fallback, question) ask(question, fallback, &S->answers.member, said->member);
#include "ctl/setup/answers.def"
#undef ANSWER
	return CTL_OK;
}

/* ---- the end ----------------------------------------------------------------------------------- */

/* Prints the key that this run made, also when it stopped later: only its digest is stored. */
static void show_key(const struct setup *S)
{
	if (S->key[0] != '\0')
		(void)printf("\nThe application's key, which is shown only now:\n  %s\n", S->key);
}

/* Prints the first request, ready to be typed. */
static void show_request(const struct setup *S)
{
	show_key(S);
	if (S->key[0] == '\0')
		(void)printf(
			"\nYOUR-KEY was shown when it was made; octroictl key create --scope guard makes another.\n");
	(void)printf("\nThe first request%s:\n"
	             "  curl -sS http://%s/api/guard/authorize -H 'Authorization: Bearer %s' -H 'Content-Type: "
	             "application/json' -d '{\"account\":\"" SETUP_TRIAL_ACCOUNT "\",\"model\":\"" TRIAL_MODEL
	             "\",\"requestId\":\"first\"}'\n",
	             S->has_prices ? "" : ", which is refused until its model has a price", setup_internal_address(S),
	             S->key[0] != '\0' ? S->key : "YOUR-KEY");
}

static int finish(struct setup *S)
{
	char url[ANSWER_MAX];
	const char *const none[] = {NULL}, *const served[] = {"--internal-url", url, NULL};
	int result;

	(void)snprintf(url, sizeof(url), "http://%s", setup_internal_address(S));
	result = setup_command(S, ctl_doctor, "doctor", S->served ? served : none);
	if (!S->dry_run)
		show_request(S);
	return result == CTL_FAILED ? CTL_FAILED : CTL_OK;
}

static int run_steps(struct setup *S)
{
	static int (*const steps[])(struct setup *) = {
#define STEP(name) setup_##name,
#include "ctl/setup/steps.def"
#undef STEP
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (steps[i](S) == CTL_OK)
			continue;
		show_key(S);
		return ctl_fail("setup stopped; run it again when this is mended: done steps are kept");
	}
	return finish(S);
}

/* Finds octroi.conf and the directory of secrets beside it. */
static int find_paths(struct setup *S)
{
	const char *environment = getenv("OCTROI_CONF");
	const char *path = S->ctl->conf != NULL ? S->ctl->conf : environment != NULL ? environment : CONF_PATH;
	const char *slash = strrchr(path, '/');

	if (slash == NULL || strlen(path) + sizeof("secrets") > SETUP_PATH_MAX / 2)
		return ctl_wrong("setup: octroi.conf needs a whole path (-c), not '%s'", path);
	(void)snprintf(S->conf, sizeof(S->conf), "%s", path);
	(void)snprintf(S->directory, sizeof(S->directory), "%.*s", (int)(slash - path) + 1, path);
	(void)snprintf(S->secrets, sizeof(S->secrets), "%.*ssecrets", (int)(slash - path) + 1, path);
	return CTL_OK;
}

/* Makes the directory of octroi.conf, and keeps other setups out of it until the end. */
static int enter_directory(struct setup *S)
{
	if (S->dry_run)
		return CTL_OK;
	if (access(S->directory, F_OK) != 0) {
		setup_say(S, SETUP_MADE, "%s", S->directory);
		if (setup_file_directory(S->directory, SETUP_PUBLIC) != CTL_OK)
			return CTL_FAILED;
	}
	S->lock = open(S->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (S->lock < 0)
		return ctl_fail("%s: %s", S->directory, strerror(errno));
	if (flock(S->lock, LOCK_EX | LOCK_NB) == 0)
		return CTL_OK;
	return ctl_fail("another octroictl setup runs: %s is locked", S->directory);
}

/* Both are written into the web server's files as they are. */
static int check_names(const struct setup_answers *a)
{
	if (a->server_name != NULL &&
	    (*a->server_name == '\0' || strspn(a->server_name, NAME_LETTERS) != strlen(a->server_name)))
		return ctl_wrong("setup: --server-name is a host name, not '%s'", a->server_name);
	if (a->internal_address != NULL &&
	    (strchr(a->internal_address, ':') == NULL ||
	     strspn(a->internal_address, NAME_LETTERS "[]:") != strlen(a->internal_address)))
		return ctl_wrong("setup: --internal-address is ADDRESS:PORT, not '%s'", a->internal_address);
	return CTL_OK;
}

int ctl_setup(struct ctl *c)
{
	struct setup S = {.ctl = c, .lock = -1};
	struct said said;
	bool yes = false;
	const struct ctl_option options[] = {
#define ANSWER(member, option, fallback, question) {.name = option, .value = &S.answers.member},
#include "ctl/setup/answers.def"
#undef ANSWER
		{.name = "--dry-run", .flag = &S.dry_run},
		{.name = "--no-start", .flag = &S.no_start},
		{.name = "--yes", .flag = &yes},
		{0},
	};
	int result;

	if (ctl_arguments(c, options, NULL, 0, 0) < 0)
		return CTL_FAILED;
	if (c->json)
		return ctl_wrong("setup talks to a person: it has no --json");
	c->config = &S.config;
	result = check_names(&S.answers);
	if (result == CTL_OK)
		result = find_paths(&S);
	if (result == CTL_OK)
		result = ask_all(&S, &said, yes);
	if (result == CTL_OK)
		result = enter_directory(&S);
	if (result == CTL_OK)
		result = run_steps(&S);
	ctl_close(c);
	c->config = NULL;
	config_free(&S.config);
	if (S.lock >= 0)
		(void)close(S.lock);
	return result;
}
