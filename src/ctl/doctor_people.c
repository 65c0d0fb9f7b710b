#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "ctl/doctor.h"
#include "outbox/http.h"

#define PATIENCE_US (10 * CLOCK_US_PER_SECOND)
#define SET_BYTES_MAX ((size_t)256 * 1024)
#define KEY_SET "/.well-known/jwks.json"
#define ADVICE "let this machine reach jwt_jwks_url, or correct jwt_issuer: its tokens are refused"

static void put_url(const struct config *c, struct buf *url)
{
	size_t length = strlen(c->jwt_issuer);

	if (c->jwt_jwks_url[0] != '\0') {
		buf_add_text(url, c->jwt_jwks_url);
		return;
	}
	while (length > 0 && c->jwt_issuer[length - 1] == '/')
		length--;
	buf_add(url, c->jwt_issuer, length);
	buf_add_text(url, KEY_SET);
}

static bool says(const struct json *record, const char *name, const char *wanted)
{
	const struct json *value = json_get(record, name);

	return value != NULL && json_type(value) == JSON_TEXT &&
	       strcmp(json_text(value, NULL), wanted) == 0;
}

/* Keys with an id that jwt_algorithm can be verified with; -1 when it is no key set. */
static int count_keys(const char *bytes, size_t length, const char *algorithm)
{
	char error[JSON_ERROR_MAX];
	struct json *set = json_parse(bytes, length, false, error);
	const struct json *keys = json_get(set, "keys");
	const char *type = strcmp(algorithm, "RS256") == 0 ? "RSA" : "EC";
	int count = keys != NULL && json_type(keys) == JSON_LIST ? 0 : -1;

	for (size_t i = 0; count >= 0 && i < json_size(keys); i++)
		if (says(json_at(keys, i), "kty", type) && json_get(json_at(keys, i), "kid") != NULL)
			count++;
	json_free(set);
	return count;
}

static void check_issuer(struct doctor *D)
{
	const struct config *c = D->ctl->config;
	struct http_request request = {
		.method = "GET",
		.headers = {"Accept: application/json"},
		.deadline_us = clock_monotonic_us() + PATIENCE_US,
		.answer_max = SET_BYTES_MAX,
	};
	struct http_answer answer;
	struct buf url;
	int keys;

	buf_init(&url, 1024);
	put_url(c, &url);
	request.url = buf_text(&url);
	if (http_send(&request, &answer) < 0) {
		doctor_say(D, "token issuer", DOCTOR_PROBLEM, ADVICE, "%s: %s", request.url,
		           answer.error);
	} else if (answer.status != 200) {
		doctor_say(D, "token issuer", DOCTOR_PROBLEM, ADVICE, "%s answers %d", request.url,
		           answer.status);
	} else {
		keys = count_keys(buf_text(&answer.body), answer.body.length, c->jwt_algorithm);
		doctor_say(D, "token issuer", keys > 0 ? DOCTOR_OK : DOCTOR_PROBLEM,
		           keys > 0 ? "" : "correct jwt_jwks_url or jwt_algorithm",
		           keys < 0 ? "%s is no key set" : "%s has keys for %s: %d", request.url,
		           c->jwt_algorithm, keys);
	}
	http_answer_free(&answer);
	buf_free(&url);
}

/* Where anybody signs up, only an address tells one person from another. */
static void check_bonus(struct doctor *D)
{
	const struct config *c = D->ctl->config;

	if (c->bonus_amount == 0)
		doctor_say(D, "sign-up bonus", DOCTOR_SKIPPED, "", "bonus_amount is 0: none is given");
	else if (c->jwt_issuer[0] != '\0' && !c->bonus_needs_email && !c->bonus_after_first_payment)
		doctor_say(D, "sign-up bonus", DOCTOR_WARNING,
		           "set bonus_needs_email or bonus_after_first_payment, unless signing up "
		           "demands a verified address",
		           "whoever signs up without an e-mail address gets it, as often as they do");
	else
		doctor_say(D, "sign-up bonus", DOCTOR_OK, "", "campaign %s", c->bonus_campaign);
}

void doctor_people(struct doctor *D)
{
	const struct config *c = D->ctl->config;

	check_bonus(D);
	/* One that is too short would not have been loaded. */
	doctor_say(D, "clerk webhook secret",
	           c->clerk_webhook_secret[0] != '\0' ? DOCTOR_OK : DOCTOR_SKIPPED, "",
	           c->clerk_webhook_secret[0] != '\0'
	                   ? "it is set"
	                   : "it is empty: /api/webhooks/clerk is not served");
	if (c->jwt_issuer[0] == '\0')
		doctor_say(D, "token issuer", DOCTOR_SKIPPED, "",
		           "jwt_issuer is empty: octroi's own tokens only");
	else
		check_issuer(D);
}
