#include "meter/transfer.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "clients/http.h"

#define NEVER_US INT64_MAX
#define CONNECTIONS_KEPT 256L
/* libcurl repeats a request on a kept connection that turns out to be closed.  A short idle time makes that rare. */
#define IDLE_SECONDS_MAX 30L
/* The least that libcurl takes.  libcurl 8 keeps this buffer for as long as the transfer, 64 KiB unless told. */
#define UPLOAD_BUFFER_BYTES 16384L

struct transfers {
	struct loop *loop;
	CURLM *multi;
	const char *ca_file;
	int64_t due_us; /* of libcurl's timer; NEVER_US: none */
	struct transfer *first;
};

struct transfer {
	struct transfers *all;
	struct transfer *next, *previous;
	CURL *curl;
	struct curl_slist *headers;
	struct transfer_options options;
	bool inside; /* a call of this transfer */
};

/* A socket of libcurl's in the loop. */
struct watched {
	struct loop_source source; /* first: the loop hands it back */
	struct transfers *all;
};

/* ---- libcurl and the loop -------------------------------------------------------------------- */

static void finish_transfers(struct transfers *T);

static void act_on(struct transfers *T, curl_socket_t fd, int events)
{
	int running = 0;

	(void)curl_multi_socket_action(T->multi, fd, events, &running);
	finish_transfers(T);
}

static void socket_ready(struct loop_source *source, uint32_t events)
{
	struct watched *w = (struct watched *)source;
	int what = 0;

	if ((events & EPOLLIN) != 0)
		what |= CURL_CSELECT_IN;
	if ((events & EPOLLOUT) != 0)
		what |= CURL_CSELECT_OUT;
	if ((events & (EPOLLERR | EPOLLHUP)) != 0)
		what |= CURL_CSELECT_ERR;
	act_on(w->all, w->source.fd, what);
}

/* libcurl's curl_socket_callback. */
static int watch_socket(CURL *curl, curl_socket_t fd, int what, void *context, void *socket_context)
{
	struct transfers *T = context;
	struct watched *w = socket_context;
	uint32_t events = 0;

	(void)curl;
	if (what == CURL_POLL_REMOVE) {
		if (w != NULL)
			(void)loop_watch(T->loop, &w->source, 0);
		free(w);
		(void)curl_multi_assign(T->multi, fd, NULL);
		return 0;
	}
	if (w == NULL) {
		w = memory_part("socket", sizeof(*w));
		if (w == NULL)
			return -1;
		w->source = (struct loop_source){.fd = fd, .ready = socket_ready};
		w->all = T;
		(void)curl_multi_assign(T->multi, fd, w);
	}
	if (what != CURL_POLL_OUT)
		events |= EPOLLIN;
	if (what != CURL_POLL_IN)
		events |= EPOLLOUT;
	return loop_watch(T->loop, &w->source, events);
}

/* libcurl's curl_multi_timer_callback. */
static int set_timer(CURLM *multi, long timeout_ms, void *context)
{
	struct transfers *T = context;

	(void)multi;
	T->due_us = timeout_ms < 0 ? NEVER_US : clock_monotonic_us() + timeout_ms * CLOCK_US_PER_MS;
	return 0;
}

int64_t transfers_tick(struct transfers *T)
{
	while (T->due_us <= clock_monotonic_us()) {
		T->due_us = NEVER_US;
		act_on(T, CURL_SOCKET_TIMEOUT, 0);
	}
	return T->due_us;
}

/* ---- one transfer ---------------------------------------------------------------------------- */

static void unlink_transfer(struct transfer *t)
{
	if (t->next != NULL)
		t->next->previous = t->previous;
	if (t->previous != NULL)
		t->previous->next = t->next;
	else
		t->all->first = t->next;
}

static void free_transfer(struct transfer *t)
{
	if (t->curl != NULL)
		curl_easy_cleanup(t->curl);
	curl_slist_free_all(t->headers);
	free(t->options.body);
	free(t);
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context)
{
	struct transfer *t = context;
	bool taken;

	t->inside = true;
	taken = t->options.on_body(t->options.context, bytes, size * count);
	t->inside = false;
	return taken ? size * count : CURL_WRITEFUNC_PAUSE;
}

static size_t on_line(char *bytes, size_t size, size_t count, void *context)
{
	struct transfer *t = context;
	size_t length = size * count;
	long status = 0;

	while (length > 0 && (bytes[length - 1] == '\n' || bytes[length - 1] == '\r'))
		length--;
	t->inside = true;
	if (length > 5 && strncmp(bytes, "HTTP/", 5) == 0) {
		if (curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK)
			t->options.on_status(t->options.context, (int)status);
	} else {
		t->options.on_header(t->options.context, bytes, length);
	}
	t->inside = false;
	return size * count;
}

static bool list_lines(struct transfer *t)
{
	t->headers = curl_slist_append(NULL, "Expect:"); /* sends a large body without waiting for leave */
	if (t->headers == NULL)
		return false;
	for (int i = 0; i < TRANSFER_HEADERS_MAX && t->options.headers[i] != NULL; i++) {
		struct curl_slist *longer = curl_slist_append(t->headers, t->options.headers[i]);

		if (longer == NULL)
			return false;
		t->headers = longer;
	}
	return true;
}

/* Trust, and the names that the request may go to. */
static bool set_way(CURL *curl, const struct transfer_options *o)
{
	return curl_easy_setopt(curl, CURLOPT_URL, o->url) == CURLE_OK &&
	       (o->socket == NULL || curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, o->socket) == CURLE_OK) &&
	       curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_MAXAGE_CONN, IDLE_SECONDS_MAX) == CURLE_OK &&
	       /* Asks for plain bytes, and decodes compressed ones that come all the same. */
	       curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "identity") == CURLE_OK &&
#if LIBCURL_VERSION_NUM >= 0x075500
	       curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
#else
	       curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS)) == CURLE_OK;
#endif
}

static bool set_calls(struct transfer *t)
{
	CURL *curl = t->curl;

	return curl_easy_setopt(curl, CURLOPT_PRIVATE, (void *)t) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_WRITEDATA, (void *)t) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_line) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_HEADERDATA, (void *)t) == CURLE_OK;
}

static bool set_request(struct transfer *t)
{
	const struct transfer_options *o = &t->options;
	CURL *curl = t->curl;

	return set_way(curl, o) && set_calls(t) &&
	       (t->all->ca_file[0] == '\0' || curl_easy_setopt(curl, CURLOPT_CAINFO, t->all->ca_file) == CURLE_OK) &&
	       curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_ms) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)o->whole_ms) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER_BYTES) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, o->method) == CURLE_OK &&
	       (o->body == NULL ||
	        (curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body_length) == CURLE_OK &&
	         curl_easy_setopt(curl, CURLOPT_POSTFIELDS, o->body) == CURLE_OK)) &&
	       curl_easy_setopt(curl, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK;
}

struct transfer *transfer_begin(struct transfers *T, const struct transfer_options *options)
{
	const bool before = memory_watch();
	struct transfer *t = memory_part("transfer", sizeof(*t));
	bool ready;

	if (t == NULL) {
		free(options->body);
		(void)memory_watched(before);
		return NULL;
	}
	t->all = T;
	t->options = *options;
	t->curl = curl_easy_init();
	ready = t->curl != NULL && list_lines(t) && set_request(t);
	/* libcurl goes on without the parts that it had no memory for. */
	if (memory_watched(before) || !ready || curl_multi_add_handle(T->multi, t->curl) != CURLM_OK) {
		free_transfer(t);
		return NULL;
	}
	t->next = T->first;
	if (T->first != NULL)
		T->first->previous = t;
	T->first = t;
	return t;
}

void transfer_resume(struct transfer *t)
{
	CHECK(!t->inside);
	(void)curl_easy_pause(t->curl, CURLPAUSE_CONT);
}

/* True if a byte of the request may have left.  libcurl counts the request's bytes when it sends them. */
static bool may_have_left(CURL *curl)
{
	long sent = 0;

	return curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &sent) != CURLE_OK || sent > 0;
}

bool transfer_cancel(struct transfer *t)
{
	const bool left = may_have_left(t->curl);

	CHECK(!t->inside);
	/* Closes the connection also with HTTP/2: libcurl 7.88 to 8.14 do not send RST_STREAM (curl#17611), so a server
	 * would go on with an answer that nobody reads. */
	(void)curl_easy_setopt(t->curl, CURLOPT_FORBID_REUSE, 1L);
	(void)curl_multi_remove_handle(t->all->multi, t->curl);
	unlink_transfer(t);
	free_transfer(t);
	return left;
}

static void end_transfer(struct transfer *t, CURLcode code)
{
	const struct transfer_options options = t->options;
	enum transfer_end end = TRANSFER_BROKEN_OFF;

	if (code == CURLE_OK)
		end = TRANSFER_WHOLE;
	else if (!may_have_left(t->curl))
		end = TRANSFER_NOT_SENT;
	(void)curl_multi_remove_handle(t->all->multi, t->curl);
	unlink_transfer(t);
	free_transfer(t);
	options.on_end(options.context, end, curl_easy_strerror(code));
}

static void finish_transfers(struct transfers *T)
{
	int left = 0;

	for (CURLMsg *m = curl_multi_info_read(T->multi, &left); m != NULL; m = curl_multi_info_read(T->multi, &left)) {
		struct transfer *t = NULL;
		const CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		CHECK(curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t) == CURLE_OK && t != NULL);
		end_transfer(t, code);
	}
}

/* ---- all of them ----------------------------------------------------------------------------- */

struct transfers *transfers_new(struct loop *l, const char *ca_file)
{
	struct transfers *T = memory_part("transfers", sizeof(*T));

	if (T == NULL)
		return NULL;
	http_begin();
	*T = (struct transfers){.loop = l, .due_us = NEVER_US, .ca_file = ca_file, .multi = curl_multi_init()};
	if (T->multi != NULL && curl_multi_setopt(T->multi, CURLMOPT_SOCKETFUNCTION, watch_socket) == CURLM_OK &&
	    curl_multi_setopt(T->multi, CURLMOPT_SOCKETDATA, (void *)T) == CURLM_OK &&
	    curl_multi_setopt(T->multi, CURLMOPT_TIMERFUNCTION, set_timer) == CURLM_OK &&
	    curl_multi_setopt(T->multi, CURLMOPT_TIMERDATA, (void *)T) == CURLM_OK &&
	    curl_multi_setopt(T->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) == CURLM_OK && /* see transfer_cancel */
	    curl_multi_setopt(T->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT) == CURLM_OK)
		return T;
	memory_missing("transfers");
	if (T->multi != NULL)
		(void)curl_multi_cleanup(T->multi);
	free(T);
	return NULL;
}

void transfers_free(struct transfers *T)
{
	if (T == NULL)
		return;
	while (T->first != NULL)
		(void)transfer_cancel(T->first);
	(void)curl_multi_cleanup(T->multi);
	free(T);
}
