/*
 * client_program: runs MariaDB's own client programs with octroi's login.  No password stands in an argument or in the
 * environment: the program reads the login from an unnamed file.  One thread.
 */
#ifndef OCTROI_CTL_CLIENT_PROGRAM_H
#define OCTROI_CTL_CLIENT_PROGRAM_H

#include "db/db.h"

#define CLIENT_ARGUMENTS_MAX 24

/* Runs name (else the older name, where that is installed) with the login and these arguments (NULL at the end).  in
 * and out are files, or PROGRAM_NOTHING.  CTL_OK, or CTL_FAILED, explained on stderr. */
int client_program_run(const struct db_options *login, const char *name, const char *older,
                       const char *const *arguments, int in, int out);

#endif
