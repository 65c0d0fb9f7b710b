#define _GNU_SOURCE
#include "edge/fcgi.h"

#include <errno.h>
#include <fcgiapp.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"

/* What a loan's file may keep of its largest request, so that idle workers hold little memory. */
#define FILE_KEPT_BYTES ((size_t)16 * 1024)

struct fcgi {
	FCGX_Request request; /* its ipcFd is the file, or the connection while answering */
	int file;
	size_t file_length; /* of the request in it */
	bool lent;
};

int fcgi_init(void)
{
	static const int touched[] = {SIGPIPE, SIGUSR1, SIGTERM};
	struct sigaction before[sizeof(touched) / sizeof(touched[0])];
	int error;

	for (size_t i = 0; i < sizeof(touched) / sizeof(touched[0]); i++)
		CHECK(sigaction(touched[i], NULL, &before[i]) == 0);
	error = FCGX_Init();
	for (size_t i = 0; i < sizeof(touched) / sizeof(touched[0]); i++)
		CHECK(sigaction(touched[i], &before[i], NULL) == 0);
	if (error == 0)
		return 0;
	log_event(LOG_LEVEL_ERROR, "fcgi_init_failed", LOG_NUMBER("code", error));
	return -1;
}

static int file_open(void)
{
	int file = memfd_create("octroi-request", MFD_CLOEXEC);

	if (file < 0)
		log_event(LOG_LEVEL_ERROR, "fcgi_file_failed", LOG_TEXT("error", strerror(errno)));
	return file;
}

struct fcgi *fcgi_new(void)
{
	struct fcgi *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		log_event(LOG_LEVEL_ERROR, "fcgi_memory_failed", LOG_NUMBER("bytes", (int64_t)sizeof(*f)));
		return NULL;
	}
	f->file = file_open();
	if (f->file < 0) {
		free(f);
		return NULL;
	}
	FCGX_InitRequest(&f->request, -1, FCGI_FAIL_ACCEPT_ON_INTR);
	return f;
}

void fcgi_free(struct fcgi *f)
{
	if (f == NULL)
		return;
	CHECK(!f->lent);
	if (f->file >= 0)
		close(f->file);
	free(f);
}

/* Puts the request into the file, read position at its beginning. */
static int file_fill(struct fcgi *f, const unsigned char *bytes, size_t length)
{
	if (f->file < 0)
		f->file = file_open();
	if (f->file < 0)
		return -1;
	f->file_length = length;
	if (pwrite(f->file, bytes, length, 0) == (ssize_t)length && lseek(f->file, 0, SEEK_SET) == 0)
		return 0;
	log_event(LOG_LEVEL_ERROR, "fcgi_file_failed", LOG_TEXT("error", strerror(errno)));
	return -1;
}

int fcgi_begin(struct fcgi *f, const unsigned char *bytes, size_t length)
{
	int status;

	CHECK(!f->lent);
	if (file_fill(f, bytes, length) < 0)
		return -1;
	f->request.ipcFd = f->file;
	/* FCGX_Accept_r first finishes "the request before", and closes ipcFd unless it is to be kept;
	 * detached, it would at least not wait for a peer's end when it closes the file. */
	f->request.keepConnection = 1;
	(void)FCGX_Detach(&f->request);
	status = FCGX_Accept_r(&f->request);
	if (status == 0) {
		f->lent = true;
		return 0;
	}
	/* libfcgi has closed what it was given: the file, which the next loan opens again. */
	if (f->request.ipcFd < 0)
		f->file = -1;
	f->request.ipcFd = -1;
	log_event(LOG_LEVEL_ERROR, "fcgi_request_refused", LOG_NUMBER("code", status));
	return -1;
}

const char *const *fcgi_parameters(const struct fcgi *f)
{
	CHECK(f->lent);
	return (const char *const *)f->request.envp;
}

size_t fcgi_body(struct fcgi *f, char *out, size_t max)
{
	int length;

	CHECK(f->lent && max <= INT_MAX);
	length = FCGX_GetStr(out, (int)max, f->request.in);
	CHECK(length >= 0);
	return (size_t)length;
}

int fcgi_answer(struct fcgi *f, int connection, const char *bytes, size_t length)
{
	bool taken;

	CHECK(f->lent && length <= INT_MAX);
	f->request.ipcFd = connection;
	taken = FCGX_PutStr(bytes, (int)length, f->request.out) == (int)length;
	/* The error stream first: the end of the request then leaves together with the answer.  Nothing
	 * of it when the answer was not taken: that would wait for the peer once more. */
	taken = taken && FCGX_FClose(f->request.err) == 0 && FCGX_FClose(f->request.out) == 0;
	f->request.ipcFd = -1;
	return taken ? 0 : -1;
}

bool fcgi_end(struct fcgi *f)
{
	bool keep = f->request.keepConnection != 0;

	CHECK(f->lent);
	f->lent = false;
	/* Not FCGX_Finish_r: it would write to, and perhaps close, what is not its own. */
	FCGX_Free(&f->request, 0);
	f->request.ipcFd = -1;
	f->request.keepConnection = 1;
	if (f->file_length > FILE_KEPT_BYTES && ftruncate(f->file, 0) < 0) {
		close(f->file);
		f->file = -1;
	}
	return keep;
}
