#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/money.h"
#include "clients/http.h"
#include "ctl/doctor/doctor.h"
#include "db/sql.h"

#define MICROS_DIGITS 6
#define PATIENCE_US (10 * CLOCK_US_PER_SECOND)
#define SET_BYTES_MAX ((size_t)256 * 1024)
#define KEY_SET "/.well-known/jwks.json"
#define ADVICE "let this machine reach jwt_jwks_url, or correct jwt_issuer: its tokens are refused"

static void put_page_url(const struct config *c, struct buf *url)
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

static bool people_say(const struct json *record, const char *name, const char *wanted)
{
	const struct json *value = json_get(record, name);

	return value != NULL && json_type(value) == JSON_TEXT && strcmp(json_text(value, NULL), wanted) == 0;
}

/* The number of keys with an id that can verify jwt_algorithm; -1 if the bytes are no key set. */
static int count_keys(const char *bytes, size_t length, const char *algorithm)
{
	char error[JSON_ERROR_MAX];
	struct json *set = json_parse(bytes, length, false, error);
	const struct json *keys = json_get(set, "keys");
	const char *type = strcmp(algorithm, "RS256") == 0 ? "RSA" : "EC";
	int count = keys != NULL && json_type(keys) == JSON_LIST ? 0 : -1;

	for (size_t i = 0; count >= 0 && i < json_size(keys); i++)
		if (people_say(json_at(keys, i), "kty", type) && json_get(json_at(keys, i), "kid") != NULL)
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
	put_page_url(c, &url);
	request.url = buf_text(&url);
	if (http_send(&request, &answer) < 0) {
		doctor_say(D, "token issuer", DOCTOR_PROBLEM, ADVICE, "%s: %s", request.url, answer.error);
	} else if (answer.status != 200) {
		doctor_say(D, "token issuer", DOCTOR_PROBLEM, ADVICE, "%s answers %d", request.url, answer.status);
	} else {
		keys = count_keys(buf_text(&answer.body), answer.body.length, c->jwt_algorithm);
		doctor_say(D, "token issuer", keys > 0 ? DOCTOR_OK : DOCTOR_PROBLEM,
		           keys > 0 ? "" : "correct jwt_jwks_url or jwt_algorithm",
		           keys < 0 ? "%s is no key set" : "%s has keys for %s: %d", request.url, c->jwt_algorithm,
		           keys);
	}
	http_answer_free(&answer);
	buf_free(&url);
}

struct given {
	int64_t micros, grants;
};

static int take_given(void *context, const struct db_row *row)
{
	struct given *g = context;

	g->micros = db_int(row, 0);
	g->grants = db_int(row, 1);
	return CTL_OK;
}

/* Zeros before the first bonus, and if the tables cannot be read: another check reports that. */
static struct given read_given(struct doctor *D)
{
	unsigned char key[ID_KEY_BYTES];
	struct given g = {0};
	struct buf sql;

	id_request_key(D->ctl->config->bonus_campaign, strlen(D->ctl->config->bonus_campaign), key);
	buf_init(&sql, 256);
	sql_literal(&sql, "SELECT granted_micros, grants FROM campaigns WHERE id = ");
	sql_bytes(&sql, key, sizeof(key));
	if (!D->tables || ctl_rows(D->ctl, &sql, take_given, &g) != CTL_OK)
		g = (struct given){0};
	buf_free(&sql);
	return g;
}

/* Only an address tells one person from another.  Only a cap bounds the loss where an address does not. */
static const char *bonus_advice(const struct config *c, const struct given *g)
{
	if (!c->bonus_needs_email && !c->bonus_after_first_payment)
		return "set bonus_needs_email or bonus_after_first_payment: whoever makes an account without an e-mail "
		       "address gets it again";
	if (c->bonus_campaign_cap == 0)
		return "set bonus_campaign_cap: nothing bounds what is given away";
	if (g->micros > c->bonus_campaign_cap - c->bonus_amount)
		return "raise bonus_campaign_cap or set bonus_amount = 0: nobody gets it any more";
	return "";
}

static void check_bonus(struct doctor *D)
{
	const struct config *c = D->ctl->config;
	struct given g;
	const char *advice;
	char amount[MONEY_TEXT_MAX], cap[MONEY_TEXT_MAX], sum[MONEY_TEXT_MAX];

	if (c->bonus_amount == 0) {
		doctor_say(D, "sign-up bonus", DOCTOR_SKIPPED, "", "bonus_amount is 0: none is given");
		return;
	}
	g = read_given(D);
	advice = bonus_advice(c, &g);
	(void)decimal_format(c->bonus_amount, MICROS_DIGITS, 0, amount);
	(void)decimal_format(c->bonus_campaign_cap, MICROS_DIGITS, 0, cap);
	(void)decimal_format(g.micros, MICROS_DIGITS, 0, sum);
	doctor_say(D, "sign-up bonus", advice[0] != '\0' ? DOCTOR_WARNING : DOCTOR_OK, advice,
	           "%s for each, %s%s in all, %s; campaign %s has given %s to %lld", amount,
	           c->bonus_campaign_cap != 0 ? "up to " : "without a cap", c->bonus_campaign_cap != 0 ? cap : "",
	           c->bonus_needs_email ? "to verified addresses" : "also without an address", c->bonus_campaign, sum,
	           (long long)g.grants);
}

void doctor_people(struct doctor *D)
{
	const struct config *c = D->ctl->config;

	check_bonus(D);
	/* A secret that is too short needs no check: the configuration would not have been loaded. */
	doctor_say(D, "clerk webhook secret", c->clerk_webhook_secret[0] != '\0' ? DOCTOR_OK : DOCTOR_SKIPPED, "",
	           c->clerk_webhook_secret[0] != '\0' ? "it is set" : "it is empty: /api/webhooks/clerk is not served");
	if (c->jwt_issuer[0] == '\0')
		doctor_say(D, "token issuer", DOCTOR_SKIPPED, "", "jwt_issuer is empty: octroi's own tokens only");
	else
		check_issuer(D);
}
