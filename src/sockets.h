/*
 * sockets: finds the listening sockets, by how octroi was started.  Either systemd has passed them (LISTEN_FDS), or
 * one is standard input (mod_fcgid, spawn-fcgi), else the configuration names them.  Notifies systemd.
 */
#ifndef OCTROI_SOCKETS_H
#define OCTROI_SOCKETS_H

#include "config.h"

enum sockets_from { SOCKETS_CONFIGURED, SOCKETS_PASSED, SOCKETS_STDIN };

struct sockets {
	enum sockets_from from;
	int public_fd, internal_fd; /* -1: none */
};

/* Opens or takes the sockets; 0, or -1, explained on stderr or in the log.  A passed internal socket is named in c. */
int sockets_find(struct sockets *s, struct config *c);
/* The one socket that systemd has passed, or the one of the address.  -1, explained on stderr or in the log. */
int sockets_find_one(const char *address);
/* The sockets' origin in words, for the log. */
const char *sockets_name(const struct sockets *s);

/* Tells systemd (Type=notify) the state, if systemd asked to be told. */
void sockets_notify(const char *state);

#endif
