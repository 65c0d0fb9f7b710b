/*
 * probe_http: one HTTP request by clients/http.h, to find how a web server treats it.  Gives up after
 * 10 seconds.
 */
#ifndef OCTROI_CTL_PROBE_HTTP_H
#define OCTROI_CTL_PROBE_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#define PROBE_HTTP_HEADERS_MAX 4
#define PROBE_HTTP_ERROR_MAX 256

struct probe_http_request {
	const char *method;                          /* "GET" */
	const char *base;                            /* "http://127.0.0.1:8080" */
	const char *path;                            /* "/healthz" */
	const char *headers[PROBE_HTTP_HEADERS_MAX]; /* "Name: value", NULL after the last */
};

struct probe_http_answer {
	int status;
	bool by_octroi;                   /* it has an X-Request-Id, as all of octroi's answers have */
	int64_t date_us;                  /* of the Date header, to the second; 0: none */
	char error[PROBE_HTTP_ERROR_MAX]; /* if there was no answer; never holds a header's value */
};

/* 0, or -1 when there was no answer. */
int probe_http(const struct probe_http_request *request, struct probe_http_answer *answer);

#endif
