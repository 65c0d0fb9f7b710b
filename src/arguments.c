#include "arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int print_usage(FILE *out, const char *program, const char *places)
{
	fprintf(out,
	        "usage: %s [-c FILE] [-t | -V | -h]\n"
	        "  -c FILE  configuration (default %s)\n"
	        "  -t       check the configuration and exit\n"
	        "  -V       print the version and exit\n"
	        "  -h       print this and exit\n",
	        program, places);
	return out == stdout ? EXIT_SUCCESS : 2;
}

int arguments_read(int argc, char **argv, const char *program, const char *places, struct arguments *a)
{
	int option;

	*a = (struct arguments){0};
	for (option = getopt(argc, argv, "c:tVh"); option != -1; option = getopt(argc, argv, "c:tVh")) {
		switch (option) {
		case 'c':
			a->path = optarg;
			break;
		case 't':
			a->test = true;
			break;
		case 'V':
			printf("%s %s\n", program, OCTROI_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			return print_usage(stdout, program, places);
		default:
			return print_usage(stderr, program, places);
		}
	}
	return optind < argc ? print_usage(stderr, program, places) : -1;
}
