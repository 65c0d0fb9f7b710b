#include "ctl/setup/setup_run.h"

#include <stdio.h>
#include <unistd.h>

#include "ctl/program.h"
#include "ctl/setup/setup.h"

bool setup_run_quietly(const char *const *words)
{
	const struct program p = {
		.words = words, .in = PROGRAM_NOTHING, .out = PROGRAM_NOTHING, .error = PROGRAM_NOTHING};

	return program_run(&p) == 0;
}

int setup_run(const struct setup *S, const char *const *words)
{
	const struct program p = {.words = words, .in = PROGRAM_NOTHING, .out = STDOUT_FILENO, .error = STDERR_FILENO};

	(void)fputs(S->dry_run ? "would run " : "run       ", stdout);
	for (int i = 0; words[i] != NULL; i++)
		(void)printf("%s%s", i > 0 ? " " : "", words[i]);
	(void)putchar('\n');
	(void)fflush(stdout);
	return S->dry_run || program_run(&p) == 0 ? CTL_OK : ctl_fail("%s failed", words[0]);
}
