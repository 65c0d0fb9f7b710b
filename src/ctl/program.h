/*
 * program: runs another program and waits for its end.  One thread.
 */
#ifndef OCTROI_CTL_PROGRAM_H
#define OCTROI_CTL_PROGRAM_H

/* Its files.  PROGRAM_NOTHING: /dev/null. */
#define PROGRAM_NOTHING (-1)
struct program {
	const char *const *words; /* the name, looked for in PATH, and its arguments; NULL at the end */
	int in, out, error;
};

/* Runs it.  Returns its exit status, or -1 if it did not run or was ended by a signal. */
int program_run(const struct program *p);

#endif
