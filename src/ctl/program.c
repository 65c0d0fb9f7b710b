#include "ctl/program.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int put_file(posix_spawn_file_actions_t *actions, int from, int to)
{
	if (from == PROGRAM_NOTHING)
		return posix_spawn_file_actions_addopen(actions, to, "/dev/null", O_RDWR, 0);
	return from == to ? 0 : posix_spawn_file_actions_adddup2(actions, from, to);
}

int program_run(const struct program *p)
{
	posix_spawn_file_actions_t actions;
	int failed, status = 0;
	pid_t pid = 0;

	if (posix_spawn_file_actions_init(&actions) != 0)
		return -1;
	failed = put_file(&actions, p->in, STDIN_FILENO);
	if (failed == 0)
		failed = put_file(&actions, p->out, STDOUT_FILENO);
	if (failed == 0)
		failed = put_file(&actions, p->error, STDERR_FILENO);
	if (failed == 0) /* no word is changed: argv is not const for history's sake (POSIX, exec) */
		failed = posix_spawnp(&pid, p->words[0], &actions, NULL, (char *const *)(uintptr_t)p->words, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	if (failed != 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
