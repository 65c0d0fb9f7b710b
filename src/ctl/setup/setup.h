/*
 * setup: the steps that lead from an installed octroi to its first request.  Each step of steps.def looks whether its
 * work is done, says so, and does the rest.  ctl_setup.c asks, runs them and ends with doctor.  One thread.
 */
#ifndef OCTROI_CTL_SETUP_SETUP_H
#define OCTROI_CTL_SETUP_SETUP_H

#include "ctl/ctl.h"
#include "ctl/ctl_key.h"

#define SETUP_PATH_MAX 512
/* An account of the operator, with one unit, for the first request. */
#define SETUP_TRIAL_ACCOUNT "setup-trial"

/* The one in the shipped files. */
#define SETUP_INTERNAL_ADDRESS "127.0.0.1:8081"

/* The answers: options of the command, or asked for; NULL where nothing was said. */
struct setup_answers {
#define ANSWER(name, option, fallback, question) const char *name;
#include "ctl/setup/answers.def"
#undef ANSWER
};

struct setup {
	struct ctl *ctl; /* with the configuration as the file says it now */
	struct setup_answers answers;
	struct config config;
	/* octroi.conf, its directory, and the one of secrets there */
	char conf[SETUP_PATH_MAX], directory[SETUP_PATH_MAX], secrets[SETUP_PATH_MAX];
	int lock;               /* descriptor of the directory, which no other setup has, or -1 */
	char key[KEY_TEXT_MAX]; /* the key made by this run, or "" */
	const char *web;        /* the web server that was set up, or NULL */
	bool dry_run, no_start;
	bool has_tables, has_prices;
	bool conf_changed, web_changed; /* by this run: a running program has to read it again */
	bool web_restart;               /* the web server has a new module */
	bool served;                    /* it passes requests on to octroi */
};

/* The fate of a thing that a step looks at. */
enum setup_state { SETUP_KEPT, SETUP_MADE, SETUP_BY_HAND };

/* Prints a line: "kept", "made" (or "would make" with --dry-run) or "by hand", and the sentence. */
void setup_say(const struct setup *S, enum setup_state state, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Runs a query that selects a number; CTL_OK, or CTL_FAILED, explained. */
int setup_count(struct setup *S, const struct buf *sql, int64_t *number);

/* The database's administrator, and the host part of octroi's own user there. */
const char *setup_admin_user(const struct setup *S);
const char *setup_grant_host(const struct setup *S);
/* The web server's place for the application. */
const char *setup_internal_address(const struct setup *S);
/* Whether octroi reaches the database by a socket of this machine. */
bool setup_by_socket(const struct setup *S);

/* Each does its step: CTL_OK, or CTL_FAILED, explained on stderr. */
#define STEP(name) int setup_##name(struct setup *S);
#include "ctl/setup/steps.def"
#undef STEP

/* Makes the secret of that name unless its file is there, and names the file in the text of octroi.conf. */
int setup_configuration_secret(struct setup *S, struct buf *text, const char *name);
/* Checks the new text of octroi.conf, and writes it where it differs from that of before. */
int setup_configuration_store(struct setup *S, const struct buf *before, const struct buf *text);
/* Reads octroi.conf again; CTL_OK, or CTL_FAILED, explained. */
int setup_configuration_reload(struct setup *S);
/* Runs another command of octroictl with these arguments (NULL at the end), after a line that shows it. */
int setup_command(struct setup *S, ctl_handler *handler, const char *words, const char *const *arguments);
#endif
