/*
 * address: tells addresses of the Internet from those of this machine and of private nets (nets.def).  A server that is
 * asked by name must not lead back inside.  Thread-safe.
 */
#ifndef OCTROI_CLIENTS_ADDRESS_H
#define OCTROI_CLIENTS_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* True if the address is of the Internet, by its net alone.  Pure. */
bool address_is_public(const struct sockaddr *address);
/* True if it is also none of this machine's own addresses. */
bool address_is_outside(const struct sockaddr *address);

#endif
