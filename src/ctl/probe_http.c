#include "ctl/probe_http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

#define TIMEOUT_MS 10000L
#define URL_MAX 2048
#define DATE_MAX 64
#define HEADER_DATE "Date:"

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
	(void)bytes;
	(void)context;
	return size * count;
}

static size_t take_header(char *bytes, size_t size, size_t count, void *context)
{
	struct probe_http_answer *answer = context;
	const size_t length = size * count;
	char text[DATE_MAX];
	time_t date;

	if (length < sizeof(text) && strncasecmp(bytes, HEADER_DATE, strlen(HEADER_DATE)) == 0) {
		(void)snprintf(text, sizeof(text), "%.*s", (int)(length - strlen(HEADER_DATE)),
		               bytes + strlen(HEADER_DATE));
		date = curl_getdate(text, NULL);
		answer->date_us = date > 0 ? (int64_t)date * CLOCK_US_PER_SECOND : 0;
	}
	return length;
}

/* False when an option is not known to this libcurl. */
static int set_options(CURL *curl, const char *url, const struct probe_http_request *request,
                       struct curl_slist *headers, struct probe_http_answer *answer)
{
	return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS) == CURLE_OK &&
#if LIBCURL_VERSION_NUM >= 0x075500
	       curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
#else
	       curl_easy_setopt(curl, CURLOPT_PROTOCOLS,
	                        (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS)) == CURLE_OK &&
#endif
	       curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_HEADERDATA, (void *)answer) == CURLE_OK;
}

int probe_http(const struct probe_http_request *request, struct probe_http_answer *answer)
{
	struct curl_slist *headers = NULL;
	char url[URL_MAX];
	CURL *curl = curl_easy_init();
	CURLcode code = CURLE_OUT_OF_MEMORY;
	long status = 0;

	*answer = (struct probe_http_answer){0};
	if (curl == NULL ||
	    snprintf(url, sizeof(url), "%s%s", request->base, request->path) >= (int)sizeof(url))
		goto done;
	for (int i = 0; i < PROBE_HTTP_HEADERS_MAX && request->headers[i] != NULL; i++) {
		struct curl_slist *longer = curl_slist_append(headers, request->headers[i]);

		if (longer == NULL)
			goto done;
		headers = longer;
	}
	if (!set_options(curl, url, request, headers, answer)) {
		code = CURLE_UNKNOWN_OPTION;
		goto done;
	}
	code = curl_easy_perform(curl);
	if (code == CURLE_OK)
		code = curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	answer->status = (int)status;
done:
	if (code != CURLE_OK)
		(void)snprintf(answer->error, sizeof(answer->error), "%s",
		               curl_easy_strerror(code));
	curl_slist_free_all(headers);
	if (curl != NULL)
		curl_easy_cleanup(curl);
	return code == CURLE_OK ? 0 : -1;
}
