/*
 * clerk: Clerk's events about the people it signs in.  The signature is verified over the raw body before
 * anything reads it.  The account, its e-mail address, the bonus and the note that the event was dealt with
 * are one transaction; 200 is answered once it is committed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/signature.h"
#include "ledger/decide/identity.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"
#include "routes/bonuses.h"
#include "routes/routes.h"

#define EMAIL_BYTES_MAX 254
#define NAME_BYTES_MAX 200

static void refuse_event(struct call *c, const char *field, const char *message)
{
	const struct refusal r = {.outcome = OUTCOME_INVALID_REQUEST, .field = field, .message = message};

	render_refusal(c, &r);
}

static const char *header(const struct call *c, const char *svix, const char *standard)
{
	const char *value = request_parameter(c->request, svix);

	return value != NULL ? value : request_parameter(c->request, standard);
}

/* False, rendered, when Clerk did not sign the body. */
static bool is_clerk_signed(struct call *c, struct signature_svix *headers)
{
	const char *secrets = c->config->clerk_webhook_secret;
	enum signature_verdict verdict;

	if (secrets[0] == '\0') {
		log_event(LOG_LEVEL_WARNING, "webhook_without_secret", LOG_TEXT("key", "clerk_webhook_secret"));
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return false;
	}
	headers->id = header(c, "HTTP_SVIX_ID", "HTTP_WEBHOOK_ID");
	headers->timestamp = header(c, "HTTP_SVIX_TIMESTAMP", "HTTP_WEBHOOK_TIMESTAMP");
	headers->signature = header(c, "HTTP_SVIX_SIGNATURE", "HTTP_WEBHOOK_SIGNATURE");
	verdict = signature_svix(secrets, headers, c->request->body, c->request->body_length,
	                         clock_wall_us() / CLOCK_US_PER_SECOND);
	if (verdict == SIGNATURE_GOOD)
		return true;
	log_event(LOG_LEVEL_WARNING, "webhook_refused", LOG_TEXT("provider", "clerk"),
	          LOG_TEXT("verdict", signature_verdict_name(verdict)));
	refuse_event(c, "svix-signature", NULL);
	return false;
}

/* The primary address, if Clerk has verified it; else "". */
static const char *verified_email(const struct json *user)
{
	const struct json *list = json_get(user, "email_addresses");
	const char *primary = json_get_text(user, "primary_email_address_id");
	const char *address = "";
	char normal[IDENTITY_EMAIL_MAX];

	if (primary[0] == '\0' || list == NULL || json_type(list) != JSON_LIST)
		return "";
	for (size_t i = 0; i < json_size(list); i++) {
		const struct json *entry = json_at(list, i);
		const struct json *verification = json_get(entry, "verification");

		if (strcmp(json_get_text(entry, "id"), primary) == 0 &&
		    strcmp(json_get_text(verification, "status"), "verified") == 0)
			address = json_get_text(entry, "email_address");
	}
	identity_email(address, normal);
	return normal[0] != '\0' && parse_plain(address, strlen(address), EMAIL_BYTES_MAX) ? address : "";
}

/* First and last name, "" when there is none or memory is short. */
static const char *full_name(struct call *c, const struct json *user)
{
	const char *first = json_get_text(user, "first_name"), *last = json_get_text(user, "last_name");
	const char *name = "";
	struct buf whole;

	buf_init(&whole, NAME_BYTES_MAX);
	buf_add_text(&whole, first);
	if (first[0] != '\0' && last[0] != '\0')
		buf_add_char(&whole, ' ');
	buf_add_text(&whole, last);
	if (buf_ok(&whole) && whole.length > 0 && parse_plain(whole.data, whole.length, NAME_BYTES_MAX))
		name = arena_copy(c->request->arena, whole.data, whole.length);
	buf_free(&whole);
	return name != NULL ? name : "";
}

/* The account id of a person; NULL when it is not valid, or memory is short. */
static const char *account_of(struct call *c, const char *person)
{
	const char *account = NULL;
	struct buf whole;

	buf_init(&whole, ID_ACCOUNT_MAX);
	buf_add_text(&whole, c->config->jwt_account_prefix);
	buf_add_text(&whole, person);
	if (person[0] != '\0' && buf_ok(&whole) && id_account_valid(whole.data, whole.length))
		account = arena_copy(c->request->arena, whole.data, whole.length);
	buf_free(&whole);
	return account;
}

/* Makes or updates the account.  Only the event user.created gives the bonus. */
static void take_user(struct call *c, const struct json *user, const char *type, const struct signature_svix *headers)
{
	struct command command = {
		.kind = COMMAND_SIGNUP,
		.member = "",
		.event =
			{
				.id = headers->id,
				.type = type,
				.body = "",
				.subject = "",
				.provider = PROVIDER_CLERK,
				.created_at_us = strtoll(headers->timestamp, NULL, 10) * CLOCK_US_PER_SECOND,
			},
	};
	const char *person = json_get_text(user, "id");
	const char *account = account_of(c, person);

	if (account == NULL) {
		refuse_event(c, "data.id", NULL);
		return;
	}
	c->account = account;
	command.account_id = account;
	command.account = id_account_key(account, strlen(account));
	if (bonuses_offer(c, &command) < 0) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	if (strcmp(type, "user.created") != 0)
		command.bonus.amount_micros = 0;
	command.bonus.email = verified_email(user);
	command.bonus.person = person;
	command.bonus.name = full_name(c, user);
	if (call_submit(c, &command))
		render_received(c);
}

void webhooks_clerk(struct call *c)
{
	struct signature_svix headers;
	char error[JSON_ERROR_MAX];
	const struct json *user;
	const char *type;

	if (!is_clerk_signed(c, &headers))
		return;
	c->body = json_parse(c->request->body, c->request->body_length, false, error);
	if (c->body == NULL || json_type(c->body) != JSON_RECORD) {
		refuse_event(c, "body", c->body == NULL ? error : NULL);
		return;
	}
	type = json_get_text(c->body, "type");
	user = json_get(c->body, "data");
	/* Where an account is not a person (jwt_account_claim is not "sub"), a sign-up makes none. */
	if ((strcmp(type, "user.created") != 0 && strcmp(type, "user.updated") != 0) ||
	    strcmp(c->config->jwt_account_claim, "sub") != 0)
		render_received(c);
	else
		take_user(c, user, type, &headers);
}
