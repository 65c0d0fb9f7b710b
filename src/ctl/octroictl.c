/*
 * octroictl: the operator's commands, which need no SQL.  Finds the row of ctl_commands.def that the
 * arguments name and runs its handler.
 */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/nearest.h"
#include "base/sandbox.h"
#include "ctl/ctl.h"

#ifndef OCTROI_VERSION
#error "OCTROI_VERSION is to come from the build"
#endif

struct row {
	const char *words;
	ctl_handler *handler;
	const char *synopsis, *help;
};

static const struct row rows[] = {
#define CTL(words, handler, synopsis, help) {words, handler, synopsis, help},
#include "ctl/ctl_commands.def"
#undef CTL
};

/* The options before the command. */
struct globals {
	const char *conf; /* NULL: the usual place */
	bool json, csv;
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static void print_row(FILE *out, const struct row *row)
{
	(void)fprintf(out, "  %s%s%s\n      %s\n", row->words, *row->synopsis != '\0' ? " " : "", row->synopsis,
	              row->help);
}

/* Prints the commands that begin with word; all commands if none does. */
static void usage(FILE *out, const char *word)
{
	size_t length = word == NULL ? 0 : strlen(word);
	bool some = false;

	(void)fputs("usage: octroictl [-c FILE] [--json|--csv] COMMAND …\n\n", out);
	for (size_t i = 0; i < ROW_COUNT; i++) {
		if (length > 0 && (strncmp(rows[i].words, word, length) != 0 || rows[i].words[length] > ' '))
			continue;
		print_row(out, &rows[i]);
		some = true;
	}
	for (size_t i = 0; !some && i < ROW_COUNT; i++)
		print_row(out, &rows[i]);
	(void)fputs("\n-c FILE: octroi.conf; without it $OCTROI_CONF, then "
	            "/etc/octroi/octroi.conf.  See octroictl(8).\n",
	            out);
}

/* The number of the row's words if argv begins with them, else 0. */
static int matches(const struct row *row, int argc, char **argv)
{
	const char *words = row->words;
	int count = 0;

	for (; count < argc && *words != '\0'; count++) {
		size_t length = strcspn(words, " ");

		if (strlen(argv[count]) != length || strncmp(argv[count], words, length) != 0)
			return 0;
		words += length;
		words += *words == ' ';
	}
	return *words == '\0' ? count : 0;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0)
			return true;
	return false;
}

/* Whether the reader of stdout has gone: it has read enough, which is no error. */
static bool is_unread(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

static int run_command(const struct row *row, const struct globals *g, int argc, char **argv)
{
	struct config config = {0};
	char error[CONF_ERROR_MAX];
	struct ctl c = {.config = &config,
	                .conf = g->conf,
	                .command = row->words,
	                .synopsis = row->synopsis,
	                .json = g->json,
	                .csv = g->csv,
	                .argc = argc,
	                .argv = argv};
	int result;

	/* The script of completion is for every user, the configuration is not.  setup reads it, and writes it. */
	if (row->handler != ctl_completion && row->handler != ctl_setup && config_load(&config, g->conf, error) != 0) {
		result = ctl_fail("%s", error);
		goto done;
	}
	result = row->handler(&c);
	ctl_close(&c);
	log_flush();
	if ((fflush(stdout) != 0 || ferror(stdout)) && !is_unread())
		result = ctl_fail("cannot write to stdout");
done:
	config_free(&config);
	return result;
}

/* ---- unknown commands -------------------------------------------------------------------------- */

#define WORDS_MAX 64

/* The command whose words are nearest to the two first arguments. */
static const char *nearest_command(const char *said, int arguments)
{
	struct nearest n = {.said = said};

	for (size_t i = 0; i < ROW_COUNT; i++) {
		char words[WORDS_MAX];

		(void)snprintf(words, sizeof(words), "%s", rows[i].words);
		if (arguments == 1)
			words[strcspn(words, " ")] = '\0';
		nearest_offer(&n, words, rows[i].words);
	}
	return n.name;
}

/* Whether a command begins with the word. */
static bool begins(const char *word)
{
	const size_t length = strlen(word);

	for (size_t i = 0; i < ROW_COUNT; i++)
		if (strncmp(rows[i].words, word, length) == 0 && rows[i].words[length] == ' ')
			return true;
	return false;
}

/* Says that the arguments name no command, and which is nearest. */
static int unknown(int argc, char **argv, bool json)
{
	char said[WORDS_MAX];
	int words = argc < 2 || argv[1][0] == '-' ? 1 : 2;

	if (argc == 0 || (words == 1 && begins(argv[0]) && !json)) {
		usage(stderr, argc > 0 ? argv[0] : NULL);
		return CTL_FAILED;
	}
	(void)snprintf(said, sizeof(said), "%s%s%s", argv[0], words == 2 ? " " : "", words == 2 ? argv[1] : "");
	return ctl_wrong("there is no command '%s'; the nearest is '%s' (see octroictl --help)", said,
	                 nearest_command(said, words));
}

/* Reads the options before the command; returns the index of the command's first word, or -1. */
static int global_options(int argc, char **argv, struct globals *g)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			g->json = true;
		} else if (strcmp(argv[i], "--csv") == 0) {
			g->csv = true;
		} else if (strcmp(argv[i], "-c") == 0 && i + 1 < argc) {
			g->conf = argv[++i];
		} else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			usage(stdout, i + 1 < argc ? argv[i + 1] : NULL);
			exit(CTL_OK);
		} else if (strcmp(argv[i], "--version") == 0) {
			(void)puts("octroictl " OCTROI_VERSION);
			exit(CTL_OK);
		} else {
			(void)ctl_wrong("unknown option %s (see octroictl --help)", argv[i]);
			return -1;
		}
	}
	return i;
}

int main(int argc, char **argv)
{
	struct globals g = {.conf = NULL};
	int at;

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			ctl_errors_as_json();
	at = global_options(argc, argv, &g);
	if (at < 0)
		return CTL_FAILED;
	(void)sandbox_keep_private();   /* passwords are read; octroictl also works without */
	(void)signal(SIGPIPE, SIG_IGN); /* the database's connection reports its own end */
	if (log_open(NULL, LOG_LEVEL_WARNING) != 0)
		return ctl_fail("cannot open the log");
	for (size_t i = 0; i < ROW_COUNT; i++) {
		int words = matches(&rows[i], argc - at, argv + at);

		if (words == 0)
			continue;
		if (wants_help(argc - at, argv + at)) {
			usage(stdout, rows[i].words);
			return CTL_OK;
		}
		return run_command(&rows[i], &g, argc - at - words, argv + at + words);
	}
	return unknown(argc - at, argv + at, g.json);
}
