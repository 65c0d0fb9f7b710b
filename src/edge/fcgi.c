#define _GNU_SOURCE
#include "base/memory.h"
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
#include "edge/frame.h"

/* Bytes that a request buffer may keep of its largest request, so that idle workers hold little memory. */
#define REQBUF_KEPT_BYTES ((size_t)16 * 1024)

struct fcgi_reqbuf {
	int file;
	size_t length; /* of the request in it */
};

struct fcgi {
	FCGX_Request request;       /* ipcFd: the buffer's file, then none, and the connection while answering */
	struct fcgi_reqbuf *reqbuf; /* until the body is taken */
	bool begun;
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

struct fcgi_reqbuf *fcgi_reqbuf_new(void)
{
	struct fcgi_reqbuf *reqbuf = memory_part("request buffer", sizeof(*reqbuf));

	if (reqbuf == NULL)
		return NULL;
	reqbuf->file = file_open();
	if (reqbuf->file >= 0)
		return reqbuf;
	free(reqbuf);
	return NULL;
}

void fcgi_reqbuf_free(struct fcgi_reqbuf *reqbuf)
{
	if (reqbuf == NULL)
		return;
	if (reqbuf->file >= 0)
		close(reqbuf->file);
	free(reqbuf);
}

struct fcgi *fcgi_new(void)
{
	struct fcgi *f = memory_part("exchange", sizeof(*f));

	if (f == NULL)
		return NULL;
	FCGX_InitRequest(&f->request, -1, FCGI_FAIL_ACCEPT_ON_INTR);
	return f;
}

void fcgi_free(struct fcgi *f)
{
	if (f == NULL)
		return;
	CHECK(!f->begun);
	free(f);
}

static bool reqbuf_add(struct fcgi_reqbuf *reqbuf, const unsigned char *bytes, size_t length)
{
	const off_t at = (off_t)reqbuf->length;

	reqbuf->length += length;
	return length == 0 || pwrite(reqbuf->file, bytes, length, at) == (ssize_t)length;
}

/* libfcgi forgets the padding of the first record, and of a record that ends a stream, and reads it as the next
 * record.  Such padding is left out: a peer could put bytes there that frame_inspect has not seen. */
static bool reqbuf_write(struct fcgi_reqbuf *reqbuf, const unsigned char *bytes, size_t length)
{
	size_t from = 0;

	reqbuf->length = 0;
	for (size_t at = 0; length - at >= FRAME_HEADER_BYTES;) {
		const struct frame_record r = frame_record(bytes + at);
		const size_t next = at + FRAME_HEADER_BYTES + r.content_length + r.padding_length;

		if (next > length)
			break; /* the rest of a body over the cap was not waited for */
		if (r.padding_length > 0 && (at == 0 || r.content_length == 0)) {
			unsigned char header[FRAME_HEADER_BYTES];

			memcpy(header, bytes + at, sizeof(header));
			header[FRAME_PADDING_AT] = 0;
			if (!reqbuf_add(reqbuf, bytes + from, at - from) ||
			    !reqbuf_add(reqbuf, header, sizeof(header)) ||
			    !reqbuf_add(reqbuf, bytes + at + FRAME_HEADER_BYTES, r.content_length))
				return false;
			from = next;
		}
		at = next;
	}
	return reqbuf_add(reqbuf, bytes + from, length - from);
}

/* Puts the request into the buffer, read position at its beginning. */
static int reqbuf_fill(struct fcgi_reqbuf *reqbuf, const unsigned char *bytes, size_t length)
{
	if (reqbuf->file < 0)
		reqbuf->file = file_open();
	if (reqbuf->file < 0)
		return -1;
	if (reqbuf_write(reqbuf, bytes, length) && lseek(reqbuf->file, 0, SEEK_SET) == 0)
		return 0;
	log_event(LOG_LEVEL_ERROR, "fcgi_file_failed", LOG_TEXT("error", strerror(errno)));
	return -1;
}

static void reqbuf_give_back(struct fcgi *f)
{
	struct fcgi_reqbuf *reqbuf = f->reqbuf;

	f->reqbuf = NULL;
	f->request.ipcFd = -1;
	if (reqbuf != NULL && reqbuf->length > REQBUF_KEPT_BYTES && ftruncate(reqbuf->file, 0) < 0) {
		close(reqbuf->file);
		reqbuf->file = -1;
	}
}

int fcgi_begin(struct fcgi *f, struct fcgi_reqbuf *reqbuf, const unsigned char *bytes, size_t length)
{
	int status;

	CHECK(!f->begun);
	if (reqbuf_fill(reqbuf, bytes, length) < 0)
		return -1;
	f->request.ipcFd = reqbuf->file;
	/* FCGX_Accept_r first finishes "the request before", and closes ipcFd unless keepConnection is set.
	 * Detached, the request would at least not wait for a peer's end when libfcgi closes the file. */
	f->request.keepConnection = 1;
	(void)FCGX_Detach(&f->request);
	status = FCGX_Accept_r(&f->request);
	if (status == 0) {
		f->reqbuf = reqbuf;
		f->begun = true;
		return 0;
	}
	/* If libfcgi has closed the buffer's file, the next request opens it again. */
	if (f->request.ipcFd < 0)
		reqbuf->file = -1;
	f->request.ipcFd = -1;
	log_event(LOG_LEVEL_ERROR, "fcgi_request_refused", LOG_NUMBER("code", status));
	return -1;
}

const char *const *fcgi_parameters(const struct fcgi *f)
{
	CHECK(f->begun);
	return (const char *const *)f->request.envp;
}

size_t fcgi_body(struct fcgi *f, char *out, size_t max)
{
	int length;

	CHECK(f->begun && f->reqbuf != NULL && max <= INT_MAX);
	length = FCGX_GetStr(out, (int)max, f->request.in);
	CHECK(length >= 0);
	reqbuf_give_back(f);
	return (size_t)length;
}

int fcgi_answer(struct fcgi *f, int connection, const char *bytes, size_t length)
{
	bool taken;

	CHECK(f->begun && length <= INT_MAX);
	f->request.ipcFd = connection;
	taken = FCGX_PutStr(bytes, (int)length, f->request.out) == (int)length;
	/* The error stream is closed first: the end of the request then leaves together with the answer.  Neither is
	 * closed when the answer was not taken: that would wait for the peer once more. */
	taken = taken && FCGX_FClose(f->request.err) == 0 && FCGX_FClose(f->request.out) == 0;
	f->request.ipcFd = -1;
	return taken ? 0 : -1;
}

bool fcgi_end(struct fcgi *f)
{
	bool keep = f->request.keepConnection != 0;

	CHECK(f->begun);
	f->begun = false;
	reqbuf_give_back(f);
	/* Not FCGX_Finish_r: it would write to, and perhaps close, a descriptor that is not its own. */
	FCGX_Free(&f->request, 0);
	f->request.keepConnection = 1;
	return keep;
}
