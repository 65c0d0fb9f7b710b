#include "ctl/setup/setup.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ARGUMENTS_MAX 16

void setup_say(const struct setup *S, enum setup_state state, const char *format, ...)
{
	static const char *const words[] = {"kept", "made", "by hand"};
	va_list arguments;

	(void)printf("%-9s ", state == SETUP_MADE && S->dry_run ? "would be" : words[state]);
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	(void)putchar('\n');
	(void)fflush(stdout);
}

int setup_command(struct setup *S, ctl_handler *handler, const char *words, const char *const *arguments)
{
	struct ctl *c = S->ctl;
	const struct ctl before = *c;
	char *argv[ARGUMENTS_MAX];
	int argc = 0, result;

	(void)printf("%s octroictl %s", S->dry_run ? "would run" : "run      ", words);
	for (; arguments[argc] != NULL && argc < ARGUMENTS_MAX; argc++) {
		argv[argc] = (char *)(uintptr_t)arguments[argc]; /* commands change no argument */
		(void)printf(strchr(arguments[argc], ' ') != NULL ? " '%s'" : " %s", arguments[argc]);
	}
	(void)putchar('\n');
	(void)fflush(stdout);
	if (S->dry_run)
		return CTL_OK;
	c->command = words;
	c->argc = argc;
	c->argv = argv;
	result = handler(c);
	c->command = before.command;
	c->argc = before.argc;
	c->argv = before.argv;
	return result;
}

static int take_count(void *context, const struct db_row *row)
{
	*(int64_t *)context = db_int(row, 0);
	return CTL_OK;
}

int setup_count(struct setup *S, const struct buf *sql, int64_t *number)
{
	*number = 0;
	return ctl_rows(S->ctl, sql, take_count, number);
}

const char *setup_admin_user(const struct setup *S)
{
	return S->answers.admin_user != NULL ? S->answers.admin_user : "root";
}

const char *setup_internal_address(const struct setup *S)
{
	return S->answers.internal_address != NULL ? S->answers.internal_address : SETUP_INTERNAL_ADDRESS;
}

bool setup_by_socket(const struct setup *S)
{
	return S->config.db_socket[0] != '\0' || S->config.db_host[0] == '\0';
}

const char *setup_grant_host(const struct setup *S)
{
	if (S->answers.grant_host != NULL)
		return S->answers.grant_host;
	return setup_by_socket(S) ? "localhost" : "%";
}
