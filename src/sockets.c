#define _GNU_SOURCE
#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/edge.h"

#define PASSED_FD_FIRST 3

static int complain_socket(const char *what)
{
	(void)fprintf(stderr, "octroi: %s\n", what);
	return -1;
}

static bool is_listening(int fd)
{
	int on = 0;
	socklen_t length = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &length) == 0 && on != 0;
}

static long port_number(const char *text)
{
	char *end;
	long number;

	if (text == NULL)
		return 0;
	errno = 0;
	number = strtol(text, &end, 10);
	return errno == 0 && *end == '\0' ? number : 0;
}

/* True if the at-th name of LISTEN_FDNAMES ("public:internal") says that the socket is the internal one.  Without
 * names that is the second socket. */
static bool passed_internal(const char *names, int at)
{
	if (names == NULL || strstr(names, "internal") == NULL)
		return at == 1;
	for (int i = 0; i < at; i++)
		names += strcspn(names, ":") + (names[strcspn(names, ":")] == ':' ? 1 : 0);
	return memmem(names, strcspn(names, ":"), "internal", strlen("internal")) != NULL;
}

/* sd_listen_fds(3) by hand.  How many sockets were passed, or -1. */
static int take_passed(struct sockets *s)
{
	const char *names = getenv("LISTEN_FDNAMES");
	long count = port_number(getenv("LISTEN_FDS"));

	if (count <= 0 || port_number(getenv("LISTEN_PID")) != (long)getpid())
		return 0;
	if (count > 2)
		return complain_socket("more than two sockets were passed");
	for (int i = 0; i < count; i++) {
		int fd = PASSED_FD_FIRST + i;

		if (!is_listening(fd) || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			return complain_socket("a descriptor that was passed is no listening socket");
		*(passed_internal(names, i) ? &s->internal_fd : &s->public_fd) = fd;
	}
	return (int)count;
}

/* The router serves internal routes on the public socket too, unless listen_internal is set.  A passed internal
 * socket sets it. */
static int name_internal(struct config *c)
{
	if (c->listen_internal[0] != '\0')
		return 0;
	free(c->listen_internal);
	c->listen_internal = strdup("fd");
	return c->listen_internal != NULL ? 0 : -1;
}

static int listen_where(const char *address, int *fd)
{
	if (*fd >= 0 || address[0] == '\0')
		return 0;
	*fd = edge_listen(address);
	return *fd >= 0 ? 0 : -1;
}

int sockets_find(struct sockets *s, struct config *c)
{
	int passed;

	s->public_fd = s->internal_fd = -1;
	passed = take_passed(s);
	if (passed < 0)
		return -1;
	if (passed == 0 && is_listening(STDIN_FILENO)) {
		s->from = SOCKETS_STDIN;
		s->public_fd = STDIN_FILENO;
		return 0;
	}
	s->from = passed > 0 ? SOCKETS_PASSED : SOCKETS_CONFIGURED;
	if (s->internal_fd >= 0 && name_internal(c) < 0)
		return complain_socket("no memory");
	if (listen_where(c->listen, &s->public_fd) < 0 || listen_where(c->listen_internal, &s->internal_fd) < 0)
		return -1;
	if (s->public_fd < 0 && s->internal_fd < 0)
		return complain_socket(
			"nowhere to listen: set listen in octroi.conf, or pass a socket as fd 3 or fd 0");
	return 0;
}

int sockets_find_one(const char *address)
{
	struct sockets s = {.public_fd = -1, .internal_fd = -1};
	const int passed = take_passed(&s);

	if (passed < 0)
		return -1;
	if (passed > 1 || (passed == 1 && s.public_fd < 0))
		return complain_socket("more than one socket was passed, or its name is another one's");
	if (passed == 0 && address[0] == '\0')
		return complain_socket("nowhere to listen: set listen, or pass a socket as fd 3");
	return passed == 1 ? s.public_fd : edge_listen(address);
}

const char *sockets_name(const struct sockets *s)
{
	if (s->from == SOCKETS_STDIN)
		return "standard input";
	return s->from == SOCKETS_PASSED ? "passed" : "configured";
}

void sockets_notify(const char *state)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path != NULL ? strlen(path) : 0;
	int fd;

	if (length < 2 || length >= sizeof(name.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(name.sun_path, path, length);
	if (path[0] == '@')
		name.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&name,
	           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		log_event(LOG_LEVEL_WARNING, "notify_failed", LOG_TEXT("error", strerror(errno)));
	close(fd);
}
