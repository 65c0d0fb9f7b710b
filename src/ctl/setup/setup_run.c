#include "ctl/setup/setup_run.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/setup/setup.h"

extern char **environ;

/* Returns the program's status, or -1 when it did not run or was ended by a signal. */
static int status_of(const char *const *words, bool quiet)
{
	posix_spawn_file_actions_t actions;
	int failed, status = 0;
	pid_t pid;

	if (posix_spawn_file_actions_init(&actions) != 0)
		return -1;
	failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	for (int fd = STDOUT_FILENO; quiet && failed == 0 && fd <= STDERR_FILENO; fd++)
		failed = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
	if (failed == 0) /* the program takes words that it does not change */
		failed = posix_spawnp(&pid, words[0], &actions, NULL, (char *const *)(uintptr_t)words, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	if (failed != 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool setup_run_quietly(const char *const *words)
{
	return status_of(words, true) == 0;
}

int setup_run(const struct setup *S, const char *const *words)
{
	(void)fputs(S->dry_run ? "would run " : "run       ", stdout);
	for (int i = 0; words[i] != NULL; i++)
		(void)printf("%s%s", i > 0 ? " " : "", words[i]);
	(void)putchar('\n');
	(void)fflush(stdout);
	if (S->dry_run || status_of(words, false) == 0)
		return CTL_OK;
	return ctl_fail("%s failed", words[0]);
}
