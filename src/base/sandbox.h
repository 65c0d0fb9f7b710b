/*
 * sandbox: what the daemon gives up once it listens, so that whoever takes it over has little to go on
 * with.  No new privileges, no core file, no debugger of the same user; and a filter of system calls
 * (seccomp): none that starts a program, none that looks into or signals another process, no file
 * written but at its end, no page both written and executed.  For the whole process: call it before
 * the first thread.
 */
#ifndef OCTROI_BASE_SANDBOX_H
#define OCTROI_BASE_SANDBOX_H

#include <stdbool.h>

/* Keeps what is in memory out of core files and from debuggers, and gives up gaining privileges.
 * 0, or -1 with errno. */
int sandbox_keep_private(void);

/* Whether this build has a filter. */
bool sandbox_built(void);

/* Puts the filter in force, for good.  0, or -1 with errno (the kernel, or a container, has none). */
int sandbox_enter(void);

/* Both, as the setting says: "off", "on" or "auto".  NULL, or why there is no filter, which is logged; *name: what is
 * in force, for the log. */
const char *sandbox_confine(const char *wanted, const char **name);

#endif
