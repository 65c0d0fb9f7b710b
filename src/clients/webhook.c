#include "clients/webhook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/digest.h"
#include "clients/http.h"

#define ID_MAX 80
#define HEADER_MAX 256
#define ANSWER_MAX ((size_t)64 * 1024)
#define DAY_S (INT64_C(24) * 3600)
#define SIGNATURE_TEXT_MAX (DIGEST_BYTES * 4 / 3 + 8)

void webhook_secret_format(const struct webhook_secret *secret, char out[WEBHOOK_SECRET_TEXT_MAX])
{
	memcpy(out, "whsec_", 7);
	(void)digest_base64(secret->bytes, sizeof(secret->bytes), out + 6);
}

/* Printable ASCII without blanks, and a host without a user's name before it: a password there would be in lists. */
const char *webhook_url_wrong(const char *url, bool inside)
{
	const bool secure = strncmp(url, "https://", 8) == 0;
	const char *host = url + (secure ? 8 : 7);

	if (!secure && !(inside && strncmp(url, "http://", 7) == 0))
		return "an endpoint's address begins with https://";
	if (strlen(url) >= WEBHOOK_URL_MAX)
		return "the address is too long";
	for (const char *c = url; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~' || *c == '"' || *c == '\\' || *c == '#')
			return "the address has characters that no address has";
	if (host[strcspn(host, "/?")] == '\0' ? *host == '\0' : strcspn(host, "/?") == 0)
		return "the address names no host";
	return memchr(host, '@', strcspn(host, "/?")) == NULL ? NULL : "the address has a user or a password in it";
}

int webhook_sign(const struct webhook *w, int64_t timestamp_s, char out[WEBHOOK_SIGNATURE_MAX])
{
	char head[ID_MAX + 32], text[SIGNATURE_TEXT_MAX];
	unsigned char mac[DIGEST_BYTES];
	size_t length = 0;

	CHECK(w->secret_count > 0 && w->secret_count <= WEBHOOK_SECRETS_MAX && strlen(w->id) < ID_MAX);
	(void)snprintf(head, sizeof(head), "%s.%lld.", w->id, (long long)timestamp_s);
	out[0] = '\0';
	for (int i = 0; i < w->secret_count; i++) {
		const struct digest_piece pieces[] = {{head, strlen(head)}, {w->body, strlen(w->body)}};

		if (digest_hmac_sha256_pieces(w->secrets[i].bytes, WEBHOOK_SECRET_BYTES, pieces, 2, mac) < 0)
			return -1;
		(void)digest_base64(mac, sizeof(mac), text);
		length += (size_t)snprintf(out + length, WEBHOOK_SIGNATURE_MAX - length, "%sv1,%s", i > 0 ? " " : "",
		                           text);
		CHECK(length < WEBHOOK_SIGNATURE_MAX);
	}
	return 0;
}

/* Retry-After: seconds or a date, at most a day. */
static int64_t read_retry_after(const struct http_answer *answer)
{
	char text[HTTP_VALUE_MAX];
	int64_t wait_s = 0;

	http_header(answer, "Retry-After", text);
	if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0')
		wait_s = strlen(text) < 10 ? strtoll(text, NULL, 10) : DAY_S;
	else if (text[0] != '\0' && http_date_us(text) > 0)
		wait_s = (http_date_us(text) - clock_wall_us()) / CLOCK_US_PER_SECOND + 1;
	if (wait_s < 0)
		wait_s = 0;
	return (wait_s < DAY_S ? wait_s : DAY_S) * CLOCK_US_PER_SECOND;
}

static void read_reception(const struct http_answer *answer, struct webhook_result *result)
{
	result->status = answer->status;
	result->taken = answer->status >= 200 && answer->status <= 299;
	if (answer->status == 0) {
		(void)snprintf(result->error, sizeof(result->error), "%s", answer->error);
		return;
	}
	if (result->taken)
		return;
	result->retry_after_us = read_retry_after(answer);
	(void)snprintf(result->error, sizeof(result->error), "%s%d",
	               answer->status >= 300 && answer->status <= 399 ? "a redirect, which is not followed: "
	                                                              : "status ",
	               answer->status);
}

void webhook_send(const struct webhook *w, struct webhook_result *result)
{
	const int64_t begun_us = clock_monotonic_us(), timestamp_s = clock_wall_us() / CLOCK_US_PER_SECOND;
	char id[HEADER_MAX], timestamp[HEADER_MAX], signature[HEADER_MAX], signed_by[WEBHOOK_SIGNATURE_MAX];
	struct http_answer answer;

	*result = (struct webhook_result){0};
	if (webhook_sign(w, timestamp_s, signed_by) < 0) {
		(void)snprintf(result->error, sizeof(result->error), "out of memory");
		return;
	}
	(void)snprintf(id, sizeof(id), "webhook-id: %s", w->id);
	(void)snprintf(timestamp, sizeof(timestamp), "webhook-timestamp: %lld", (long long)timestamp_s);
	(void)snprintf(signature, sizeof(signature), "webhook-signature: %s", signed_by);
	(void)http_send(&(struct http_request){.method = "POST",
	                                       .url = w->url,
	                                       .headers = {"Content-Type: application/json", "User-Agent: octroi",
	                                                   "Expect:", id, timestamp, signature},
	                                       .body = w->body,
	                                       .body_length = strlen(w->body),
	                                       .deadline_us = begun_us + WEBHOOK_PATIENCE_US,
	                                       .answer_max = ANSWER_MAX,
	                                       .discard = true,
	                                       .outside_only = !w->inside,
	                                       .ca_file = w->ca_file},
	                &answer);
	read_reception(&answer, result);
	result->took_us = clock_monotonic_us() - begun_us;
	http_answer_free(&answer);
}
