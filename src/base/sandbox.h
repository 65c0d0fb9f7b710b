/*
 * sandbox: the rights that the daemon gives up once it listens, so that an intruder can do little.
 * The process gets no new privileges, no core file and no debugger of the same user.  A filter of
 * system calls (seccomp) keeps the process from starting programs, and from looking into or signalling
 * other processes.  Files are written at their end only, and no page is both written and executed.
 * For the whole process: call it before the first thread.
 */
#ifndef OCTROI_BASE_SANDBOX_H
#define OCTROI_BASE_SANDBOX_H

#include <stdbool.h>

/* Keeps the process's memory out of core files and from debuggers, and gives up gaining privileges.
 * 0, or -1 with errno. */
int sandbox_keep_private(void);

/* True if this build has a filter. */
bool sandbox_built(void);

/* Puts the filter in force, for good.  0, or -1 with errno (the kernel, or a container, has none). */
int sandbox_enter(void);

/* Calls sandbox_keep_private and sandbox_enter if wanted is "on" or "auto"; does nothing if it is "off".  NULL, or the
 * reason why there is no filter, which is logged.  *name: the sandbox in force, for the log. */
const char *sandbox_confine(const char *wanted, const char **name);

#endif
