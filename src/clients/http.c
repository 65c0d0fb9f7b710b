#include "clients/http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "clients/address.h"

#define HEAD_MAX ((size_t)16 * 1024)
#define DATE_MAX_SECONDS INT64_C(253402300799) /* the end of the year 9999 */
#define CONNECT_MAX_MS 5000L

static pthread_once_t begun = PTHREAD_ONCE_INIT;

static void begin_call(void)
{
	CHECK(curl_global_init_mem(CURL_GLOBAL_DEFAULT, memory_alloc, memory_free, memory_realloc, memory_copy,
	                           memory_zeroed) == CURLE_OK);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
	struct http_answer *answer = context;

	buf_add(&answer->body, bytes, size * count);
	return buf_ok(&answer->body) ? size * count : 0;
}

static size_t drop_body(char *bytes, size_t size, size_t count, void *context)
{
	(void)bytes;
	(void)context;
	return size * count;
}

/* A new status line begins the headers anew: those of 100 Continue are not the answer's. */
static size_t take_header(char *bytes, size_t size, size_t count, void *context)
{
	struct http_answer *answer = context;

	if (size * count > 5 && strncmp(bytes, "HTTP/", 5) == 0)
		buf_reset(&answer->head);
	buf_add(&answer->head, bytes, size * count);
	return size * count; /* more headers than fit: http_header does not find them */
}

void http_header(const struct http_answer *answer, const char *name, char value[HTTP_VALUE_MAX])
{
	const size_t length = strlen(name);

	value[0] = '\0';
	for (const char *line = buf_text(&answer->head); *line != '\0';) {
		const char *end = line + strcspn(line, "\r\n");

		if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
			const char *start = line + length + 1;

			start += strspn(start, " \t");
			if (end - start >= 0 && end - start < HTTP_VALUE_MAX)
				(void)snprintf(value, HTTP_VALUE_MAX, "%.*s", (int)(end - start), start);
			return;
		}
		line = end + strspn(end, "\r\n");
	}
}

/* libcurl accepts years after 9999; such a date counts as none. */
int64_t http_date_us(const char *text)
{
	const time_t date = text[0] != '\0' ? curl_getdate(text, NULL) : -1;

	return date > 0 && date <= DATE_MAX_SECONDS ? (int64_t)date * CLOCK_US_PER_SECOND : 0;
}

static void read_date(struct http_answer *answer)
{
	char text[HTTP_VALUE_MAX];

	http_header(answer, "Date", text);
	answer->date_us = http_date_us(text);
}

/* ---- the request ----------------------------------------------------------------------------- */

/* Called with the address that is connected to, after the name was resolved: no later answer of the name server can
 * change it. */
static curl_socket_t open_outside(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	bool *refused = context;

	if (purpose != CURLSOCKTYPE_IPCXN || !address_is_outside(&address->addr)) {
		*refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool set_trust(CURL *curl, const struct http_request *request, bool *refused)
{
	if (request->ca_file != NULL && request->ca_file[0] != '\0' &&
	    curl_easy_setopt(curl, CURLOPT_CAINFO, request->ca_file) != CURLE_OK)
		return false;
	return !request->outside_only ||
	       (curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_outside) == CURLE_OK &&
	        curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, (void *)refused) == CURLE_OK);
}

static bool set_bounds(CURL *curl, const struct http_request *request)
{
	const int64_t left_ms = (request->deadline_us - clock_monotonic_us()) / CLOCK_US_PER_MS;
	const long timeout_ms = left_ms > 1 ? (long)left_ms : 1; /* 0 would mean no timeout */

	return curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
	                        timeout_ms < CONNECT_MAX_MS ? timeout_ms : CONNECT_MAX_MS) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
#if LIBCURL_VERSION_NUM >= 0x075500
	       curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
#else
	       curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS)) == CURLE_OK;
#endif
}

static bool set_body(CURL *curl, const struct http_request *request)
{
	if (request->body == NULL)
		return true;
	return curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)request->body_length) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body) == CURLE_OK;
}

/* False when an option is not known to this libcurl. */
static bool set_options(CURL *curl, const struct http_request *request, struct curl_slist *headers,
                        struct http_answer *answer)
{
	return set_bounds(curl, request) && set_body(curl, request) && set_trust(curl, request, &answer->refused) &&
	       curl_easy_setopt(curl, CURLOPT_URL, request->url) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, request->discard ? drop_body : take_body) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_WRITEDATA, (void *)answer) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_HEADERDATA, (void *)answer) == CURLE_OK;
}

/* The list, or NULL with *ok false when memory is short. */
static struct curl_slist *list_headers(const struct http_request *request, bool *ok)
{
	struct curl_slist *headers = NULL;

	*ok = true;
	for (int i = 0; i < HTTP_HEADERS_MAX && request->headers[i] != NULL && *ok; i++) {
		struct curl_slist *longer = curl_slist_append(headers, request->headers[i]);

		*ok = longer != NULL;
		if (*ok)
			headers = longer;
	}
	return headers;
}

/* libcurl goes on without the parts that it had no memory for.  A missing part may be the query of the URL, which tells
 * Stripe whose invoices are wanted.  An answer after a shortage of memory therefore counts as none. */
static CURLcode perform(CURL *curl, const struct http_request *request, struct curl_slist *headers,
                        struct http_answer *answer)
{
	const bool before = memory_watch();
	CURLcode code = CURLE_UNKNOWN_OPTION;

	if (set_options(curl, request, headers, answer))
		code = curl_easy_perform(curl);
	if (memory_watched(before))
		code = CURLE_OUT_OF_MEMORY;
	return code;
}

void http_begin(void)
{
	CHECK(pthread_once(&begun, begin_call) == 0);
}

int http_send(const struct http_request *request, struct http_answer *answer)
{
	CURLcode code = CURLE_OUT_OF_MEMORY;
	struct curl_slist *headers;
	CURL *curl;
	long status = 0;
	bool listed;

	http_begin();
	*answer = (struct http_answer){0};
	buf_init(&answer->body, request->answer_max + 1);
	buf_init(&answer->head, HEAD_MAX);
	headers = list_headers(request, &listed);
	curl = curl_easy_init();
	if (curl != NULL && listed)
		code = perform(curl, request, headers, answer);
	if (code == CURLE_OK)
		code = curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	answer->status = code == CURLE_OK ? (int)status : 0;
	if (code != CURLE_OK)
		(void)snprintf(answer->error, sizeof(answer->error), "%s",
		               answer->refused ? "its address is of this machine or of a private net"
		                               : curl_easy_strerror(code));
	else
		read_date(answer);
	curl_slist_free_all(headers);
	if (curl != NULL)
		curl_easy_cleanup(curl);
	return answer->status > 0 ? 0 : -1;
}

void http_answer_free(struct http_answer *answer)
{
	buf_free(&answer->body);
	buf_free(&answer->head);
}
