#include "ctl/probe_http.h"

#include <stdio.h>

#include "base/clock.h"
#include "clients/http.h"

#define TIMEOUT_US (10 * CLOCK_US_PER_SECOND)
#define URL_MAX 2048

int probe_http(const struct probe_http_request *request, struct probe_http_answer *answer)
{
	char url[URL_MAX];
	struct http_request sent = {
		.method = request->method,
		.url = url,
		.deadline_us = clock_monotonic_us() + TIMEOUT_US,
		.discard = true,
	};
	struct http_answer got;
	char id[HTTP_VALUE_MAX];
	int result;

	*answer = (struct probe_http_answer){0};
	if (snprintf(url, sizeof(url), "%s%s", request->base, request->path) >= (int)sizeof(url)) {
		(void)snprintf(answer->error, sizeof(answer->error), "the URL is too long");
		return -1;
	}
	for (int i = 0; i < PROBE_HTTP_HEADERS_MAX && i < HTTP_HEADERS_MAX; i++)
		sent.headers[i] = request->headers[i];
	result = http_send(&sent, &got);
	answer->status = got.status;
	answer->date_us = got.date_us;
	http_header(&got, "X-Request-Id", id);
	answer->by_octroi = id[0] != '\0';
	(void)snprintf(answer->error, sizeof(answer->error), "%s", got.error);
	http_answer_free(&got);
	return result;
}
