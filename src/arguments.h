/*
 * arguments: octroi's command line.
 */
#ifndef OCTROI_ARGUMENTS_H
#define OCTROI_ARGUMENTS_H

#include <stdbool.h>

struct arguments {
	const char *path; /* of the configuration; NULL: not said */
	bool test;        /* the configuration is to be checked, and nothing else */
};

/* -1, or the exit status when there is nothing more to do. */
int arguments_read(int argc, char **argv, struct arguments *a);

#endif
