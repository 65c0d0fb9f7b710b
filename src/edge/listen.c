#define _GNU_SOURCE
#include "edge/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

#define UNIX_PREFIX "unix:"
#define SOCKET_MODE 0660
/* More than any burst of connections between two accepts; the kernel cuts it to net.core.somaxconn. */
#define BACKLOG 4096

static int fault(const char *address, const char *what)
{
	log_event(LOG_LEVEL_ERROR, "listen_failed", LOG_TEXT("address", address), LOG_TEXT("step", what),
	          LOG_TEXT("error", strerror(errno)));
	return -1;
}

static int refuse_address(const char *address, const char *why)
{
	log_event(LOG_LEVEL_ERROR, "listen_refused", LOG_TEXT("address", address), LOG_TEXT("why", why));
	return -1;
}

static int stream_socket(int family)
{
	return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* True if a process accepts connections at the address. */
static bool unix_live(const struct sockaddr_un *name)
{
	int fd = stream_socket(AF_UNIX);
	bool live;

	if (fd < 0)
		return true; /* unknown: better refuse to start than steal a socket */
	live = connect(fd, (const struct sockaddr *)name, sizeof(*name)) == 0 || errno == EAGAIN;
	close(fd);
	return live;
}

/* Removes a socket file on which no process listens any more.  0 when the path is free then. */
static int unix_clear(const char *address, const struct sockaddr_un *name)
{
	struct stat status;

	if (lstat(name->sun_path, &status) < 0)
		return errno == ENOENT ? 0 : fault(address, "stat");
	if (!S_ISSOCK(status.st_mode))
		return refuse_address(address, "the path exists and is no socket");
	if (unix_live(name))
		return refuse_address(address, "another process listens there");
	return unlink(name->sun_path) == 0 ? 0 : fault(address, "unlink");
}

static int unix_open(const char *address, const char *path)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	size_t length = strlen(path);
	int fd;

	if (path[0] != '/' || length >= sizeof(name.sun_path))
		return refuse_address(address, "unix: needs an absolute path of at most 107 bytes");
	memcpy(name.sun_path, path, length + 1);
	if (unix_clear(address, &name) < 0)
		return -1;
	fd = stream_socket(AF_UNIX);
	if (fd < 0)
		return fault(address, "socket");
	/* The descriptor's mode bounds the mode of the new file until chmod sets it, whatever the umask is. */
	if (fchmod(fd, SOCKET_MODE) == 0 && bind(fd, (const struct sockaddr *)&name, sizeof(name)) == 0 &&
	    chmod(path, SOCKET_MODE) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	(void)fault(address, "listen");
	close(fd);
	return -1;
}

/* 1 to 65535, or 0 when it is no port. */
static in_port_t port_parse(const char *text)
{
	char *end;
	long port;

	if (text[0] < '0' || text[0] > '9')
		return 0;
	errno = 0;
	port = strtol(text, &end, 10);
	return errno == 0 && *end == '\0' && port > 0 && port <= UINT16_MAX ? (in_port_t)port : 0;
}

static int tcp_open(const char *address, const struct sockaddr *name, socklen_t length)
{
	int fd = stream_socket(name->sa_family);
	int on = 1;

	if (fd < 0)
		return fault(address, "socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 && bind(fd, name, length) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	(void)fault(address, "listen");
	close(fd);
	return -1;
}

int listen_open(const char *address)
{
	static const char v4[] = "127.0.0.1:", v6[] = "[::1]:";

	if (strncmp(address, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
		return unix_open(address, address + strlen(UNIX_PREFIX));
	if (strncmp(address, v4, strlen(v4)) == 0) {
		struct sockaddr_in name = {.sin_family = AF_INET,
		                           .sin_port = htons(port_parse(address + strlen(v4))),
		                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

		if (name.sin_port != 0)
			return tcp_open(address, (const struct sockaddr *)&name, sizeof(name));
	}
	if (strncmp(address, v6, strlen(v6)) == 0) {
		struct sockaddr_in6 name = {.sin6_family = AF_INET6,
		                            .sin6_port = htons(port_parse(address + strlen(v6))),
		                            .sin6_addr = IN6ADDR_LOOPBACK_INIT};

		if (name.sin6_port != 0)
			return tcp_open(address, (const struct sockaddr *)&name, sizeof(name));
	}
	return refuse_address(address, "neither unix:/path nor 127.0.0.1:port nor [::1]:port");
}
