/*
 * setup_run: runs the machine's own programs (systemctl, a2enmod, nginx -t).
 */
#ifndef OCTROI_CTL_SETUP_SETUP_RUN_H
#define OCTROI_CTL_SETUP_SETUP_RUN_H

#include <stdbool.h>

struct setup;

/* Runs a program of the path with these arguments (NULL at the end), after a line that shows it; with --dry-run it only
 * shows the line.  CTL_OK, or CTL_FAILED, explained, when it could not be run or its status was not 0. */
int setup_run(const struct setup *S, const char *const *words);
/* Runs a program that only looks, also with --dry-run: whether its status was 0.  Its output is dropped. */
bool setup_run_quietly(const char *const *words);

#endif
