/*
 * listen: opens octroi's own listening sockets.  FCGX_OpenSocket is not used: it steals a live socket, leaves its mode
 * to the umask and ends the process when it cannot bind.
 */
#ifndef OCTROI_EDGE_LISTEN_H
#define OCTROI_EDGE_LISTEN_H

/* As edge_listen (edge.h). */
int listen_open(const char *address);

#endif
