/*
 * null_responder: a FastCGI responder that does nothing, as fast as libfcgi can: it reads each request
 * and answers a constant.  What it holds behind a web server is the ceiling that octroi's figures are
 * compared with.
 *
 *   null_responder SOCKET THREADS
 *
 * libfcgi keeps a thread on each kept-alive connection, so THREADS must be at least as many as the web
 * server keeps open; ends with SIGTERM.
 */
#include <errno.h>
#include <fcgiapp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define THREADS_MAX 10000
#define STACK_BYTES ((size_t)128 * 1024)
#define BACKLOG 4096

static const char answer[] = "Status: 200 OK\r\nContent-Type: application/json\r\n"
			     "Cache-Control: no-store\r\nContent-Length: 20\r\n\r\n"
			     "{\"decision\":\"allow\"}";

static int listener;

static void *serve(void *unused)
{
	FCGX_Request request;
	char body[8192];

	FCGX_InitRequest(&request, listener, 0);
	while (FCGX_Accept_r(&request) == 0) {
		while (FCGX_GetStr(body, sizeof(body), request.in) == (int)sizeof(body))
			;
		FCGX_PutStr(answer, (int)sizeof(answer) - 1, request.out);
		FCGX_Finish_r(&request);
	}
	return unused;
}

static int listen_at(const char *path)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(name.sun_path))
		return -1;
	memcpy(name.sun_path, path, strlen(path) + 1);
	(void)unlink(path);
	if (bind(fd, (const struct sockaddr *)&name, sizeof(name)) < 0 || chmod(path, 0666) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return -1;
	return fd;
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "null_responder: %s: %s\n", what, strerror(error));
	return 1;
}

static int start(long threads)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int error = pthread_attr_init(&attributes);

	if (error == 0)
		error = pthread_attr_setstacksize(&attributes, STACK_BYTES);
	for (long i = 0; i < threads && error == 0; i++)
		error = pthread_create(&thread, &attributes, serve, NULL);
	return error;
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	long threads = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	int error;

	if (threads < 1 || threads > THREADS_MAX) {
		fprintf(stderr, "usage: null_responder SOCKET THREADS\n");
		return 2;
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (FCGX_Init() != 0)
		return fail("FCGX_Init", EIO);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_DFL); /* FCGX_Init has changed both */
	listener = listen_at(argv[1]);
	if (listener < 0)
		return fail(argv[1], errno);
	error = start(threads);
	if (error != 0)
		return fail("threads", error);
	for (;;)
		pause();
}
