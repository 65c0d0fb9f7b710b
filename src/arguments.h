/*
 * arguments: the command line of a daemon: octroi, or octroi-meter.
 */
#ifndef OCTROI_ARGUMENTS_H
#define OCTROI_ARGUMENTS_H

#include <stdbool.h>

struct arguments {
	const char *path; /* of the configuration; NULL: not said */
	bool test;        /* the configuration is to be checked, and nothing else */
};

/* program: its name.  places: of its configuration, in words.  -1, or the exit status when there is nothing more to
 * do. */
int arguments_read(int argc, char **argv, const char *program, const char *places, struct arguments *a);

#endif
