/*
 * sockets: where octroi listens, by how it was started: with sockets passed by systemd (LISTEN_FDS), with one as
 * standard input (mod_fcgid, spawn-fcgi), else where the configuration names; and what systemd is told.
 */
#ifndef OCTROI_SOCKETS_H
#define OCTROI_SOCKETS_H

#include "config.h"

enum sockets_from { SOCKETS_CONFIGURED, SOCKETS_PASSED, SOCKETS_STDIN };

struct sockets {
	enum sockets_from from;
	int public_fd, internal_fd; /* -1: none */
};

/* Opens or takes them; 0, or -1, explained on stderr or in the log.  A passed internal socket is named in c. */
int sockets_find(struct sockets *s, struct config *c);
/* In words, for the log. */
const char *sockets_name(const struct sockets *s);

/* Tells systemd (Type=notify), if it asked to be told. */
void sockets_notify(const char *state);

#endif
